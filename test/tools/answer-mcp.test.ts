import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { serveTools, type ToolServer } from "../../src/tools/answer-mcp.ts";
import { gateToolServer } from "../../src/tools/definitions.ts";
import { madeUpActions, STATUS, textTool, VERIFIED } from "./made-up.ts";

const URL = "https://gate.test/turnpike/mcp";
const MODERN = "2026-07-28";
const META = { "io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {} };

const server = gateToolServer(madeUpActions());

interface Told {
  readonly status: number;
  readonly headers: Headers;
  readonly json: unknown;
}

async function post(message: unknown, headers: Record<string, string> = {}, to: ToolServer = server): Promise<Told> {
  const body = typeof message === "string" ? message : JSON.stringify(message);
  const request = new Request(URL, { method: "POST", body, headers: { "Content-Type": "application/json", ...headers } });
  const response = await serveTools(request, to);
  const text = await response.text();
  return { status: response.status, headers: response.headers, json: text === "" ? null : JSON.parse(text) };
}

function legacy(method: string, params: object = {}, headers: Record<string, string> = {}): Promise<Told> {
  return post({ jsonrpc: "2.0", id: 7, method, params }, headers);
}

function modern(method: string, params: { readonly name?: string } & object = {}, meta: unknown = META, version = MODERN): Promise<Told> {
  const name = params.name === undefined ? {} : { "Mcp-Name": params.name };
  const headers = { "MCP-Protocol-Version": version, "Mcp-Method": method, ...name };
  return post({ jsonrpc: "2.0", id: 7, method, params: { ...params, ...(meta === null ? {} : { _meta: meta }) } }, headers);
}

function call(id: number, name: string, args: object = {}) {
  return { jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: args } };
}

describe("a client of the handshake era", () => {
  test.each([
    ["2024-11-05", "2024-11-05"],
    ["2025-03-26", "2025-03-26"],
    ["2025-06-18", "2025-06-18"],
    ["2025-11-25", "2025-11-25"],
    ["2026-07-28", "2025-11-25"],
    ["1999-01-01", "2025-11-25"],
    ["", "2025-11-25"],
  ])("that asks for %j is offered %s, and no session", async (asked, offered) => {
    const { status, headers, json } = await legacy("initialize", { protocolVersion: asked, capabilities: {}, clientInfo: {} });
    expect(status).toBe(200);
    expect(json).toMatchObject({
      jsonrpc: "2.0",
      id: 7,
      result: { protocolVersion: offered, capabilities: { tools: {} }, serverInfo: { name: "turnpike" } },
    });
    expect(headers.get("mcp-session-id")).toBeNull();
    expect(headers.get("cache-control")).toBe("no-store");
  });

  test("that names no version is told so", async () => {
    expect((await legacy("initialize", {})).json).toMatchObject({ id: 7, error: { code: -32602 } });
  });

  test("may send any version header with initialize, whose version is in the body", async () => {
    const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: {} };
    for (const version of ["2025-11-25", "newest"]) {
      const { json } = await legacy("initialize", params, { "MCP-Protocol-Version": version });
      expect(json).toMatchObject({ result: { protocolVersion: "2025-11-25" } });
    }
  });

  test.each([undefined, "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])(
    "lists and calls with the version header %s",
    async (version) => {
      const headers: Record<string, string> = version === undefined ? {} : { "MCP-Protocol-Version": version };
      const listed = await legacy("tools/list", {}, headers);
      const { result } = listed.json as { result: { tools: { name: string }[] } };
      expect(result.tools.map((tool) => tool.name)).toEqual(["challenge", "verify", "status"]);
      expect(Object.keys(result)).toEqual(["tools"]);
      const called = await legacy("tools/call", { name: "status" }, headers);
      expect(called).toMatchObject({ status: 200, json: { id: 7, result: { structuredContent: STATUS } } });
    },
  );

  test("that names a version nobody speaks gets 400 and hears which are spoken", async () => {
    const { status, json } = await legacy("tools/list", {}, { "MCP-Protocol-Version": "newest" });
    expect(status).toBe(400);
    expect(json).toMatchObject({ id: 7, error: { code: -32022, data: { supported: [MODERN], requested: "newest" } } });
  });

  test("pings", async () => {
    expect(await legacy("ping")).toMatchObject({ status: 200, json: { jsonrpc: "2.0", id: 7, result: {} } });
  });

  test.each(["resources/list", "server/discover", "constructor", "__proto__"])(
    "hears of %s that there is no such method, with status 200",
    async (method) => {
      expect(await legacy(method)).toMatchObject({ status: 200, json: { id: 7, error: { code: -32601 } } });
    },
  );

  test.each([
    ["an unknown tool", { name: "toString" }],
    ["no name", {}],
    ["a name that is none", { name: 5 }],
    ["arguments that are none", { name: "status", arguments: [1] }],
    ["no arguments where null is no object", { name: "status", arguments: null }],
  ])("that calls with %s hears so as an error of the protocol", async (_what, params) => {
    expect(await legacy("tools/call", params)).toMatchObject({ status: 200, json: { id: 7, error: { code: -32602 } } });
  });

  test("that sends a cursor it was never given is told so", async () => {
    expect((await legacy("tools/list", { cursor: "x" })).json).toMatchObject({ error: { code: -32602 } });
    expect((await legacy("tools/list", { cursor: null })).json).toMatchObject({ result: { tools: [{}, {}, {}] } });
  });

  test.each([
    ["a notification", { jsonrpc: "2.0", method: "notifications/initialized" }],
    ["a notification nobody knows", { jsonrpc: "2.0", method: "notifications/anything", params: {} }],
    ["an answer", { jsonrpc: "2.0", id: 1, result: {} }],
    [
      "a batch of both",
      [
        { jsonrpc: "2.0", method: "notifications/cancelled" },
        { jsonrpc: "2.0", id: 1, result: {} },
      ],
    ],
  ])("that sends %s gets 202 and nothing else", async (_what, message) => {
    expect(await post(message)).toMatchObject({ status: 202, json: null });
  });
});

