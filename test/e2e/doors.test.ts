/** What never gets as far as a limit: foreign pages and hosts, and messages that cannot be read. */

import { connect } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { policyText } from "../support/admin.ts";
import { MODERN_REVISION } from "../support/agents.ts";
import { type RunningGate, startGate } from "../support/gate.ts";
import { errorIn, messageRequest, postMessage, send, toolCall } from "../support/http.ts";
import { answerTools, type Origin, startOrigin } from "../support/origin.ts";

const APP = "https://app.example.com";
const MIB = 1024 * 1024;

let origin: Origin;
let gate: RunningGate;
beforeAll(async () => {
  origin = await startOrigin();
  gate = await startGate({
    origin: origin.url,
    policy: policyText({
      plans: { anonymous: { rate: { perMinute: 10_000 }, maxWaitSeconds: 0 }, one: { rate: 1 } },
      allowedOrigins: [APP],
    }),
  });
});
afterAll(async () => {
  await gate.stop();
  await origin.stop();
});

let seenBefore = 0;
beforeEach(() => {
  seenBefore = origin.seen.length;
  origin.respond = answerTools;
});

function reachedOrigin(): number {
  return origin.seen.length - seenBefore;
}

describe("a foreign page or host", () => {
  it.for([
    "https://evil.example",
    "null",
    "http://127.0.0.1.evil.example",
    "https://app.example.com.evil.example",
    "http://app.example.com",
  ])("a page of %s is turned away with 403", async (page) => {
    const answer = await postMessage(gate.url, toolCall("t"), { Origin: page });
    expect(answer.status).toBe(403);
    expect(answer.headers).not.toHaveProperty("access-control-allow-origin");
    expect(reachedOrigin()).toBe(0);
  });

  it("a page is turned away wherever it sends JSON-RPC, and on every MCP path", async () => {
    for (const path of ["/mcp", "/sse", "/message", "/messages", "/anywhere/else"]) {
      expect((await postMessage(new URL(path, gate.url).href, toolCall("t"), { Origin: "https://evil.example" })).status).toBe(403);
    }
    expect((await send(gate.url, { headers: { Origin: "https://evil.example", Accept: "text/event-stream" } })).status).toBe(403);
    expect(reachedOrigin()).toBe(0);
  });

  it("a page can neither use nor read the operator's API", async () => {
    const answer = await send(new URL("/turnpike/admin/keys", gate.url).href, { headers: { Origin: "https://evil.example" } });
    expect(answer.status).toBe(403);
    expect(answer.headers).not.toHaveProperty("access-control-allow-origin");
  });

  it("a host is turned away on every path", async () => {
    for (const path of ["/mcp", "/", "/turnpike/health", "/turnpike/admin/keys"]) {
      expect((await send(new URL(path, gate.url).href, { headers: { Host: "evil.example" } })).status).toBe(403);
    }
    expect(reachedOrigin()).toBe(0);
  });

  it.for(["evil.example", "127.0.0.1.evil.example:80", "evil.example:443"])(
    "a host name %s that was rebound to this machine is turned away with 403",
    async (host) => {
      const answer = await postMessage(gate.url, toolCall("t"), { Host: host });
      expect(answer.status).toBe(403);
      expect(reachedOrigin()).toBe(0);
    },
  );

  it("never gets a preflight answered", async () => {
    const answer = await send(gate.url, {
      method: "OPTIONS",
      headers: { Origin: "https://evil.example", "Access-Control-Request-Method": "POST" },
    });
    expect(answer.status).toBe(403);
    expect(answer.headers).not.toHaveProperty("access-control-allow-origin");
  });
});

