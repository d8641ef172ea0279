/** What the gate changes of a sign-in on its way, byte by byte: names in metadata, redirects and token requests, and nothing else. */

import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { policyText } from "../support/admin.ts";
import { type RunningGate, startGate } from "../support/gate.ts";
import { type Answer, postMessage, type Sent, send, toolCall } from "../support/http.ts";
import { type Origin, type Respond, type Seen, startOrigin } from "../support/origin.ts";

const APP = "https://app.example.com";
const FOREIGN = "https://foreign.example";
const METADATA = "/.well-known/oauth-protected-resource";

let origin: Origin;
let gate: RunningGate;
let originHost = "";
let gateHost = "";
beforeAll(async () => {
  origin = await startOrigin();
  originHost = new URL(origin.url).origin;
  gate = await startGate({
    origin: `${originHost}/api/mcp`,
    policy: policyText({ plans: { anonymous: { rate: 1_000 } }, allowedOrigins: [APP] }),
  });
  gateHost = new URL(gate.url).origin;
});
afterAll(async () => {
  await gate.stop();
  await origin.stop();
});
beforeEach(() => {
  origin.respond = (_seen, response) => void response.writeHead(204).end();
});

function answerWith(status: number, headers: Record<string, string | string[]>, body: string | Buffer = ""): Respond {
  return (_seen, response) => void response.writeHead(status, headers).end(body);
}

/** What the client gets, and what the origin saw. */
async function exchange(path: string, sent: Sent = {}): Promise<{ answer: Answer; seen: Seen }> {
  const seen = origin.next();
  const answer = await send(gateHost + path, sent);
  return { answer, seen: await seen };
}

function challengeOf(host: string, path: string): string {
  return `Bearer realm="x", resource_metadata="${host}${METADATA}${path}", scope="a b"`;
}

function authorization(resource: string): string {
  return `response_type=code&client_id=a%20b&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fcb&resource=${encodeURIComponent(resource)}`;
}

function tokenRequest(resource: string): string {
  return `grant_type=refresh_token&refresh_token=a%2Bb+c&resource=${encodeURIComponent(resource)}`;
}

const JSON_TYPE = { "Content-Type": "application/json" };

function documentOf(host: string, path: string): string {
  return JSON.stringify({ resource: host + path, authorization_servers: [host, "https://login.example.com"], x: [1, { y: null }] });
}

describe("a metadata document", () => {
  it("is asked for at the path of the origin's MCP endpoint, and names the gate's", async () => {
    origin.respond = answerWith(200, { ...JSON_TYPE, ETag: '"1"', "Cache-Control": "max-age=60" }, documentOf(originHost, "/api/mcp"));
    const { answer, seen } = await exchange(`${METADATA}/mcp?x=1`);
    expect(seen.path).toBe(`${METADATA}/api/mcp?x=1`);
    expect(seen.headers["accept-encoding"]).toBe("identity");
    expect(answer.text).toBe(documentOf(gateHost, "/mcp"));
    expect(answer.headers).toMatchObject({ "content-type": "application/json", "cache-control": "max-age=60" });
    expect(answer.headers).not.toHaveProperty("etag");
  });

  it.for<[string, { status?: number; type?: string; body: () => string | Buffer }]>([
    ["is no JSON", { body: () => `{"resource":"${originHost}/api/mcp"` }],
    ["says it is no JSON", { type: "text/html", body: () => documentOf(originHost, "/") }],
    ["is no success", { status: 404, body: () => documentOf(originHost, "/") }],
    ["is longer than any", { body: () => JSON.stringify({ resource: originHost, more: "x".repeat(70_000) }) }],
    ["is not in UTF-8", { body: () => Buffer.from([0x7b, 0xff, 0x7d]) }],
    ["names nothing of the origin", { body: () => '{ "resource" : "https://mcp.example.com/mcp" }\n' }],
  ])("that %s passes byte for byte, with its length told or not", async ([, { status = 200, type = "application/json", body }]) => {
    const bytes = Buffer.from(body());
    for (const length of [{ "Content-Length": String(bytes.length) }, { "Transfer-Encoding": "chunked" }]) {
      origin.respond = answerWith(status, { "Content-Type": type, ETag: '"2"', ...(length as Record<string, string>) }, bytes);
      const { answer } = await exchange(METADATA);
      expect(answer).toMatchObject({ status, headers: { "content-type": type, etag: '"2"' } });
      expect(answer.body.equals(bytes)).toBe(true);
    }
  });

  it("that the origin compresses all the same passes as it is", async () => {
    const text = documentOf(originHost, "/api/mcp");
    origin.respond = answerWith(200, { ...JSON_TYPE, "Content-Encoding": "gzip" }, gzipSync(text));
    const { answer } = await exchange(METADATA);
    expect(answer.headers["content-encoding"]).toBe("gzip");
    expect(answer.body.equals(gzipSync(text))).toBe(true);
  });

  it("is one only at its own path: any other JSON that names the origin is left alone", async () => {
    const text = documentOf(originHost, "/api/mcp");
    origin.respond = answerWith(200, JSON_TYPE, text);
    for (const path of ["/api/me", "/.well-known/jwks.json", "/.well-known/oauth-protected-resources"]) {
      expect((await exchange(path)).answer.text).toBe(text);
    }
  });
});

