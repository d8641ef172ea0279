import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isDocumentPath, nameByGate, nameByOrigin, pathAtOrigin, siteNames, type SiteNames } from "../../src/origin/site-names.ts";

const NAMES: SiteNames = {
  gate: "https://gate.example",
  origin: "https://mcp.example.com",
  gatePath: "/mcp",
  originPath: "/api/mcp",
};
const GATE_URL = new URL("https://gate.example/mcp");

describe("a site has two names", () => {
  test("when the origin is a URL of another host, or of another path", () => {
    const target = { kind: "url", origin: "https://mcp.example.com", path: "/api/mcp", search: "" } as const;
    expect(siteNames(target, GATE_URL, "/mcp")).toEqual(NAMES);
    expect(siteNames({ ...target, origin: "https://gate.example" }, GATE_URL, "/mcp")).toMatchObject({ originPath: "/api/mcp" });
  });

  test("with the same MCP path in both, when the origin's URL has none", () => {
    const target = { kind: "url", origin: "https://mcp.example.com", path: "/", search: "" } as const;
    expect(siteNames(target, GATE_URL, "/mcp")).toEqual({ ...NAMES, originPath: "/mcp" });
  });

  test("and only one when the origin is asked under the gate's", () => {
    expect(siteNames({ kind: "url", origin: "https://gate.example", path: "/mcp", search: "" }, GATE_URL, "/mcp")).toBeNull();
    expect(siteNames({ kind: "service", binding: "ORIGIN" }, GATE_URL, "/mcp")).toBeNull();
    expect(siteNames({ kind: "same-host" }, GATE_URL, "/mcp")).toBeNull();
  });
});

describe("a URL of the origin's", () => {
  test.each([
    ["https://mcp.example.com", "https://gate.example"],
    ["https://mcp.example.com/", "https://gate.example/"],
    ["https://mcp.example.com/api/mcp", "https://gate.example/mcp"],
    ["https://mcp.example.com/api/mcp/", "https://gate.example/mcp/"],
    ["https://mcp.example.com/api/mcp?tenant=7#top", "https://gate.example/mcp?tenant=7#top"],
    ["https://mcp.example.com/api/mcp/more", "https://gate.example/api/mcp/more"],
    ["https://MCP.example.com:443/token", "https://gate.example/token"],
    ["https://mcp.example.com?x=/api/mcp", "https://gate.example?x=/api/mcp"],
    [
      "https://mcp.example.com/.well-known/oauth-protected-resource/api/mcp",
      "https://gate.example/.well-known/oauth-protected-resource/mcp",
    ],
    ["https://mcp.example.com/.well-known/oauth-protected-resource", "https://gate.example/.well-known/oauth-protected-resource"],
    [
      "https://mcp.example.com/.well-known/oauth-authorization-server/tenant",
      "https://gate.example/.well-known/oauth-authorization-server/tenant",
    ],
    ["https://mcp.example.com/api/mcp/.well-known/openid-configuration", "https://gate.example/mcp/.well-known/openid-configuration"],
  ])("%s is known to clients as %s, and back", (byOrigin, byGate) => {
    expect(nameByGate(byOrigin, NAMES)).toBe(byGate);
    expect(nameByOrigin(byGate, NAMES)).toBe(byOrigin.replace("MCP", "mcp").replace(":443", ""));
  });

  test.each([
    "https://mcp.example.com.evil.example/",
    "https://mcp.example.com@evil.example/",
    "https://user:secret@mcp.example.com/",
    "https://mcp.example.com:8443/",
    "http://mcp.example.com/",
    "https://login.example.com/",
    "https:\\\\mcp.example.com\\api",
    "/api/mcp",
    "mcp.example.com",
    "code",
    "",
    "https://",
    "cursor://mcp.example.com/",
  ])("%s is none, and stays as it is", (text) => {
    expect(nameByGate(text, NAMES)).toBe(text);
  });

  test("comes back as it was from every renaming, whatever its path and query", () => {
    const tail = fc.tuple(fc.webPath(), fc.option(fc.webQueryParameters(), { nil: null }), fc.option(fc.webFragments(), { nil: null }));
    fc.assert(
      fc.property(tail, ([path, query, fragment]) => {
        const rest = path + (query === null ? "" : `?${query}`) + (fragment === null ? "" : `#${fragment}`);
        // The gate's MCP path stands for the origin's: that path of the origin's is hidden behind it.
        fc.pre(!/^\/mcp\/?$/.test(path));
        const byGate = nameByGate(`https://mcp.example.com${rest}`, NAMES);
        expect(new URL(byGate).origin).toBe("https://gate.example");
        expect(nameByOrigin(byGate, NAMES)).toBe(`https://mcp.example.com${rest}`);
      }),
      { numRuns: 200 },
    );
  });

  test("is never made of any other text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webUrl()), (text) => {
        expect(nameByGate(text, NAMES)).toBe(text);
        expect(nameByOrigin(text, NAMES)).toBe(text);
      }),
      { numRuns: 200 },
    );
  });
});

describe("the path of a document", () => {
  test.each([
    ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource"],
    ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource/api/mcp"],
    ["/.well-known/oauth-authorization-server/mcp", "/.well-known/oauth-authorization-server/api/mcp"],
    ["/.well-known/openid-configuration", "/.well-known/openid-configuration"],
    ["/.well-known/openid-configuration/sse", "/.well-known/openid-configuration/sse"],
    ["/mcp/.well-known/openid-configuration", "/api/mcp/.well-known/openid-configuration"],
  ])("%s is that of %s at the origin", (atGate, atOrigin) => {
    expect(isDocumentPath(atGate)).toBe(true);
    expect(pathAtOrigin(atGate, NAMES)).toBe(atOrigin);
  });

  test.each(["/.well-known/jwks.json", "/.well-known/oauth-protected-resources", "/oauth-protected-resource", "/mcp", "/"])(
    "is not %s",
    (path) => {
      expect(isDocumentPath(path)).toBe(false);
    },
  );
});
