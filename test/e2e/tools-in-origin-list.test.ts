/** The gate's tools among the origin's, as the official clients of both eras find and call them, over real sockets. */

import { gzipSync } from "node:zlib";
import { McpServer } from "@modelcontextprotocol/server";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readPost } from "../../src/mcp/read-post.ts";
import { answerMcp } from "../../src/tools/answer-mcp.ts";
import { gateTools } from "../../src/tools/definitions.ts";
import { addOwnTools, isOwnToolCall } from "../../src/tools/in-origin-list.ts";
import { DIALECTS, withAgent } from "../support/agents.ts";
import { type DualEraServer, serveDualEra } from "../support/dual-era.ts";
import { type FetchServer, serveFetch } from "../support/serve-fetch.ts";
import { madeUpActions } from "../tools/made-up.ts";

const PREFIX = "turnpike_";

/** What a gate does with these tools, and nothing else. */
function serveInFront(originUrl: string): Promise<FetchServer> {
  const tools = gateTools(madeUpActions(), PREFIX);
  const taken = new Set<string>();
  return serveFetch(async (request) => {
    const post = request.method === "POST" ? await readPost(request.clone(), undefined) : null;
    if (post?.ok && post.envelope.messages.every((message) => isOwnToolCall(message, PREFIX, taken))) {
      return answerMcp(post.envelope, request.headers, { tools, instructions: "" });
    }
    const headers = new Headers(request.headers);
    for (const name of ["host", "connection", "content-length", "transfer-encoding"]) headers.delete(name);
    const body = request.method === "POST" ? await request.arrayBuffer() : null;
    const response = await fetch(originUrl, { method: request.method, headers, body, signal: request.signal });
    return post?.ok ? addOwnTools(response, post.envelope.messages, { tools, taken }) : response;
  });
}

let origin: DualEraServer;
let front: FetchServer;
beforeAll(async () => {
  origin = await serveDualEra(() => {
    const server = new McpServer({ name: "an-origin", version: "1.0.0" });
    for (const name of ["echo", "turnpike_status"]) {
      server.registerTool(name, { description: "Says its name." }, () => ({ content: [{ type: "text", text: `the origin's ${name}` }] }));
    }
    return server;
  });
  front = await serveInFront(origin.url);
});
afterAll(async () => {
  await front.stop();
  await origin.stop();
});

describe.for(DIALECTS)("to %s, an origin's list", (dialect) => {
  it("has the gate's tools behind the origin's, and each is answered by its owner", async () => {
    await withAgent(dialect, front.url, {}, async (agent) => {
      expect(await agent.listTools()).toEqual(["echo", "turnpike_status", "turnpike_challenge", "turnpike_verify"]);
      expect((await agent.call("echo")).text).toBe("the origin's echo");
      expect((await agent.call("turnpike_status")).text).toBe("the origin's turnpike_status");
      expect((await agent.call("turnpike_challenge")).text).toContain("call turnpike_verify with id");
      const answer = await agent.call("turnpike_verify", { id: "a" });
      expect(answer).toMatchObject({ isError: true, text: expect.stringContaining("arguments.nonce is missing") });
    });
  });
});

describe("an origin that compresses", () => {
  it.for(["application/json", "text/event-stream"])("has them in %s all the same", async (type) => {
    const list = JSON.stringify({ jsonrpc: "2.0", id: 1, result: { tools: [] } });
    const body = gzipSync(type === "application/json" ? list : `data: ${list}\n\n`);
    const compressing = await serveFetch(() =>
      Promise.resolve(
        new Response(body, { headers: { "Content-Type": type, "Content-Encoding": "gzip", "Content-Length": String(body.length) } }),
      ),
    );
    const inFront = await serveInFront(compressing.url);
    try {
      const response = await fetch(inFront.url, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }),
      });
      expect(response.headers.get("content-encoding")).toBeNull();
      expect(await response.text()).toContain('"tools":[{"name":"turnpike_challenge"');
    } finally {
      await inFront.stop();
      await compressing.stop();
    }
  });
});