describe("a challenge", () => {
  it("on an MCP path sends the client to the gate's metadata", async () => {
    origin.respond = answerWith(401, { "WWW-Authenticate": challengeOf(originHost, "/api/mcp") }, "sign in");
    const answer = await postMessage(gate.url, toolCall("t"), { Origin: APP });
    expect(answer).toMatchObject({ status: 401, text: "sign in" });
    expect(answer.headers["www-authenticate"]).toBe(challengeOf(gateHost, "/mcp"));
    expect(answer.headers["access-control-expose-headers"]).toContain("WWW-Authenticate");
  });
});

describe("an authorization request", () => {
  it("asks for the origin's resource, and its redirects stay on the gate and end at the client", async () => {
    origin.respond = answerWith(303, {
      Location: `${originHost}/login?next=%2Fresume`,
      "Set-Cookie": ["sid=1; Path=/; Domain=login.example.com; HttpOnly", "plain=2; Path=/"],
    });
    const asked = await exchange(`/authorize?${authorization(gate.url)}`);
    expect(asked.seen.path).toBe(`/authorize?${authorization(`${originHost}/api/mcp`)}`);
    expect(asked.answer.status).toBe(303);
    expect(asked.answer.headers.location).toBe(`${gateHost}/login?next=%2Fresume`);
    expect(asked.answer.headers["set-cookie"]).toEqual(["sid=1; Path=/; HttpOnly", "plain=2; Path=/"]);

    origin.respond = answerWith(302, { Location: `http://127.0.0.1:9/cb?code=1&state=s&iss=${encodeURIComponent(originHost)}` });
    const ended = await exchange("/resume");
    expect(ended.answer.headers.location).toBe(`http://127.0.0.1:9/cb?code=1&state=s&iss=${encodeURIComponent(gateHost)}`);
  });

  it("from a page of the gate's own host is one of the origin's own site", async () => {
    const { seen } = await exchange("/login", {
      method: "POST",
      headers: { Origin: gateHost, Referer: `${gateHost}/login?x=1` },
      body: "",
    });
    expect(seen.headers).toMatchObject({ origin: originHost, referer: `${originHost}/login?x=1` });
    const foreign = await exchange("/login", { method: "POST", headers: { Origin: FOREIGN, Referer: `${FOREIGN}/` }, body: "" });
    expect(foreign.seen.headers).toMatchObject({ origin: FOREIGN, referer: `${FOREIGN}/` });
  });
});

