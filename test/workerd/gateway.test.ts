/** The gate when a consumer's object cannot be asked: open for known keys at a tenth, closed for everybody else. */

import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ConsumerNamespace } from "../../durable-objects/ask-consumer.ts";
import { createKey, hashKey } from "../../src/consumers/api-keys.ts";
import { createGateway, definePolicy, type GateEnv, type Policy } from "../../src/index.ts";

const POLICY = definePolicy({
  origin: "https://origin.example/mcp",
  plans: { anonymous: { rate: 10 }, pro: { rate: 120 } },
});

/** An object that answers nothing but errors. */
const BROKEN = {
  getByName: () => ({
    ask: () => Promise.reject(new Error("overloaded")),
    refund: () => Promise.reject(new Error("overloaded")),
  }),
} as unknown as ConsumerNamespace;

let forwarded: Request[] = [];

beforeEach(() => {
  forwarded = [];
  vi.spyOn(console, "log").mockImplementation(() => {});
  vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
    forwarded.push(new Request(input, init));
    return Promise.resolve(Response.json({ jsonrpc: "2.0", id: 1, result: {} }));
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

async function aKey(plan: string): Promise<string> {
  const key = createKey();
  const record = { consumer: `owner-${crypto.randomUUID()}`, plan, version: 1, createdAt: "2026-11-21T12:00:00Z" };
  await env.KEYS.put(`key:${await hashKey(key)}`, JSON.stringify(record));
  return key;
}

interface Posted {
  readonly url?: string;
  readonly headers?: Record<string, string>;
  readonly body?: BodyInit;
}

function gateOf(policy: Policy, consumers: ConsumerNamespace) {
  const gate = createGateway(policy);
  const bindings: GateEnv = { KEYS: env.KEYS, CONSUMERS: consumers };
  let id = 0;
  return async ({ url = "https://gate.example/mcp", headers = {}, body }: Posted = {}): Promise<Response> => {
    const ctx = createExecutionContext();
    const message = { jsonrpc: "2.0", id: ++id, method: "tools/call", params: { name: "echo", arguments: { id } } };
    const request = new Request(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: body ?? JSON.stringify(message),
    });
    const response = await gate.fetch(request, bindings, ctx);
    await waitOnExecutionContext(ctx);
    return response;
  };
}

describe("when the consumer's object cannot be asked", () => {
  test("a known key passes at a tenth of its plan, and is then told 503", async () => {
    const post = gateOf(POLICY, BROKEN);
    const headers = { "X-API-Key": await aKey("pro") };
    const statuses: number[] = [];
    for (let i = 0; i < 14; i++) statuses.push((await post({ headers })).status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(12);
    expect(forwarded).toHaveLength(12);
    const refused = await post({ headers });
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThan(0);
    expect(await refused.json()).toMatchObject({ id: 15, error: { code: 503, data: { cause: "capacity", estimated: true } } });
  });

  test("an address is told 503 at once, and the origin hears nothing of it", async () => {
    const post = gateOf(POLICY, BROKEN);
    const refused = await post({ headers: { "CF-Connecting-IP": "192.0.2.7" } });
    expect(refused.status).toBe(503);
    expect(refused.headers.get("Retry-After")).toBe("5");
    expect(refused.headers.get("RateLimit")).toBeNull();
    expect(await refused.json()).toMatchObject({ jsonrpc: "2.0", id: 1, error: { code: 503, data: { cause: "capacity" } } });
    expect(forwarded).toHaveLength(0);
  });

  test("the policy can close it for keys, and open it for addresses", async () => {
    const post = gateOf({ ...POLICY, whenUnavailable: { keys: "closed", others: "open" } }, BROKEN);
    expect((await post({ headers: { "X-API-Key": await aKey("pro") } })).status).toBe(503);
    const address = { "CF-Connecting-IP": "192.0.2.8" };
    expect((await post({ headers: address })).status).toBe(200);
    expect((await post({ headers: address })).status).toBe(503);
  });

  test("an object that does not answer is given up after two seconds", async () => {
    const silent = { getByName: () => ({ ask: () => new Promise(() => {}) }) } as unknown as ConsumerNamespace;
    const post = gateOf(POLICY, silent);
    expect((await post({ headers: { "CF-Connecting-IP": "192.0.2.9" } })).status).toBe(503);
  });
});

describe("no other door", () => {
  const address = { "CF-Connecting-IP": "198.51.100.20" };
  const url = "https://gate.example/some/other/path";
  const call = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "echo" } });

  /** Posted to a path that is not MCP's, none of these may reach an origin that would read it as a call. */
  async function passes(headers: Record<string, string>, body: BodyInit): Promise<boolean> {
    const response = await gateOf(POLICY, BROKEN)({ url, headers: { ...address, ...headers }, body });
    await response.arrayBuffer();
    return forwarded.length > 0;
  }

  test("a JSON-RPC message that is POSTed elsewhere is asked about like any other", async () => {
    expect(await passes({}, call)).toBe(false);
  });

  test("what is no JSON-RPC goes to the origin untouched", async () => {
    expect(await passes({}, '{"hello":"world"}')).toBe(true);
    expect(await forwarded[0]!.text()).toBe('{"hello":"world"}');
    expect(forwarded[0]!.url).toBe("https://origin.example/some/other/path");
  });

  // Many servers still take any Content-Type that contains "application/json", as the official SDKs did until lately.
  test.each(["application/json-rpc", "application/json, text/plain", "text/plain; note=application/json"])(
    "nor as %s, which servers with a looser check read as JSON too",
    async (type) => {
      expect(await passes({ "Content-Type": type }, call)).toBe(false);
    },
  );

  // express.json(), in front of most servers made with the official SDK, inflates bodies before it reads them.
  test("nor compressed", async () => {
    const gzipped = await new Response(new Response(call).body!.pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
    expect(await passes({ "Content-Encoding": "gzip" }, gzipped)).toBe(false);
  });

  // It also reads any charset whose name begins with "utf-".
  test("nor in UTF-16", async () => {
    const utf16 = new Uint8Array(Array.from(call, (char) => [char.charCodeAt(0), 0]).flat());
    expect(await passes({ "Content-Type": "application/json; charset=utf-16le" }, utf16)).toBe(false);
  });
});
