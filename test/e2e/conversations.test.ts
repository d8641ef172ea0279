/**
 * What server and client say to each other beside calls and answers: questions of the server's, cancellations,
 * notifications, subscriptions, streams that break and are taken up again. All of it passes the gate as it is.
 */

import { inputRequired, inputResponse, McpServer, type ServerNotifier } from "@modelcontextprotocol/server";
import * as z from "zod";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { makeKey, policyText } from "../support/admin.ts";
import { connectAgent, DIALECTS, LEGACY_DIALECTS, withAgent } from "../support/agents.ts";
import { type DualEraServer, serveDualEra } from "../support/dual-era.ts";
import { type Everything, startEverything } from "../support/everything.ts";
import { type RunningGate, startGate } from "../support/gate.ts";
import { messageRequest, openRequest, postMessage } from "../support/http.ts";

const POLICY = policyText({ plans: { anonymous: { rate: 10_000 }, ten: { rate: 10, maxWaitSeconds: 0 } } });
/** Long enough that only a cancellation ends it within the test. */
const ENDLESS_MS = 20_000;

/** What became of the calls of `wait`, by the mark that each was given. */
const ended = new Map<string, "cancelled" | "finished">();

function text(value: string) {
  return { content: [{ type: "text" as const, text: value }] };
}

function createServer(notify: ServerNotifier): McpServer {
  const server = new McpServer(
    { name: "conversations", version: "1.0.0" },
    { capabilities: { tools: { listChanged: true }, logging: {} } },
  );
  server.registerTool("wait", { description: "Waits.", inputSchema: z.object({ mark: z.string() }) }, async ({ mark }, { mcpReq }) => {
    const { _meta } = mcpReq;
    const progressToken = _meta?.progressToken;
    // Opens the stream of the answer: workerd notices that a client has closed its side only when it writes to it.
    if (progressToken !== undefined) await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress: 1 } });
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ENDLESS_MS);
      mcpReq.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    });
    ended.set(mark, mcpReq.signal.aborted ? "cancelled" : "finished");
    return text("waited");
  });
  server.registerTool("ask_user", { description: "Asks the user.", inputSchema: z.object({}) }, (_input, { mcpReq }) => {
    const answer = inputResponse(mcpReq.inputResponses, "name");
    if (answer.kind === "elicit") return text(`The user says ${JSON.stringify(answer.content)}`);
    const requestedSchema = { type: "object" as const, properties: { name: { type: "string" as const } }, required: ["name"] };
    return inputRequired({ inputRequests: { name: inputRequired.elicit({ message: "Who are you?", requestedSchema }) } });
  });
  server.registerTool("ask_model", { description: "Asks the model.", inputSchema: z.object({}) }, (_input, { mcpReq }) => {
    const answer = inputResponse(mcpReq.inputResponses, "sample");
    if (answer.kind !== "missing") return text(`The model says ${JSON.stringify(answer)}`);
    const question = { messages: [{ role: "user" as const, content: { type: "text" as const, text: "Well?" } }], maxTokens: 10 };
    return inputRequired({ inputRequests: { sample: inputRequired.createMessage(question) } });
  });
  server.registerTool("change_tools", { description: "Tells that the tools changed.", inputSchema: z.object({}) }, () => {
    notify.toolsChanged();
    return text("changed");
  });
  server.registerTool("cut_stream", { description: "Answers on another stream.", inputSchema: z.object({}) }, async (_input, { http }) => {
    http?.closeSSE?.();
    await new Promise((resolve) => setTimeout(resolve, 200));
    return text("answered on the stream that took over");
  });
  return server;
}

let server: DualEraServer;
let everything: Everything;
let gate: RunningGate;
let everythingGate: RunningGate;
beforeAll(async () => {
  [server, everything] = await Promise.all([serveDualEra(createServer), startEverything()]);
  [gate, everythingGate] = await Promise.all([
    startGate({ origin: server.url, policy: POLICY }),
    startGate({ origin: everything.url, policy: POLICY }),
  ]);
});
afterAll(async () => {
  await Promise.all([gate.stop(), everythingGate.stop()]);
  await Promise.all([server.stop(), everything.stop()]);
});

