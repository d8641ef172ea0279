/** What is admitted reaches the origin byte for byte, and what the origin answers comes back as it was sent. */

import { createHmac, randomBytes } from "node:crypto";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { makeKey, policyText, secretsOf } from "../support/admin.ts";
import { type RunningGate, startGate } from "../support/gate.ts";
import { errorIn, messageRequest, openRequest, postMessage, send, toolCall } from "../support/http.ts";
import { answerTools, type Origin, type Seen, startOrigin } from "../support/origin.ts";

const POLICY = policyText({ plans: { anonymous: { rate: 10_000 }, roomy: { rate: 10_000 }, two: { rate: 2, maxWaitSeconds: 0 } } });

let origin: Origin;
let gate: RunningGate;
beforeAll(async () => {
  origin = await startOrigin();
  gate = await startGate({ origin: origin.url, policy: POLICY });
});
afterAll(async () => {
  await gate.stop();
  await origin.stop();
});
beforeEach(() => {
  origin.respond = answerTools;
});

function gateUrl(path: string): string {
  return new URL(path, gate.url).href;
}

async function seenOf(sending: Promise<unknown>): Promise<Seen> {
  const [seen] = await Promise.all([origin.next(), sending]);
  return seen;
}

describe("the request that the origin gets", () => {
  it("has the body that was sent, byte for byte", async () => {
    // White space, escapes, an order of its own and numbers that JSON.parse would spell otherwise.
    const body = Buffer.from(
      '\n {"params" : {"arguments":{"n":1.0e2,"big":12345678901234567890,"s":"\\u00e9é𝄞"},"name":"t"},\t"method":"tools/call","id":"a","jsonrpc":"2.0" }\r\n',
    );
    const { headers } = messageRequest({});
    const seen = await seenOf(send(gate.url, { method: "POST", headers: headers!, body }));
    expect(seen.body.equals(body)).toBe(true);
    expect(seen.headers["content-length"]).toBe(String(body.length));
  });

  it("has the body of a large message too", async () => {
    const message = toolCall("t", { text: "é".repeat(1_000_000) });
    const seen = await seenOf(postMessage(gate.url, message));
    expect(seen.body.equals(Buffer.from(JSON.stringify(message)))).toBe(true);
  });

  it("has the client's own headers, and none that are for one connection only", async () => {
    const seen = await seenOf(
      postMessage(gate.url, toolCall("t"), {
        Connection: "keep-alive, X-For-This-Hop",
        "X-For-This-Hop": "yes",
        TE: "trailers",
        "Proxy-Authorization": "Basic eDp5",
        "Mcp-Session-Id": "session-1",
        "MCP-Protocol-Version": "2025-11-25",
        Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        Authorization: "Bearer the-origins-own",
      }),
    );
    expect(seen.headers).toMatchObject({
      "mcp-session-id": "session-1",
      "mcp-protocol-version": "2025-11-25",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      authorization: "Bearer the-origins-own",
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    });
    for (const name of ["x-for-this-hop", "te", "proxy-authorization"]) expect(seen.headers).not.toHaveProperty(name);
  });

  it.for([
    ["Authorization", (key: string) => `Bearer ${key}`],
    ["X-API-Key", (key: string) => key],
  ] as const)("says whose it is in signed headers, and never the key of %s", async ([header, value]) => {
    const { key } = await makeKey(gate, "roomy", { consumer: "acme" });
    const seen = await seenOf(
      postMessage(gate.url, toolCall("t"), { [header]: value(key), "Turnpike-Consumer": "forged", "Turnpike-Extra": "forged" }),
    );
    expect(JSON.stringify(seen.headers)).not.toContain(key);
    expect(seen.headers).not.toHaveProperty("turnpike-extra");
    expect(seen.headers).toMatchObject({ "turnpike-consumer": "key:acme", "turnpike-plan": "roomy" });
    const { t, v1 } = signatureOf(seen);
    const signed = [t, seen.headers["turnpike-request-id"], "key:acme", "roomy", "POST", "/mcp"].join("\n");
    expect(v1).toBe(createHmac("sha256", secretsOf(gate).originSigningSecret).update(signed).digest("hex"));
    expect(Math.abs(Date.now() / 1_000 - Number(t))).toBeLessThan(10);
  });

  it("has neither key of a client that sends two, on any path", async () => {
    const [one, other] = await Promise.all([makeKey(gate, "roomy"), makeKey(gate, "roomy")]);
    const both = { "X-API-Key": one.key, Authorization: `Bearer ${other.key}` };
    for (const path of ["/mcp", "/elsewhere"]) {
      const seen = await seenOf(postMessage(gateUrl(path), toolCall("t", { path }), both));
      expect(JSON.stringify(seen.headers)).not.toContain(one.key);
      expect(JSON.stringify(seen.headers)).not.toContain(other.key);
    }
    const page = await seenOf(send(gateUrl("/page"), { headers: { "X-API-Key": "the-origins-own", Authorization: `Bearer ${one.key}` } }));
    expect(page.headers["x-api-key"]).toBe("the-origins-own");
    expect(JSON.stringify(page.headers)).not.toContain(one.key);
  });

  it("has no forged consumer headers on paths that are not MCP's either", async () => {
    const { key } = await makeKey(gate, "roomy");
    const seen = await seenOf(
      send(gateUrl("/elsewhere"), { headers: { "Turnpike-Consumer": "forged", "Turnpike-Plan": "forged", "X-API-Key": key } }),
    );
    expect(Object.keys(seen.headers).filter((name) => name.startsWith("turnpike-"))).toEqual([]);
    expect(JSON.stringify(seen.headers)).not.toContain(key);
  });

  it("passes untouched on paths that are not MCP's, with its query", async () => {
    const body = Buffer.from([0, 1, 2, 255, 254]);
    const seen = await seenOf(
      send(gateUrl("/upload/a%20b?x=1&y=%2F"), { method: "PUT", headers: { "Content-Type": "application/octet-stream" }, body }),
    );
    expect(seen).toMatchObject({ method: "PUT", path: "/upload/a%20b?x=1&y=%2F" });
    expect(seen.body.equals(body)).toBe(true);
  });

  it("passes untouched when it is JSON without being JSON-RPC", async () => {
    const body = ' { "not" : "rpc" } ';
    const seen = await seenOf(send(gateUrl("/api"), { method: "POST", headers: { "Content-Type": "application/json" }, body }));
    expect(seen.body.toString()).toBe(body);
  });

  it("is whole when it came without a length, in chunks", async () => {
    const message = JSON.stringify(toolCall("t", { chunked: true }));
    const { headers } = messageRequest({});
    const seen = await seenOf(send(gate.url, { method: "POST", headers: { ...headers, "Transfer-Encoding": "chunked" }, body: message }));
    expect(seen.body.toString()).toBe(message);
  });

  it("is the same GET or DELETE that the client sent", async () => {
    origin.respond = (_seen, response) => void response.writeHead(200).end();
    const headers = { "Mcp-Session-Id": "s", "Last-Event-ID": "41", Accept: "text/event-stream" };
    expect(await seenOf(send(gate.url, { headers }))).toMatchObject({ method: "GET", headers: { "last-event-id": "41" } });
    expect(await seenOf(send(gate.url, { method: "DELETE", headers }))).toMatchObject({
      method: "DELETE",
      headers: { "mcp-session-id": "s" },
    });
  });
});

