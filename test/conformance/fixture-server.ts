/** Tools, resources and prompts by the names that the conformance suite asks for, and what it expects of each. */

import {
  completable,
  createRequestStateCodec,
  fromJsonSchema,
  McpServer,
  ResourceTemplate,
  type ServerContext,
  type ServerNotifier,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import { registerInputRequired } from "./fixture-input-required.ts";

/** One red pixel. */
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/** No sound at all, for no time. */
const WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";
const STEP_MS = 50;
const CACHE = { ttlMs: 60_000, cacheScope: "public" } as const;

const NOTHING = z.object({});
const states = createRequestStateCodec<string>({ key: "a key that is long enough for a test's fixture" });

export function createFixtureServer(notify: ServerNotifier): McpServer {
  const server = new McpServer(
    { name: "turnpike-conformance-fixture", version: "1.0.0" },
    {
      capabilities: {
        logging: {},
        completions: {},
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
      },
      requestState: { verify: states.verify },
      cacheHints: {
        "server/discover": CACHE,
        "tools/list": CACHE,
        "prompts/list": CACHE,
        "resources/list": CACHE,
        "resources/templates/list": CACHE,
        "resources/read": CACHE,
      },
    },
  );
  registerContent(server);
  registerBehaviour(server, notify);
  registerQuestions(server);
  registerSchemas(server);
  registerInputRequired(server, states);
  registerResources(server);
  registerPrompts(server);
  server.server.setRequestHandler("resources/subscribe", () => ({}));
  server.server.setRequestHandler("resources/unsubscribe", () => ({}));
  return server;
}

function tool(server: McpServer, name: string, answer: (context: ServerContext) => unknown[] | Promise<unknown[]>): void {
  server.registerTool(name, { description: `For the suite: ${name}.`, inputSchema: NOTHING }, async (_input, context) => ({
    content: (await answer(context)) as ReturnType<typeof text>[],
  }));
}

function text(value: string) {
  return { type: "text" as const, text: value };
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, STEP_MS));
}

function registerContent(server: McpServer): void {
  const image = { type: "image", data: PNG, mimeType: "image/png" };
  tool(server, "test_simple_text", () => [text("This is a simple text response for testing.")]);
  tool(server, "test_image_content", () => [image]);
  tool(server, "test_audio_content", () => [{ type: "audio", data: WAV, mimeType: "audio/wav" }]);
  tool(server, "test_embedded_resource", () => [
    {
      type: "resource",
      resource: { uri: "test://embedded-resource", mimeType: "text/plain", text: "This is an embedded resource content." },
    },
  ]);
  const json = JSON.stringify({ test: "data", value: 123 });
  tool(server, "test_multiple_content_types", () => [
    text("Multiple content types test:"),
    image,
    { type: "resource", resource: { uri: "test://mixed-content-resource", mimeType: "application/json", text: json } },
  ]);
}

function registerBehaviour(server: McpServer, notify: ServerNotifier): void {
  tool(server, "test_error_handling", () => {
    throw new Error("This tool intentionally returns an error for testing");
  });
  tool(server, "test_tool_with_logging", async ({ mcpReq }) => {
    for (const [i, data] of ["Tool execution started", "Tool processing data", "Tool execution completed"].entries()) {
      if (i > 0) await pause();
      await mcpReq.log("info", data);
    }
    return [text("Logged three times.")];
  });
  tool(server, "test_logging_tool", async ({ mcpReq }) => {
    await mcpReq.log("info", "Only for those who asked for it");
    return [text("Logged once.")];
  });
  tool(server, "test_tool_with_progress", async ({ mcpReq }) => {
    const { _meta } = mcpReq;
    const progressToken = _meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progress > 0) await pause();
      if (progressToken === undefined) continue;
      await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total: 100 } });
    }
    return [text("Done in three steps.")];
  });
  tool(server, "test_reconnection", async ({ http }) => {
    http?.closeSSE?.();
    await pause();
    return [text("Answered after the stream was closed.")];
  });
  tool(server, "test_streaming_elicitation", async ({ mcpReq }) => {
    const { _meta } = mcpReq;
    const progressToken = _meta?.progressToken ?? "none";
    await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress: 1 } });
    return [text("Streamed.")];
  });
  tool(server, "test_trigger_tool_change", () => {
    notify.toolsChanged();
    return [text("The tools have changed.")];
  });
  tool(server, "test_trigger_prompt_change", () => {
    notify.promptsChanged();
    return [text("The prompts have changed.")];
  });
}

/**
 * What the handshake revisions ask their client in the middle of a call, on the call's own stream: the SDK's
 * `elicitInput` takes the GET stream, which a client that is quick has not opened yet.
 */