describe.concurrent.for(DIALECTS)("%s", (dialect) => {
  it("answers what the server asks its user", async () => {
    await withAgent(dialect, gate.url, { onElicitation: () => ({ name: "Ada" }) }, async (agent) => {
      expect((await agent.call("ask_user")).text).toBe('The user says {"name":"Ada"}');
    });
  });

  it("answers what the server asks its model", async () => {
    await withAgent(dialect, gate.url, { onSampling: () => "Yes, well." }, async (agent) => {
      expect((await agent.call("ask_model")).text).toContain("Yes, well.");
    });
  });

  it("is not taken for a loop when its answers make calls of several rounds", async () => {
    const { key } = await makeKey(gate, "anonymous");
    await withAgent(dialect, gate.url, { key, onElicitation: () => ({ name: "Ada" }) }, async (agent) => {
      for (let i = 0; i < 10; i++) expect((await agent.call("ask_user")).text).toContain("Ada");
      await expect(agent.call("ask_user")).rejects.toThrow(/Loop stopped/);
    });
  });

  it("cancels a call that streams, and the origin sees it", async () => {
    const mark = `cancelled by ${dialect}`;
    await withAgent(dialect, gate.url, {}, async (agent) => {
      const aborter = new AbortController();
      const rejected = expect(agent.call("wait", { mark }, { signal: aborter.signal, onProgress: () => {} })).rejects.toThrow();
      await new Promise((resolve) => setTimeout(resolve, 400));
      aborter.abort();
      await rejected;
      await vi.waitFor(() => expect(ended.get(mark)).toBe("cancelled"), { timeout: 5_000 });
    });
  });
});

describe("subscriptions of 2026-07-28", () => {
  it("stay open, deliver what changes, and are closed by the client", async () => {
    let changes = 0;
    const { key } = await makeKey(gate, "ten");
    await withAgent("client-2-modern", gate.url, { key, onToolsChanged: () => void changes++ }, async (agent) => {
      const stop = await agent.listen();
      await agent.call("change_tools");
      await vi.waitFor(() => expect(changes).toBe(1), { timeout: 3_000 });
      server.notify.toolsChanged();
      await vi.waitFor(() => expect(changes).toBe(2), { timeout: 3_000 });
      await stop();
      server.notify.toolsChanged();
      await agent.call("change_tools");
      expect(changes).toBe(2);
    });
  });

  it("cost nothing of the plan", async () => {
    const { key } = await makeKey(gate, "ten");
    await withAgent("client-2-modern", gate.url, { key }, async (agent) => {
      for (let i = 0; i < 12; i++) await (await agent.listen())();
      expect((await agent.call("change_tools")).text).toBe("changed");
    });
  });
});

describe.concurrent.for(LEGACY_DIALECTS)("a session of %s", (dialect) => {
  it("has its answer on the stream that took over, when the origin closed the first", async () => {
    await withAgent(dialect, gate.url, {}, async (agent) => {
      expect((await agent.call("cut_stream")).text).toBe("answered on the stream that took over");
    });
  });

  it("is one session at the origin, and over there when the client ends it", async () => {
    const agent = await connectAgent(dialect, gate.url);
    const headers = { "Mcp-Session-Id": agent.sessionId!, "MCP-Protocol-Version": agent.revision! };
    const list = { jsonrpc: "2.0", id: 1, method: "tools/list" };
    expect((await postMessage(gate.url, list, headers)).status).toBe(200);
    await agent.ping();
    await agent.endSession();
    expect((await postMessage(gate.url, list, headers)).status).toBe(404);
    await agent.close();
  });

  it("with server-everything: lists, calls, and asks user and model through the client", async () => {
    const options = { onElicitation: () => ({ name: "Ada", check: true }), onSampling: () => "a sampled answer" };
    await withAgent(dialect, everythingGate.url, options, async (agent) => {
      expect(await agent.listTools()).toContain("get-sum");
      expect((await agent.call("echo", { message: "through the gate" })).text).toContain("through the gate");
      expect((await agent.call("get-sum", { a: 2, b: 3 })).text).toContain("5");
      expect((await agent.call("trigger-sampling-request", { prompt: "hello" })).text).toContain("a sampled answer");
      expect((await agent.call("trigger-elicitation-request")).text).toContain("Ada");
      expect(await agent.listPrompts()).toContain("simple-prompt");
      expect((await agent.listResources()).length).toBeGreaterThan(0);
    });
  });

  it("with server-everything: sees progress while the call runs", async () => {
    await withAgent(dialect, everythingGate.url, {}, async (agent) => {
      const arrivals: number[] = [];
      await agent.call("trigger-long-running-operation", { duration: 1, steps: 4 }, { onProgress: () => void arrivals.push(Date.now()) });
      expect(arrivals).toHaveLength(4);
      expect(Date.now() - arrivals[0]!).toBeGreaterThan(500);
    });
  });

  it("with server-everything: is told on the GET stream what belongs to no call", async () => {
    const logs: unknown[] = [];
    const { opened, fetch } = fetchThatTellsOfStream();
    await withAgent(dialect, everythingGate.url, { fetch, onLog: (data) => void logs.push(data) }, async (agent) => {
      await opened;
      await agent.call("toggle-simulated-logging");
      await vi.waitFor(() => expect(String(logs[0])).toContain(`SessionId ${agent.sessionId}`), { timeout: 3_000 });
      await agent.call("toggle-simulated-logging");
    });
  });
});

