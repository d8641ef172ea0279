import type { KVNamespace } from "@cloudflare/workers-types";
import { describe, expect, test } from "vitest";
import { ApiKeys, hashKey } from "../../src/consumers/api-keys.ts";
import { Bearers } from "../../src/consumers/bearers.ts";
import { identify, type Identified } from "../../src/consumers/identify.ts";
import { Tokens } from "../../src/consumers/tokens.ts";
import type { Policy } from "../../src/define-policy.ts";
import { resolvePolicy } from "../../src/resolve-policy.ts";

const NOW = Date.UTC(2026, 10, 21, 12);
const EMPTY = { get: () => Promise.resolve(null) } as unknown as KVNamespace;

function door(identity: NonNullable<Policy["identity"]>): (headers: Record<string, string>) => Promise<Identified> {
  const policy = resolvePolicy({ origin: "https://mcp.example.com/mcp", plans: { anonymous: { rate: 10 }, free: { rate: 30 } }, identity });
  const rooms = { policy, apiKeys: new ApiKeys(), tokens: new Tokens(policy.jwt, policy.plans.keys()), bearers: new Bearers() };
  return (headers) =>
    identify(new Headers({ "CF-Connecting-IP": "192.0.2.1", ...headers }), EMPTY, () => Promise.resolve(null), rooms, NOW);
}

function bearer(token: string): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}

function part(json: object): string {
  return Buffer.from(JSON.stringify(json)).toString("base64url");
}

/** As any JWT looks; nobody has signed it. */
function jwtOf(issuer: string): string {
  return `${part({ alg: "ES256" })}.${part({ iss: issuer, sub: "alice" })}.AAAA`;
}

function idOf(found: Identified): string | null {
  return found.ok ? found.caller.id : null;
}

describe("a bearer that only the origin can check", () => {
  const identified = door({ bearer: { plan: "free" } });

  test("is a consumer of its own, on the policy's plan, and is forwarded", async () => {
    const hash = (await hashKey("opaque")).slice(0, 32);
    expect(await identified(bearer("opaque"))).toEqual({
      ok: true,
      caller: { id: `bearer:${hash}`, kind: "bearer", plan: "free", keyId: "", keyVersion: 0, metadata: {}, consumedHeader: null },
    });
  });

  test("is the same consumer each time and from any address, and another with another token", async () => {
    const first = idOf(await identified(bearer("one")));
    expect(idOf(await identified(bearer("one")))).toBe(first);
    expect(idOf(await identified({ ...bearer("one"), "CF-Connecting-IP": "198.51.100.9" }))).toBe(first);
    expect(idOf(await identified({ Authorization: "bearer  one " }))).toBe(first);
    expect(idOf(await identified(bearer("One")))).not.toBe(first);
  });

  test("may be a JWT, of an issuer that the policy does not name", async () => {
    expect(await identified(bearer(jwtOf("https://other.example")))).toMatchObject({ caller: { kind: "bearer" } });
    const withIssuer = door({ bearer: { plan: "free" }, jwt: [{ issuer: "https://login.example", plan: "free" }] });
    expect(await withIssuer(bearer(jwtOf("https://other.example")))).toMatchObject({ caller: { kind: "bearer" } });
  });

  test("is none when it is a key of the gate's, whoever has it", async () => {
    expect(await identified(bearer("tp_made-up"))).toEqual({ ok: false, why: "unknown-key" });
    expect(await identified({ ...bearer("opaque"), "X-API-Key": "made-up" })).toEqual({ ok: false, why: "unknown-key" });
  });

  test("is none when it is too long for a token, or of another scheme", async () => {
    expect(await identified(bearer("x".repeat(16_385)))).toMatchObject({ caller: { kind: "addr" } });
    expect(await identified({ Authorization: "Basic b3BhcXVl" })).toMatchObject({ caller: { kind: "addr" } });
    expect(await identified(bearer("x".repeat(16_384)))).toMatchObject({ caller: { kind: "bearer" } });
  });

  test("is known by its address alone when the policy says nothing of bearers", async () => {
    expect(await door({})(bearer("opaque"))).toMatchObject({ caller: { id: "addr:192.0.2.1", kind: "addr", plan: "anonymous" } });
  });

  test("is enough where a key would be demanded, and who brings neither is told of both", async () => {
    const strict = door({ bearer: { plan: "free" }, addresses: { plan: null } });
    expect(await strict(bearer("opaque"))).toMatchObject({ caller: { kind: "bearer" } });
    expect(await strict({})).toEqual({ ok: false, why: "key-or-bearer-required" });
    expect(await door({ addresses: { plan: null } })(bearer("opaque"))).toEqual({ ok: false, why: "key-required" });
  });
});