function registerQuestions(server: McpServer): void {
  server.registerTool(
    "test_sampling",
    { description: "Asks the client's model.", inputSchema: z.object({ prompt: z.string() }) },
    async ({ prompt }, { mcpReq }) => {
      const params = { messages: [{ role: "user", content: text(prompt) }], maxTokens: 100 };
      const sampled = await mcpReq.send({ method: "sampling/createMessage", params });
      const content = Array.isArray(sampled.content) ? sampled.content[0] : sampled.content;
      return { content: [text(`LLM response: ${content?.type === "text" ? content.text : "none"}`)] };
    },
  );
  server.registerTool(
    "test_elicitation",
    { description: "Asks the client's user.", inputSchema: z.object({ message: z.string() }) },
    async ({ message }, { mcpReq }) => {
      const properties = {
        username: { type: "string", description: "User's response" },
        email: { type: "string", description: "User's email address" },
      };
      const requestedSchema = { type: "object", properties, required: ["username", "email"] };
      const answer = await mcpReq.send({ method: "elicitation/create", params: { message, requestedSchema } });
      return { content: [text(`User response: action=${answer.action}, content=${JSON.stringify(answer.content)}`)] };
    },
  );
  const ask = (name: string, params: { message: string; requestedSchema: object }): void =>
    tool(server, name, async ({ mcpReq }) => {
      const answer = await mcpReq.send({ method: "elicitation/create", params });
      return [text(`Elicitation completed: action=${answer.action}, content=${JSON.stringify(answer.content)}`)];
    });
  ask("test_elicitation_sep1034_defaults", {
    message: "Every kind of default",
    requestedSchema: {
      type: "object",
      properties: {
        name: { type: "string", default: "John Doe" },
        age: { type: "integer", default: 30 },
        score: { type: "number", default: 95.5 },
        status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
        verified: { type: "boolean", default: true },
      },
    },
  });
  const options = ["option1", "option2", "option3"];
  const titled = ["First", "Second", "Third"].map((title, i) => ({ const: `value${i + 1}`, title: `${title} Option` }));
  ask("test_elicitation_sep1330_enums", {
    message: "Every kind of choice",
    requestedSchema: {
      type: "object",
      properties: {
        untitledSingle: { type: "string", enum: options },
        titledSingle: { type: "string", oneOf: titled },
        legacyEnum: { type: "string", enum: ["opt1", "opt2", "opt3"], enumNames: ["Option One", "Option Two", "Option Three"] },
        untitledMulti: { type: "array", items: { type: "string", enum: options } },
        titledMulti: { type: "array", items: { anyOf: titled } },
      },
    },
  });
}

function registerSchemas(server: McpServer): void {
  const address = { $anchor: "addressDef", type: "object", properties: { street: { type: "string" }, city: { type: "string" } } };
  const inputSchema = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    $defs: { address },
    properties: {
      name: { type: "string" },
      address: { $ref: "#/$defs/address" },
      contactMethod: { type: "string", enum: ["phone", "email"] },
      phone: { type: "string" },
      email: { type: "string" },
    },
    allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
    if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
    // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
    then: { required: ["phone"] },
    else: { required: ["email"] },
    additionalProperties: false,
  };
  server.registerTool(
    "json_schema_2020_12_tool",
    { description: "Every keyword that a schema may have.", inputSchema: fromJsonSchema(inputSchema) },
    () => ({ content: [text("valid")] }),
  );
  const mirrored = { type: "object", properties: { region: { type: "string", "x-mcp-header": "Region" } }, required: ["region"] };
  server.registerTool(
    "test_mirrored_argument",
    { description: "An argument that travels in a header too.", inputSchema: fromJsonSchema<{ region: string }>(mirrored) },
    ({ region }) => ({ content: [text(`The region is ${region}.`)] }),
  );
}

function registerResources(server: McpServer): void {
  const add = (name: string, uri: string, mimeType: string, content: { text: string } | { blob: string }): void => {
    const about = { description: `For the suite: ${name}.`, mimeType, cacheHint: CACHE };
    server.registerResource(name, uri, about, ({ href }) => ({ contents: [{ uri: href, mimeType, ...content }] }));
  };
  add("static-text", "test://static-text", "text/plain", { text: "This is the content of the static text resource." });
  add("static-binary", "test://static-binary", "image/png", { blob: PNG });
  add("watched-resource", "test://watched-resource", "text/plain", { text: "Watch me." });
  server.registerResource(
    "template",
    new ResourceTemplate("test://template/{id}/data", { list: undefined }),
    { description: "One for each id.", mimeType: "application/json" },
    (uri, { id }) => {
      const data = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${String(id)}` });
      return { contents: [{ uri: uri.href, mimeType: "application/json", text: data }] };
    },
  );
}

function say(content: unknown) {
  return { role: "user" as const, content: content as ReturnType<typeof text> };
}

function cities(beginning: string | undefined): string[] {
  return ["paris", "park", "party"].filter((city) => city.startsWith(beginning ?? ""));
}

function registerPrompts(server: McpServer): void {
  server.registerPrompt("test_simple_prompt", { description: "No arguments." }, () => ({
    messages: [say(text("This is a simple prompt for testing."))],
  }));
  server.registerPrompt(
    "test_prompt_with_arguments",
    { description: "Two arguments.", argsSchema: z.object({ arg1: completable(z.string(), cities), arg2: z.string() }) },
    ({ arg1, arg2 }) => ({ messages: [say(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))] }),
  );
  server.registerPrompt(
    "test_prompt_with_embedded_resource",
    { description: "A resource inside.", argsSchema: z.object({ resourceUri: z.string() }) },
    ({ resourceUri }) => ({
      messages: [
        say({
          type: "resource",
          resource: { uri: resourceUri, mimeType: "text/plain", text: "Embedded resource content for testing." },
        }),
        say(text("Please process the embedded resource above.")),
      ],
    }),
  );
  server.registerPrompt("test_prompt_with_image", { description: "An image inside." }, () => ({
    messages: [say({ type: "image", data: PNG, mimeType: "image/png" }), say(text("Please analyze the image above."))],
  }));
}