describe("a page that may call", () => {
  it("has its preflight answered by the gate", async () => {
    const answer = await send(gate.url, {
      method: "OPTIONS",
      headers: {
        Origin: APP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type, mcp-protocol-version",
      },
    });
    expect(answer.status).toBe(204);
    expect(answer.headers["access-control-allow-origin"]).toBe(APP);
    expect(answer.headers["access-control-allow-methods"]).toContain("DELETE");
    expect(answer.headers["access-control-allow-headers"]).toBe("authorization, content-type, mcp-protocol-version");
    expect(reachedOrigin()).toBe(0);
  });

  it("can read the answers, and what they tell in headers", async () => {
    const answer = await postMessage(gate.url, toolCall("t"), { Origin: APP });
    expect(answer.status).toBe(200);
    expect(answer.headers["access-control-allow-origin"]).toBe(APP);
    expect(answer.headers["vary"]).toMatch(/\bOrigin\b/);
    const exposed = String(answer.headers["access-control-expose-headers"]);
    for (const name of ["Retry-After", "RateLimit", "RateLimit-Policy", "WWW-Authenticate", "Mcp-Session-Id"]) {
      expect(exposed.split(", ")).toContain(name);
    }
  });

  it("can read refusals and errors too", async () => {
    const unknown = await postMessage(gate.url, toolCall("t"), { Origin: APP, "X-API-Key": "wrong" });
    expect(unknown).toMatchObject({ status: 401, headers: { "access-control-allow-origin": APP } });
    const notJson = await send(gate.url, { method: "POST", headers: { Origin: APP, "Content-Type": "text/plain" }, body: "{}" });
    expect(notJson).toMatchObject({ status: 415, headers: { "access-control-allow-origin": APP } });
  });

  it("is any page served from this machine, when the gate is on it", async () => {
    const answer = await postMessage(gate.url, toolCall("t"), { Origin: "http://localhost:6274" });
    expect(answer).toMatchObject({ status: 200, headers: { "access-control-allow-origin": "http://localhost:6274" } });
  });
});