describe("a batch", () => {
  const initialize = { jsonrpc: "2.0", id: 1, method: "initialize", params: { protocolVersion: "2025-03-26" } };

  test.each([undefined, "2025-03-26", "2024-11-05"])("is answered as one, in its order, under the version header %s", async (version) => {
    const batch = [
      call(1, "status"),
      { jsonrpc: "2.0", method: "notifications/initialized" },
      { jsonrpc: "2.0", id: "x", method: "nothing" },
    ];
    const { status, json } = await post(batch, version === undefined ? {} : { "MCP-Protocol-Version": version });
    expect(status).toBe(200);
    expect(json).toMatchObject([
      { id: 1, result: { structuredContent: STATUS } },
      { id: "x", error: { code: -32601 } },
    ]);
    expect(json).toHaveLength(2);
  });

  test.each(["2025-06-18", "2025-11-25", MODERN])("is refused under %s, which has none", async (version) => {
    const { status, json } = await post([call(1, "status")], { "MCP-Protocol-Version": version });
    expect(status).toBe(400);
    expect(json).toMatchObject({ error: { code: -32600 } });
  });

  test("cannot hold an initialize", async () => {
    expect((await post([initialize])).json).toMatchObject([{ id: 1, error: { code: -32600 } }]);
  });

  test("runs one call after the other: a status behind a verify knows of it", async () => {
    let credits = 0;
    const slow = gateToolServer(
      madeUpActions({
        async verify() {
          await new Promise((resolve) => setTimeout(resolve, 20));
          credits = 10;
          return { ok: true, value: VERIFIED };
        },
        status: () => Promise.resolve({ ok: true, value: { ...STATUS, credits } }),
      }),
    );
    const { json } = await post([call(1, "verify", { id: "a", salt: "b", nonce: "c", signature: "d" }), call(2, "status")], {}, slow);
    expect(json).toMatchObject([{ id: 1 }, { id: 2, result: { structuredContent: { credits: 10 } } }]);
  });
});

