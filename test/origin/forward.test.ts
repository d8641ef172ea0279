import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { OriginTarget } from "../../src/resolve-policy.ts";
import { forwardedAuthorization, forwardedHeaders, originAddress } from "../../src/origin/forward.ts";

const HOP_BY_HOP = [
  "Connection",
  "Keep-Alive",
  "Proxy-Authenticate",
  "Proxy-Authorization",
  "Proxy-Connection",
  "TE",
  "Trailer",
  "Transfer-Encoding",
];

function to(url: string): OriginTarget {
  const { origin, pathname, search } = new URL(url);
  return { kind: "url", origin, path: pathname, search };
}

describe("the headers that travel on", () => {
  test("are those that came, without what is of one connection only", () => {
    const incoming = new Headers({ Accept: "text/event-stream", "Mcp-Session-Id": "s1", Authorization: "Bearer x" });
    for (const name of HOP_BY_HOP) incoming.set(name, "x");
    incoming.set("Connection", "close, X-One , x-two,, not a name");
    incoming.set("X-One", "1");
    incoming.set("X-Two", "2");
    expect(Object.fromEntries(forwardedHeaders(incoming, null, false, {}))).toEqual({
      accept: "text/event-stream",
      authorization: "Bearer x",
      "mcp-session-id": "s1",
    });
  });

  test("carry nothing that a client has forged under our names, and all that the gate says", () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[A-Za-z0-9-]{1,12}$/), { maxLength: 6 }), (suffixes) => {
        const incoming = new Headers();
        for (const suffix of ["Consumer", "Plan", "Signature", ...suffixes]) incoming.set(`turnpike-${suffix}`, "forged");
        incoming.set("Connection", "Turnpike-Consumer");
        const headers = forwardedHeaders(incoming, null, false, { "Turnpike-Consumer": "key:acme" });
        expect(Object.fromEntries(headers)).toEqual({ "turnpike-consumer": "key:acme" });
      }),
      { numRuns: 200 },
    );
  });

  test("leave out the credential that told who it is, and only that", () => {
    const incoming = new Headers({ "X-API-Key": "any value", Authorization: "Bearer theirs" });
    expect(Object.fromEntries(forwardedHeaders(incoming, "x-api-key", false, {}))).toEqual({ authorization: "Bearer theirs" });
    expect(Object.fromEntries(forwardedHeaders(incoming, "authorization", false, {}))).toEqual({ "x-api-key": "any value" });
    expect(incoming.get("X-API-Key")).toBe("any value");
  });

  test("leave out every key of the gate's own, whichever header it stands in", () => {
    const incoming = new Headers({ "X-API-Key": "tp_one", Authorization: "bearer tp_two" });
    expect(Object.fromEntries(forwardedHeaders(incoming, null, false, {}))).toEqual({});
  });

  test.each(["L402 AgEE:00", "LSAT AgEE:00", "l402"])(
    "leave out a payment that is shown to a gate that sells, %s, and to no other",
    (value) => {
      const incoming = new Headers({ Authorization: value });
      expect(forwardedHeaders(incoming, null, true, {}).get("authorization")).toBeNull();
      expect(forwardedAuthorization(incoming, null, true)).toBeNull();
      expect(forwardedHeaders(incoming, null, false, {}).get("authorization")).toBe(value);
      expect(forwardedAuthorization(incoming, null, false)).toBe(value);
    },
  );
});

describe("where a request goes", () => {
  test.each([
    ["https://mcp.example.com/api/mcp", "/mcp", "https://mcp.example.com/api/mcp"],
    ["https://mcp.example.com/api/mcp", "/mcp?session=1", "https://mcp.example.com/api/mcp?session=1"],
    ["https://mcp.example.com/api/mcp", "/sse", "https://mcp.example.com/sse"],
    ["https://mcp.example.com/api/mcp", "/mcp/more", "https://mcp.example.com/mcp/more"],
    ["https://mcp.example.com", "/mcp", "https://mcp.example.com/mcp"],
    ["https://mcp.example.com/", "/mcp?x=1", "https://mcp.example.com/mcp?x=1"],
    ["https://mcp.example.com/mcp?tenant=7", "/mcp", "https://mcp.example.com/mcp?tenant=7"],
    ["http://127.0.0.1:3001/mcp", "/.well-known/oauth-protected-resource", "http://127.0.0.1:3001/.well-known/oauth-protected-resource"],
    ["https://mcp.example.com/mcp", "//evil.example/x", "https://mcp.example.com//evil.example/x"],
    ["https://mcp.example.com/mcp", "/a%2Fb/../c?q=%20", "https://mcp.example.com/c?q=%20"],
  ])("with the origin %s, %s goes to %s", (origin, path, expected) => {
    expect(originAddress(to(origin), new URL(`https://gate.example${path}`), "/mcp").url).toBe(expected);
  });

  test("never leaves the origin's host, whatever the path", () => {
    fc.assert(
      fc.property(fc.webPath(), fc.webQueryParameters(), (path, query) => {
        const { url } = originAddress(to("https://mcp.example.com/mcp"), new URL(`https://gate.example/${path}?${query}`), "/mcp");
        expect(new URL(url).origin).toBe("https://mcp.example.com");
      }),
      { numRuns: 300 },
    );
  });

  test("stays as it is for a service binding and for the same host", () => {
    const url = new URL("https://gate.example/mcp?x=1");
    expect(originAddress({ kind: "service", binding: "ORIGIN" }, url, "/mcp")).toEqual({ url: url.href, path: url.pathname });
    expect(originAddress({ kind: "same-host" }, url, "/mcp")).toEqual({ url: url.href, path: url.pathname });
  });
});
