import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  translateChallenge,
  translateCookie,
  translateDocument,
  translateParameters,
  translateRedirect,
} from "../../src/origin/sign-in.ts";
import type { SiteNames } from "../../src/origin/site-names.ts";

const NAMES: SiteNames = {
  gate: "https://gate.example",
  origin: "https://mcp.example.com",
  gatePath: "/mcp",
  originPath: "/api/mcp",
};

describe("a challenge", () => {
  test.each([
    [
      'Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/api/mcp", scope="read write"',
      'Bearer resource_metadata="https://gate.example/.well-known/oauth-protected-resource/mcp", scope="read write"',
    ],
    [
      'Bearer realm="a, b", error="invalid_token", Resource_Metadata = https://mcp.example.com/meta',
      'Bearer realm="a, b", error="invalid_token", Resource_Metadata = "https://gate.example/meta"',
    ],
    [
      'Basic realm="x", Bearer resource_metadata="https://mcp.example.com/a", DPoP resource_metadata="https://mcp.example.com/b"',
      'Basic realm="x", Bearer resource_metadata="https://gate.example/a", DPoP resource_metadata="https://gate.example/b"',
    ],
  ])("names the gate where it named the origin: %s", (challenge, expected) => {
    expect(translateChallenge(challenge, NAMES)).toBe(expected);
  });

  test.each([
    "Bearer",
    'Bearer resource_metadata="https://elsewhere.example/meta"',
    'Bearer realm="https://mcp.example.com"',
    'Bearer resource_metadata=""',
    'Bearer resource_metadata="',
  ])("stays as it is otherwise: %s", (challenge) => {
    expect(translateChallenge(challenge, NAMES)).toBe(challenge);
  });
});

describe("a metadata document", () => {
  test("of the resource names the gate's MCP endpoint and an authorization server on the same host", () => {
    const document = {
      resource: "https://mcp.example.com/api/mcp",
      authorization_servers: ["https://mcp.example.com", "https://login.example.com/"],
      scopes_supported: ["read"],
      resource_documentation: "https://docs.example.com/https://mcp.example.com",
    };
    expect(JSON.parse(translateDocument(JSON.stringify(document), NAMES)!)).toEqual({
      ...document,
      resource: "https://gate.example/mcp",
      authorization_servers: ["https://gate.example", "https://login.example.com/"],
    });
  });

  test("of the authorization server names the gate in the issuer and every endpoint, also of mutual TLS", () => {
    const document = {
      issuer: "https://mcp.example.com/tenant",
      authorization_endpoint: "https://mcp.example.com/tenant/authorize?x=1",
      token_endpoint: "https://mcp.example.com/tenant/token",
      jwks_uri: "https://keys.example.com/jwks",
      mtls_endpoint_aliases: { token_endpoint: "https://mcp.example.com/mtls/token" },
      require_pushed_authorization_requests: false,
      a_number: 1.5,
      nothing: null,
    };
    expect(JSON.parse(translateDocument(JSON.stringify(document), NAMES)!)).toEqual({
      ...document,
      issuer: "https://gate.example/tenant",
      authorization_endpoint: "https://gate.example/tenant/authorize?x=1",
      token_endpoint: "https://gate.example/tenant/token",
      mtls_endpoint_aliases: { token_endpoint: "https://gate.example/mtls/token" },
    });
  });

  test("loses the signature that would contradict it, and keeps one that does not", () => {
    const signed = { resource: "https://mcp.example.com/api/mcp", signed_metadata: "a.b.c" };
    expect(JSON.parse(translateDocument(JSON.stringify(signed), NAMES)!)).toEqual({ resource: "https://gate.example/mcp" });
    expect(translateDocument(JSON.stringify({ ...signed, resource: "https://other.example" }), NAMES)).toBeNull();
  });

  test.each([
    "",
    "null",
    "7",
    '"https://mcp.example.com"',
    '["https://mcp.example.com"]',
    '{"resource":"https://mcp.example.com/api/mcp"',
    "{}",
    '{"resource":"https://other.example"}',
  ])("is left untouched when it is %s", (text) => {
    expect(translateDocument(text, NAMES)).toBeNull();
  });

  test("of any JSON keeps all but the origin's name, however deep it goes", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (json) => {
        const whole = `{"resource":"https://mcp.example.com/api/mcp","__proto__":${json},"more":${json}}`;
        const expected: unknown = JSON.parse(whole.replace("https://mcp.example.com/api/mcp", "https://gate.example/mcp"));
        expect(JSON.parse(translateDocument(whole, NAMES)!)).toEqual(expected);
      }),
      { numRuns: 200 },
    );
    const deep = `{"resource":"https://mcp.example.com","deep":${"[".repeat(20_000)}${"]".repeat(20_000)}}`;
    // Too deep to be written again: left untouched.
    expect(translateDocument(deep, NAMES)).toBeNull();
  });
});