describe("a client of 2026-07-28", () => {
  test("discovers what the server is, and may keep it for a while", async () => {
    const { status, json } = await modern("server/discover");
    expect(status).toBe(200);
    expect(json).toMatchObject({
      id: 7,
      result: {
        resultType: "complete",
        supportedVersions: [MODERN],
        capabilities: { tools: {} },
        cacheScope: "public",
        _meta: { "io.modelcontextprotocol/serverInfo": { name: "turnpike" } },
      },
    });
    expect((json as { result: { ttlMs: number } }).result.ttlMs).toBeGreaterThan(0);
  });

  test("lists and calls without a handshake", async () => {
    const listed = await modern("tools/list");
    expect(listed.json).toMatchObject({ result: { resultType: "complete", cacheScope: "public", tools: [{ name: "challenge" }, {}, {}] } });
    const called = await modern("tools/call", { name: "status" });
    expect(called).toMatchObject({ status: 200, json: { result: { resultType: "complete", structuredContent: STATUS } } });
    expect(called.headers.get("content-type")).toMatch(/^application\/json/);
  });

  test.each([
    ["no _meta", null],
    ["a _meta that is none", "x"],
    ["no protocol version", { "io.modelcontextprotocol/clientCapabilities": {} }],
    ["no capabilities", { "io.modelcontextprotocol/protocolVersion": MODERN }],
    ["capabilities that are none", { ...META, "io.modelcontextprotocol/clientCapabilities": [] }],
  ])("that sends %s gets 400 and -32602", async (_what, meta) => {
    expect(await modern("tools/list", {}, meta)).toMatchObject({ status: 400, json: { id: 7, error: { code: -32602 } } });
  });

  test.each(["2027-01-01", "v999.0.0", "2025-11-25"])("that speaks %s in its _meta hears which versions are spoken so", async (version) => {
    const meta = { ...META, "io.modelcontextprotocol/protocolVersion": version };
    const { status, json } = await modern("tools/list", {}, meta, version);
    expect(status).toBe(400);
    expect(json).toMatchObject({ id: 7, error: { code: -32022, data: { supported: [MODERN], requested: version } } });
  });

  test("of a later revision whose _meta cannot be read is told about the revision first", async () => {
    const { json } = await modern("tools/list", {}, null, "2027-01-01");
    expect(json).toMatchObject({ error: { code: -32022, data: { requested: "2027-01-01" } } });
  });

  test.each(["initialize", "ping", "logging/setLevel", "subscriptions/listen", "tasks/get", "no/such"])(
    "gets 404 and -32601 for %s",
    async (method) => {
      expect(await modern(method)).toMatchObject({ status: 404, json: { id: 7, error: { code: -32601 } } });
    },
  );

  test("whose headers say something else than its body is refused before anything is called", async () => {
    const headers = { "MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "verify" };
    const message = { jsonrpc: "2.0", id: 7, method: "tools/call", params: { name: "status", arguments: {}, _meta: META } };
    expect(await post(message, headers)).toMatchObject({ status: 400, json: { id: 7, error: { code: -32020 } } });
  });
});

describe("the endpoint", () => {
  test.each(["GET", "DELETE", "PUT", "HEAD"])("takes no %s", async (method) => {
    const response = await serveTools(new Request(URL, { method }), server);
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("POST");
    expect(response.headers.get("cache-control")).toBe("no-store");
  });

  test.each([
    ["no JSON", "{", 400, -32700],
    ["an empty batch", "[]", 400, -32600],
    ["a batch of too many", JSON.stringify(Array.from({ length: 101 }, (_, id) => ({ jsonrpc: "2.0", id, method: "ping" }))), 400, -32600],
    ["a key twice", '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}', 400, -32600],
  ])("answers %s with an error of the protocol", async (_what, body, status, code) => {
    expect(await post(body)).toMatchObject({ status, json: { error: { code } } });
  });

  test("takes JSON only", async () => {
    expect((await post("{}", { "Content-Type": "text/plain" })).status).toBe(415);
  });

  test("leaves a tool that fails by a fault of the gate to whoever keeps the log", async () => {
    const broken = { tools: [{ ...textTool("broken", ""), call: () => Promise.reject(new Error("a fault")) }], instructions: "" };
    const message = { jsonrpc: "2.0", id: 7, method: "tools/call", params: { name: "broken" } };
    await expect(post(message, {}, broken)).rejects.toThrow("a fault");
  });

  test("says which version of the package it is", async () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    const { json } = await legacy("initialize", { protocolVersion: "2025-11-25" });
    expect(json).toMatchObject({ result: { serverInfo: { version } } });
  });
});