function signatureOf(seen: Seen): { t: string; v1: string } {
  const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(seen.headers["turnpike-signature"]))!;
  return { t: t!, v1: v1! };
}

describe("the answer that the client gets", () => {
  it.for([200, 202, 400, 404, 418, 500])("has the origin's status %i, headers and bytes", async (status) => {
    const bytes = Buffer.from([123, 0, 255, 125]);
    origin.respond = (_seen, response) =>
      void response.writeHead(status, { "Content-Type": "application/x-own", "X-Own": "a, b", "Set-Cookie": ["a=1", "b=2"] }).end(bytes);
    const answer = await postMessage(gate.url, toolCall("t", { status }));
    expect(answer.status).toBe(status);
    expect(answer.headers).toMatchObject({ "content-type": "application/x-own", "x-own": "a, b", "set-cookie": ["a=1", "b=2"] });
    expect(answer.body.equals(bytes)).toBe(true);
  });

  it.for([204, 304])("has the origin's status %i, which has no body", async (status) => {
    origin.respond = (_seen, response) => void response.writeHead(status, { ETag: '"x"' }).end();
    const answer = await postMessage(gate.url, toolCall("t", { status }));
    expect(answer).toMatchObject({ status, text: "", headers: { etag: '"x"' } });
  });

  it("is whole when it is large", async () => {
    const bytes = randomBytes(16 * 1024 * 1024);
    origin.respond = (_seen, response) => void response.writeHead(200, { "Content-Type": "application/octet-stream" }).end(bytes);
    const answer = await postMessage(gate.url, toolCall("t", { large: true }));
    expect(answer.body.equals(bytes)).toBe(true);
  });

  it("has what remains of the plan, on success too", async () => {
    const { key } = await makeKey(gate, "two");
    const answer = await postMessage(gate.url, toolCall("t"), { "X-API-Key": key });
    expect(answer.headers["ratelimit-policy"]).toBe('"two";q=2;w=60');
    expect(answer.headers["ratelimit"]).toMatch(/^"two";r=1;t=\d+$/);
  });

  it.for([
    ["gzip", gzipSync],
    ["br", brotliCompressSync],
  ] as const)("stays compressed with %s as the origin compressed it", async ([encoding, compress]) => {
    const zipped = compress(JSON.stringify({ jsonrpc: "2.0", id: 1, result: { text: "again ".repeat(1_000) } }));
    origin.respond = (_seen, response) =>
      void response.writeHead(200, { "Content-Type": "application/json", "Content-Encoding": encoding }).end(zipped);
    // What the client prefers: to any other, Miniflare compresses anew, as Cloudflare's edge does.
    const answer = await postMessage(gate.url, toolCall("t", { encoding }), { "Accept-Encoding": encoding });
    expect(answer.headers["content-encoding"]).toBe(encoding);
    expect(answer.body.equals(zipped)).toBe(true);
  });

  it("is a redirect when the origin redirects: following is the client's business", async () => {
    origin.respond = (_seen, response) => void response.writeHead(307, { Location: "https://elsewhere.example/mcp" }).end();
    const before = origin.seen.length;
    const answer = await postMessage(gate.url, toolCall("t", { redirect: true }));
    expect(answer).toMatchObject({ status: 307, headers: { location: "https://elsewhere.example/mcp" } });
    expect(origin.seen.length).toBe(before + 1);
  });

  it("streams: an event is there before the origin sends the next", async () => {
    const client: { seen: string[]; sawFirst?: () => void } = { seen: [] };
    const sawFirst = new Promise<void>((resolve) => (client.sawFirst = resolve));
    origin.respond = (_seen, response) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write("id: 1\ndata: first\n\n");
      // The second event leaves only when the first has arrived: a gate that buffers would never answer.
      void sawFirst.then(() => response.end("id: 2\ndata: second\n\n"));
    };
    const response = await openRequest(gate.url, messageRequest(toolCall("t", { stream: true }))).answered;
    expect(response.headers["content-type"]).toBe("text/event-stream");
    for await (const chunk of response) {
      client.seen.push(String(chunk));
      client.sawFirst!();
    }
    expect(client.seen.join("")).toBe("id: 1\ndata: first\n\nid: 2\ndata: second\n\n");
  });
});