describe("an authorization or token request", () => {
  const resource = encodeURIComponent("https://gate.example/mcp");
  const known = encodeURIComponent("https://mcp.example.com/api/mcp");

  test.each([
    [`response_type=code&client_id=x&resource=${resource}&state=%7E`, `response_type=code&client_id=x&resource=${known}&state=%7E`],
    [`grant_type=authorization_code&resource=${resource}`, `grant_type=authorization_code&resource=${known}`],
    [`resource=https://gate.example/mcp&client_id=x`, `resource=${known}&client_id=x`],
    [
      `grant_type=refresh_token&resource=${resource}&resource=https%3A%2F%2Fapi.example%2F`,
      `grant_type=refresh_token&resource=${known}&resource=https%3A%2F%2Fapi.example%2F`,
    ],
  ])("asks for the origin's resource: %s", (text, expected) => {
    expect(translateParameters(text, NAMES)).toBe(expected);
  });

  test.each([
    "",
    `resource=${resource}`,
    `q=1&resource=${resource}`,
    `client_id=x&my_resource=${resource}`,
    "client_id=x&resource=https%3A%2F%2Fother.example%2Fmcp",
    "client_id=x&resource=https%3A%2F%2Fgate.example.evil.example%2Fmcp",
    "client_id=x&resource=%E0%A4%A",
    "client_id=x&resource",
    `client_id=x&redirect_uri=${resource}`,
  ])("stays as it is written otherwise: %s", (text) => {
    expect(translateParameters(text, NAMES)).toBe(text);
  });

  test("keeps every other parameter byte for byte", () => {
    fc.assert(
      fc.property(fc.webQueryParameters(), fc.webQueryParameters(), (before, after) => {
        const text = `client_id=x&${before}&resource=${resource}&${after}`;
        expect(translateParameters(text, NAMES)).toBe(`client_id=x&${before}&resource=${known}&${after}`);
      }),
      { numRuns: 200 },
    );
  });
});

describe("a redirect", () => {
  const issuer = encodeURIComponent("https://mcp.example.com/");
  const known = encodeURIComponent("https://gate.example/");

  test.each([
    ["https://mcp.example.com/auth/resume?x=1", "https://gate.example/auth/resume?x=1"],
    ["https://mcp.example.com/api/mcp", "https://gate.example/mcp"],
    ["/login?next=%2Fa", "/login?next=%2Fa"],
    ["https://elsewhere.example/mcp.example.com", "https://elsewhere.example/mcp.example.com"],
    ["", ""],
  ])("to %s goes to %s", (location, expected) => {
    expect(translateRedirect(location, NAMES)).toBe(expected);
  });

  test.each([
    [`http://127.0.0.1:7777/callback?code=abc&iss=${issuer}&state=s`, `http://127.0.0.1:7777/callback?code=abc&iss=${known}&state=s`],
    [`cursor://anysphere.mcp/callback?iss=${issuer}&code=abc`, `cursor://anysphere.mcp/callback?iss=${known}&code=abc`],
    [`https://app.example/cb#error=access_denied&iss=${issuer}`, `https://app.example/cb#error=access_denied&iss=${known}`],
  ])("back to the client names the issuer that it has discovered: %s", (location, expected) => {
    expect(translateRedirect(location, NAMES)).toBe(expected);
  });

  test.each([
    `https://app.example/page?iss=${issuer}`,
    "https://app.example/cb?code=abc&iss=https%3A%2F%2Flogin.example.com",
    `https://app.example/cb?code=abc&miss=${issuer}`,
    "https://app.example/cb?code=abc&iss=%E0%A4%A",
  ])("stays as it is otherwise: %s", (location) => {
    expect(translateRedirect(location, NAMES)).toBe(location);
  });
});

describe("a cookie", () => {
  test.each([
    ["sid=1; Domain=mcp.example.com; Path=/; HttpOnly", "sid=1; Path=/; HttpOnly"],
    ["sid=1; Path=/; domain=.example.com", "sid=1; Path=/"],
    ["sid=1; Path=/; Domain=gate.example", "sid=1; Path=/; Domain=gate.example"],
    ["sid=domain=mcp.example.com; Path=/", "sid=domain=mcp.example.com; Path=/"],
    ["sid=1; Path=/", "sid=1; Path=/"],
    ["sid=1; Domain=", "sid=1; Domain="],
  ])("%s is set as %s", (cookie, expected) => {
    expect(translateCookie(cookie, NAMES)).toBe(expected);
  });
});