describe("a message that cannot be read", () => {
  const json = { "Content-Type": "application/json" };

  it.for(["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])(
    "is answered 415 when it came as %s",
    async (type) => {
      const headers = type === "" ? {} : { "Content-Type": type };
      const answer = await send(gate.url, { method: "POST", headers, body: JSON.stringify(toolCall("t")) });
      expect(answer.status).toBe(415);
      expect(errorIn(answer).error.code).toBe(-32600);
      expect(reachedOrigin()).toBe(0);
    },
  );

  it("is answered 413 when it says that it is too large", async () => {
    // Nothing is sent but the announcement: the gate does not wait for what it would not read.
    expect(await statusOfBarePost(gate.url, `Content-Length: ${4 * MIB + 1}`, "")).toBe(413);
    expect(reachedOrigin()).toBe(0);
  });

  it("is answered 413 when it turns out to be too large", async () => {
    const chunk = `10000\r\n${" ".repeat(0x10000)}\r\n`;
    expect(await statusOfBarePost(gate.url, "Transfer-Encoding: chunked", chunk)).toBe(413);
    expect(reachedOrigin()).toBe(0);
  });

  it.for(["", "{", "nonsense", '{"jsonrpc":"2.0",}', "\ufeff\ufeff{}"])("is answered -32700 when it is no JSON: %j", async (body) => {
    const answer = await send(gate.url, { method: "POST", headers: json, body });
    expect(answer.status).toBe(400);
    expect(errorIn(answer)).toMatchObject({ jsonrpc: "2.0", error: { code: -32700 } });
    expect(errorIn(answer)).not.toHaveProperty("id");
    expect(reachedOrigin()).toBe(0);
  });

  it("is answered -32700 when it is not UTF-8", async () => {
    const body = Buffer.concat([Buffer.from('{"jsonrpc":"2.0","id":1,"method":"'), Buffer.from([0xff]), Buffer.from('"}')]);
    const answer = await send(gate.url, { method: "POST", headers: json, body });
    expect(errorIn(answer).error.code).toBe(-32700);
  });

  it.for([
    ["null", "null"],
    ["an empty batch", "[]"],
    ["a number", "42"],
    ["of no version", '{"id":1,"method":"ping"}'],
    ["of another version", '{"jsonrpc":"1.0","id":1,"method":"ping"}'],
    ["neither request nor answer", '{"jsonrpc":"2.0","id":1}'],
    ["a request whose id is null", '{"jsonrpc":"2.0","id":null,"method":"ping"}'],
    ["a request whose params are a list", '{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}'],
    ["a request of two methods", '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"t"}}'],
    ["a batch of 101", JSON.stringify(Array.from({ length: 101 }, (_, id) => ({ jsonrpc: "2.0", id, method: "ping" })))],
    ["nested 500 deep", `{"jsonrpc":"2.0","id":1,"method":"m","params":{"deep":${"[".repeat(500)}${"]".repeat(500)}}}`],
  ] as const)("is answered -32600 when it is %s", async ([, body]) => {
    const answer = await send(gate.url, { method: "POST", headers: json, body });
    expect(answer.status).toBe(400);
    expect(errorIn(answer).error.code).toBe(-32600);
    expect(reachedOrigin()).toBe(0);
  });

  it("is refused with the request's own id, when it could be read that far", async () => {
    const answer = await send(gate.url, { method: "POST", headers: json, body: '{"jsonrpc":"1.0","id":"abc","method":"ping"}' });
    expect(errorIn(answer).id).toBe("abc");
  });
});

describe("headers of MCP 2026-07-28 that contradict the body", () => {
  const meta = { "io.modelcontextprotocol/protocolVersion": MODERN_REVISION, "io.modelcontextprotocol/clientCapabilities": {} };
  const message = { jsonrpc: "2.0", id: "x", method: "tools/call", params: { name: "t", arguments: {}, _meta: meta } };
  const right = { "MCP-Protocol-Version": MODERN_REVISION, "Mcp-Method": "tools/call", "Mcp-Name": "t" };

  it("pass when they say what the body says", async () => {
    expect((await postMessage(gate.url, message, right)).status).toBe(200);
    const encoded = `=?base64?${Buffer.from("t").toString("base64")}?=`;
    expect((await postMessage(gate.url, message, { ...right, "Mcp-Name": encoded })).status).toBe(200);
  });

  it.for([
    ["another tool", { ...right, "Mcp-Name": "other" }],
    ["another method", { ...right, "Mcp-Method": "tools/list" }],
    ["another version", { ...right, "MCP-Protocol-Version": "2025-11-25" }],
    ["no tool", { "MCP-Protocol-Version": MODERN_REVISION, "Mcp-Method": "tools/call" }],
    ["no method", { "MCP-Protocol-Version": MODERN_REVISION, "Mcp-Name": "t" }],
    ["no version", { "Mcp-Method": "tools/call", "Mcp-Name": "t" }],
    ["a name in broken base64", { ...right, "Mcp-Name": "=?base64?%%%?=" }],
  ] as const)("are answered -32020 when they name %s", async ([, headers]) => {
    const answer = await postMessage(gate.url, message, headers);
    expect(answer.status).toBe(400);
    expect(errorIn(answer)).toMatchObject({ id: "x", error: { code: -32020 } });
    expect(reachedOrigin()).toBe(0);
  });

  it("are nobody's business in older revisions, whose clients send them as they like", async () => {
    const legacy = { "MCP-Protocol-Version": "2025-11-25", "Mcp-Method": "something/else", "Mcp-Name": "other" };
    expect((await postMessage(gate.url, toolCall("t"), legacy)).status).toBe(200);
  });

  it("are answered -32600 on a batch, which that revision does not have", async () => {
    const answer = await postMessage(gate.url, [message], right);
    expect(answer.status).toBe(400);
    expect(errorIn(answer).error.code).toBe(-32600);
  });
});

describe("the gate's own endpoints", () => {
  it("tell that the gate lives", async () => {
    expect(await send(new URL("/turnpike/health", gate.url).href)).toMatchObject({ status: 200, text: '{"status":"ok"}' });
  });

  it("are the gate's alone: what it does not know there, the origin never sees", async () => {
    const answer = await send(new URL("/turnpike/unknown", gate.url).href, messageRequest(toolCall("t")));
    expect(answer.status).toBe(404);
    expect(reachedOrigin()).toBe(0);
  });
});

/** Sends the head of a POST, then `chunk` again and again until the gate has had enough. */
async function statusOfBarePost(url: string, header: string, chunk: string): Promise<number> {
  const { hostname, port, pathname, host } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  return new Promise((resolve, reject) => {
    let isOver = false;
    socket.on("error", reject);
    socket.once("data", (data: Buffer) => {
      isOver = true;
      resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(data.toString())?.[1]));
      socket.resetAndDestroy();
    });
    const push = (left: number): void => {
      if (isOver || left === 0 || chunk === "") return;
      socket.write(chunk, () => push(left - 1));
    };
    socket.write(`POST ${pathname} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n${header}\r\n\r\n`);
    push(128);
  });
}
