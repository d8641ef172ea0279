import { describe, expect, test } from "vitest";
import { checkHeaders } from "../../src/mcp/headers.ts";
import { HEADER_MISMATCH, INVALID_REQUEST, parseMessages } from "../../src/mcp/message.ts";

const MODERN = "2026-07-28";
const LEGACY = "2025-11-25";

interface Case {
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly revision?: string;
  readonly headers: Record<string, string>;
}

function check({ method = "tools/call", params = { name: "echo" }, revision, headers }: Case) {
  const meta = revision === undefined ? {} : { _meta: { "io.modelcontextprotocol/protocolVersion": revision } };
  const parsed = parseMessages(JSON.stringify({ jsonrpc: "2.0", id: 7, method, params: { ...params, ...meta } }));
  if (!parsed.ok) throw new Error(parsed.bad.message);
  return checkHeaders(parsed.envelope, new Headers(headers));
}

const good = { "MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "echo" };
const base64 = (text: string): string => `=?base64?${Buffer.from(text).toString("base64")}?=`;

describe("headers of a modern request", () => {
  test("that agree with the body pass", () => {
    expect(check({ revision: MODERN, headers: good })).toBeNull();
    expect(check({ revision: MODERN, headers: { ...good, "Mcp-Name": "  echo " } })).toBeNull();
  });

  const { "Mcp-Name": _name, ...noName } = good;
  const { "Mcp-Method": _method, ...noMethod } = good;
  const { "MCP-Protocol-Version": _version, ...noVersion } = good;

  test.each<[string, Record<string, string>]>([
    ["another method", { ...good, "Mcp-Method": "tools/list" }],
    ["a method in another case", { ...good, "Mcp-Method": "Tools/Call" }],
    ["no method", noMethod],
    ["another name", { ...good, "Mcp-Name": "other" }],
    ["a name in another case", { ...good, "Mcp-Name": "Echo" }],
    ["no name", noName],
    ["no version", noVersion],
    ["another modern version", { ...good, "MCP-Protocol-Version": "2027-01-01" }],
    ["a legacy version", { ...good, "MCP-Protocol-Version": LEGACY }],
    ["base64 of another name", { ...good, "Mcp-Name": base64("other") }],
    ["base64 that cannot be decoded", { ...good, "Mcp-Name": "=?base64?%%%?=" }],
    ["base64 that is not UTF-8", { ...good, "Mcp-Name": "=?base64?/w==?=" }],
    ["the marker in capitals, which is no marker", { ...good, "Mcp-Name": base64("echo").replace("base64", "BASE64") }],
  ])("with %s are refused with -32020 and the request's own id", (_what, headers) => {
    expect(check({ revision: MODERN, headers })).toMatchObject({ status: 400, code: HEADER_MISMATCH, id: 7 });
  });

  test.each([
    ["tools/call", "name"],
    ["prompts/get", "name"],
    ["resources/read", "uri"],
    ["tasks/get", "taskId"],
    ["tasks/update", "taskId"],
    ["tasks/cancel", "taskId"],
  ])("%s mirrors params.%s in Mcp-Name", (method, source) => {
    const headers = { "MCP-Protocol-Version": MODERN, "Mcp-Method": method, "Mcp-Name": "a thing" };
    expect(check({ method, params: { [source]: "a thing" }, revision: MODERN, headers })).toBeNull();
    expect(check({ method, params: { [source]: "another" }, revision: MODERN, headers })).toMatchObject({ code: HEADER_MISMATCH });
  });

  test("of other methods need no name", () => {
    const headers = { "MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/list" };
    expect(check({ method: "tools/list", params: {}, revision: MODERN, headers })).toBeNull();
  });

  test.each(["Zürich 東京", " leading", "trailing ", "=?base64?abc?=", "line\nbreak", ""])("carry %j in base64", (name) => {
    expect(check({ params: { name }, revision: MODERN, headers: { ...good, "Mcp-Name": base64(name) } })).toBeNull();
  });

  test("are checked when only the header says that it is modern", () => {
    expect(check({ headers: { ...good, "Mcp-Method": "tools/list" } })).toMatchObject({ code: HEADER_MISMATCH });
    expect(check({ headers: good })).toBeNull();
  });

  test("make a batch a bad request", () => {
    const parsed = parseMessages('[{"jsonrpc":"2.0","id":1,"method":"ping"}]');
    if (!parsed.ok) throw new Error(parsed.bad.message);
    expect(checkHeaders(parsed.envelope, new Headers({ "MCP-Protocol-Version": MODERN }))).toMatchObject({
      status: 400,
      code: INVALID_REQUEST,
    });
  });
});

describe("headers of an older request", () => {
  test.each<[string, Case]>([
    ["mcp-remote: a method and a name, and no version", { method: "initialize", headers: { "Mcp-Method": "x", "Mcp-Name": "y" } }],
    ["ai-sdk: a legacy version on initialize", { method: "initialize", headers: { "MCP-Protocol-Version": LEGACY } }],
    ["a contradicting name", { headers: { "MCP-Protocol-Version": LEGACY, "Mcp-Method": "ping", "Mcp-Name": "other" } }],
    ["a version that is none", { headers: { "MCP-Protocol-Version": "newest" } }],
    ["nothing at all", { headers: {} }],
  ])("are not looked at: %s", (_what, one) => {
    expect(check(one)).toBeNull();
  });
});
