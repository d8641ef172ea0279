/**
 * The MCP server that `turnpike start` runs when it is given none: a second Worker, of both protocol eras, on the
 * official SDK. For trying the gate, and for its tests; it is never part of the gate.
 */

import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import * as z from "zod";

const MAX_STEPS = 100;
const MAX_STEP_MS = 2_000;

function createServer(): McpServer {
  const server = new McpServer({ name: "turnpike-embedded-origin", version: "1.0.0" });

  server.registerTool(
    "current_time",
    {
      description: "The current time in a time zone.",
      inputSchema: z.object({ timeZone: z.string().default("UTC").describe('An IANA name such as "Europe/Paris".') }),
    },
    ({ timeZone }) => {
      try {
        return text(new Intl.DateTimeFormat("en-GB", { timeZone, dateStyle: "full", timeStyle: "long" }).format(new Date()));
      } catch {
        return { ...text(`There is no time zone "${timeZone}". Use an IANA name such as "Europe/Paris".`), isError: true };
      }
    },
  );

  server.registerTool(
    "count_words",
    { description: "Counts the words and characters of a text.", inputSchema: z.object({ text: z.string() }) },
    (input) => text(`${input.text.split(/\s+/).filter(Boolean).length} words, ${input.text.length} characters`),
  );

  server.registerTool(
    "slow_report",
    {
      description: "Writes a report in steps, and tells its progress after each.",
      inputSchema: z.object({
        steps: z.number().int().min(1).max(MAX_STEPS).default(5),
        stepMs: z.number().int().min(0).max(MAX_STEP_MS).default(200),
      }),
    },
    async ({ steps, stepMs }, context) => {
      const { _meta, notify, signal } = context.mcpReq;
      for (let step = 1; step <= steps; step++) {
        if (signal.aborted) break;
        await new Promise((resolve) => setTimeout(resolve, stepMs));
        if (_meta?.progressToken === undefined) continue;
        await notify({
          method: "notifications/progress",
          params: { progressToken: _meta.progressToken, progress: step, total: steps, message: `step ${step} of ${steps}` },
        });
      }
      return text(`The report has ${steps} parts.`);
    },
  );

  server.registerTool(
    "fail",
    {
      description: "Fails on demand: with a tool error, or by throwing.",
      inputSchema: z.object({ how: z.enum(["error", "throw"]).default("error"), message: z.string().default("failed on demand") }),
    },
    ({ how, message }) => {
      if (how === "throw") throw new Error(message);
      return { ...text(message), isError: true };
    },
  );

  server.registerTool(
    "whoami",
    { description: "What the gate told this server about the call: consumer, plan and request id.", inputSchema: z.object({}) },
    (_input, context) => {
      const headers = context.http?.req?.headers;
      const told = ["turnpike-consumer", "turnpike-plan", "turnpike-request-id"].map(
        (name) => `${name}: ${headers?.get(name) ?? "(nothing)"}`,
      );
      return text(told.join("\n"));
    },
  );

  server.registerPrompt(
    "summarize",
    { description: "Asks for a summary of a text.", argsSchema: z.object({ text: z.string() }) },
    (input) => ({ messages: [{ role: "user", content: { type: "text", text: `Summarize in one sentence:\n\n${input.text}` } }] }),
  );

  server.registerResource("about", "turnpike://about", { description: "What this server is.", mimeType: "text/plain" }, (uri) => ({
    contents: [{ uri: uri.href, mimeType: "text/plain", text: "The embedded origin of turnpike start." }],
  }));

  return server;
}

function text(value: string) {
  return { content: [{ type: "text" as const, text: value }] };
}

const handler = createMcpHandler(createServer);

export default {
  fetch(request: Request): Promise<Response> | Response {
    const { pathname } = new URL(request.url);
    if (pathname !== "/mcp") return new Response("The embedded origin serves MCP at /mcp.\n", { status: 404 });
    return handler.fetch(request);
  },
};