describe("a broken stream", () => {
  it("is taken up where it broke, by Last-Event-ID", async () => {
    const session = await openSession(everythingGate.url);
    const params = { name: "trigger-long-running-operation", arguments: { duration: 1, steps: 4 }, _meta: { progressToken: "p" } };
    const request = openRequest(
      everythingGate.url,
      messageRequest({ jsonrpc: "2.0", id: "long", method: "tools/call", params }, { ...session, "MCP-Protocol-Version": "2025-11-25" }),
    );
    const response = await request.answered;
    const lastEventId = await firstEventId(response);
    request.hangUp();
    // The operation goes on without us; what it told meanwhile is waiting.
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    const resumed = openRequest(everythingGate.url, {
      headers: { ...session, Accept: "text/event-stream", "Last-Event-ID": lastEventId },
    });
    const missed: unknown[] = [];
    for await (const data of eventsOf(await resumed.answered)) {
      missed.push(data);
      if ((data as { id?: string }).id === "long") break;
    }
    resumed.hangUp();
    expect(missed).toMatchObject([
      { params: { progress: 2 } },
      { params: { progress: 3 } },
      { params: { progress: 4 } },
      { id: "long", result: { content: [{ type: "text" }] } },
    ]);
  });
});

/** Initializes a session by hand; its header. */
async function openSession(url: string): Promise<{ "Mcp-Session-Id": string }> {
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "by-hand", version: "1" } };
  const answer = await postMessage(url, { jsonrpc: "2.0", id: 0, method: "initialize", params });
  const header = { "Mcp-Session-Id": String(answer.headers["mcp-session-id"]) };
  await postMessage(url, { jsonrpc: "2.0", method: "notifications/initialized" }, header);
  return header;
}

async function firstEventId(stream: AsyncIterable<unknown>): Promise<string> {
  let text = "";
  for await (const chunk of stream) {
    text += String(chunk);
    const [, id] = /id: (\S+)\ndata: .*"progress":1[,}]/.exec(text) ?? [];
    if (id !== undefined) return id;
  }
  throw new Error(`the stream ended without progress: ${text}`);
}

/** The data of each event that has some. */
async function* eventsOf(stream: AsyncIterable<unknown>): AsyncGenerator {
  let text = "";
  for await (const chunk of stream) {
    text += String(chunk);
    const events = text.split("\n\n");
    text = events.pop()!;
    for (const event of events) {
      const data = /^data: (.+)$/m.exec(event)?.[1];
      if (data !== undefined) yield JSON.parse(data);
    }
  }
}

/** A fetch for a client, and when the server has accepted its GET stream. */
function fetchThatTellsOfStream(): { readonly opened: Promise<void>; readonly fetch: typeof fetch } {
  let tell: () => void;
  const opened = new Promise<void>((resolve) => (tell = resolve));
  return {
    opened,
    async fetch(input, init) {
      const response = await fetch(input, init);
      if (init?.method === "GET" && response.ok) tell();
      return response;
    },
  };
}