describe("a client that hangs up", () => {
  it("is seen by the origin as a disconnect while the answer streams", async () => {
    origin.respond = (_seen, response) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write(": open\n\n");
    };
    const request = openRequest(gate.url, messageRequest(toolCall("t", { hangUp: "streaming" })));
    const [seen] = await Promise.all([origin.next(), request.answered]);
    request.hangUp();
    expect(await seen.ended).toBe("broken off");
  });

  it("is seen by the origin as a disconnect before it has answered at all", async () => {
    origin.respond = () => {};
    const arrived = origin.next();
    const request = openRequest(gate.url, messageRequest(toolCall("t", { hangUp: "waiting" })));
    const seen = await arrived;
    request.hangUp();
    expect(await seen.ended).toBe("broken off");
  });

  it("is seen by the origin of a GET stream as well", async () => {
    origin.respond = (_seen, response) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write(": open\n\n");
    };
    const request = openRequest(gate.url, { headers: { Accept: "text/event-stream" } });
    const [seen] = await Promise.all([origin.next(), request.answered]);
    request.hangUp();
    expect(await seen.ended).toBe("broken off");
  });
});

function disguisedCall(i: number): string {
  return `[{"\\u006asonr\\u0070c":"2.0","id":${i},"method":"tools/call","params":{"name":"t","arguments":{"i":${i}}}}]`;
}