describe("a token request", () => {
  const form = { "Content-Type": "application/x-www-form-urlencoded" };

  it("asks for the origin's resource, and its length is true", async () => {
    const { seen } = await exchange("/token", {
      method: "POST",
      headers: { ...form, "Content-Length": String(tokenRequest(gate.url).length) },
      body: tokenRequest(gate.url),
    });
    expect(seen.body.toString()).toBe(tokenRequest(`${originHost}/api/mcp`));
    expect(seen.headers["content-length"]).toBe(String(tokenRequest(`${originHost}/api/mcp`).length));
    const chunked = await exchange("/token", {
      method: "POST",
      headers: { ...form, "Transfer-Encoding": "chunked" },
      body: tokenRequest(gate.url),
    });
    expect(chunked.seen.body.toString()).toBe(tokenRequest(`${originHost}/api/mcp`));
  });

  it.for([
    ["of another type", { "Content-Type": "text/plain" }, (text: string) => text],
    ["that is compressed", { ...form, "Content-Encoding": "gzip" }, (text: string) => gzipSync(text)],
    ["that is longer than any", form, (text: string) => `${text}&more=${"x".repeat(70_000)}`],
    ["that is no text", form, (text: string) => Buffer.concat([Buffer.from(text), Buffer.from([0xff])])],
    ["that is no OAuth", form, (text: string) => text.replace("grant_type", "kind")],
  ] as const)("%s passes byte for byte", async ([, headers, write]) => {
    const body = Buffer.from(write(tokenRequest(gate.url)));
    const sized = await exchange("/token", { method: "POST", headers: { ...headers, "Content-Length": String(body.length) }, body });
    expect(sized.seen.body.equals(body)).toBe(true);
    const chunked = await exchange("/token", { method: "POST", headers: { ...headers, "Transfer-Encoding": "chunked" }, body });
    expect(chunked.seen.body.equals(body)).toBe(true);
  });
});

describe("a browser's page", () => {
  const preflight = { "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "mcp-protocol-version" };

  it("that may call the gate may read the metadata, the registration and the token, also when the origin says nothing of CORS", async () => {
    origin.respond = answerWith(200, JSON_TYPE, documentOf(originHost, "/api/mcp"));
    for (const [path, method] of [
      [METADATA, "GET"],
      ["/register", "POST"],
      ["/token", "POST"],
    ] as const) {
      const allowed = await exchange(path, { method: "OPTIONS", headers: { Origin: APP, ...preflight } });
      expect(allowed.answer).toMatchObject({ status: 204, headers: { "access-control-allow-origin": APP } });
      expect(allowed.answer.headers["access-control-allow-headers"]).toBe("mcp-protocol-version");
      const { answer } = await exchange(path, { method, headers: { Origin: APP } });
      expect(answer).toMatchObject({ status: 200, headers: { "access-control-allow-origin": APP } });
      expect(answer.headers["vary"]).toMatch(/\bOrigin\b/);
    }
  });

  it("of a foreign site may read what the origin itself lets it read, and nothing else", async () => {
    origin.respond = answerWith(200, { ...JSON_TYPE, "Access-Control-Allow-Origin": "*" }, documentOf(originHost, "/api/mcp"));
    const open = await exchange(METADATA, { headers: { Origin: FOREIGN } });
    expect(open.answer).toMatchObject({ status: 200, text: documentOf(gateHost, "/mcp"), headers: { "access-control-allow-origin": "*" } });
    const preflighted = await exchange(METADATA, { method: "OPTIONS", headers: { Origin: FOREIGN, ...preflight } });
    expect(preflighted.answer.headers["access-control-allow-origin"]).toBe("*");
    origin.respond = answerWith(200, JSON_TYPE, "{}");
    expect((await exchange(METADATA, { headers: { Origin: FOREIGN } })).answer.headers).not.toHaveProperty("access-control-allow-origin");
  });
});