describe("JSON-RPC on a path that is not MCP's", () => {
  it("is limited like MCP", async () => {
    const { key } = await makeKey(gate, "two");
    const call = (i: number) => postMessage(gateUrl("/hidden/rpc"), toolCall("t", { i }), { "X-API-Key": key });
    expect((await call(1)).status).toBe(200);
    expect((await call(2)).status).toBe(200);
    const refused = await call(3);
    expect(refused.status).toBe(429);
    expect(errorIn(refused).error.message).toContain('plan "two"');
  });

  it("is limited when its spelling hides it", async () => {
    const { key } = await makeKey(gate, "two");
    const call = (i: number) =>
      send(gateUrl("/hidden"), {
        method: "POST",
        headers: { "Content-Type": "application/json; charset=utf-8", "X-API-Key": key },
        body: disguisedCall(i),
      });
    const statuses = [await call(1), await call(2), await call(3)].map((answer) => answer.status);
    expect(statuses).toEqual([200, 200, 429]);
  });
});

/** What is left of a plan once a refund has had the time to arrive, which is after the answer. */
async function remainingAfter(key: string): Promise<string> {
  await new Promise((resolve) => setTimeout(resolve, 200));
  origin.respond = answerTools;
  return String((await postMessage(gate.url, toolCall("probe"), { "X-API-Key": key })).headers["ratelimit"]);
}

describe("an origin that fails", () => {
  it.for([502, 503])("with %i is passed on as it is, and the call is given back", async (status) => {
    const { key } = await makeKey(gate, "two");
    origin.respond = (_seen, response) => void response.writeHead(status, { "Retry-After": "7" }).end("busy");
    const answer = await postMessage(gate.url, toolCall("t"), { "X-API-Key": key });
    expect(answer).toMatchObject({ status, text: "busy", headers: { "retry-after": "7" } });
    expect(await remainingAfter(key)).toMatch(/^"two";r=1/);
  });

  it("with 500 has had the call, which is not given back", async () => {
    const { key } = await makeKey(gate, "two");
    origin.respond = (_seen, response) => void response.writeHead(500).end();
    await postMessage(gate.url, toolCall("t"), { "X-API-Key": key });
    expect(await remainingAfter(key)).toMatch(/^"two";r=0/);
  });

  it("by breaking the connection is told as the origin's failure, and the call is given back", async () => {
    const { key } = await makeKey(gate, "two");
    origin.respond = (_seen, response) => void response.socket!.resetAndDestroy();
    const answer = await postMessage(gate.url, toolCall("t", {}, "my-id"), { "X-API-Key": key });
    expect(answer.status).toBe(502);
    const { id, error } = errorIn(answer);
    expect(id).toBe("my-id");
    expect(error.message).toContain("MCP server behind this gate cannot be reached");
    expect(error.data).toMatchObject({ cause: "origin", limiter: "origin", status: 502 });
    expect(await remainingAfter(key)).toMatch(/^"two";r=1/);
  });

  it("is told without a word of where it is", async () => {
    origin.respond = (_seen, response) => void response.socket!.resetAndDestroy();
    const answer = await send(gateUrl("/some/page"));
    expect(answer.status).toBe(502);
    expect(answer.text).not.toContain(new URL(origin.url).host);
  });
});

describe("an origin at an address of its own", () => {
  it("is sent what came to /mcp, and when it is gone, that is told by a gate that still answers", async () => {
    const shortLived = await startOrigin();
    const lonely = await startGate({ origin: new URL("/v1/server?tenant=7", shortLived.url).href, policy: POLICY });
    try {
      expect((await postMessage(lonely.url, toolCall("t"))).status).toBe(200);
      const [seen] = shortLived.seen;
      expect(seen!.path).toBe("/v1/server?tenant=7");
      const { t, v1 } = signatureOf(seen!);
      const { headers } = seen!;
      const signed = [t, headers["turnpike-request-id"], headers["turnpike-consumer"], "anonymous", "POST", "/v1/server"].join("\n");
      expect(v1).toBe(createHmac("sha256", secretsOf(lonely).originSigningSecret).update(signed).digest("hex"));

      await shortLived.stop();
      const answer = await postMessage(lonely.url, toolCall("t"));
      expect(answer.status).toBe(502);
      expect(errorIn(answer).error.data).toMatchObject({ cause: "origin", limiter: "origin" });
      expect((await send(new URL("/turnpike/health", lonely.url).href)).status).toBe(200);
    } finally {
      await lonely.stop();
    }
  });
});
