import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Tokens } from "../../src/consumers/tokens.ts";
import type { JwtIssuer } from "../../src/define-policy.ts";

const NOW = Date.UTC(2026, 10, 21, 12);
const NOW_S = NOW / 1_000;
const AUDIENCE = "https://gate.example/mcp";
const KID = "key-1";

let server: Server;
let issuer = "";
let asked = 0;
let good: CryptoKey;
let stranger: CryptoKey;

beforeAll(async () => {
  const pair = await generateKeyPair("ES256");
  good = pair.privateKey;
  stranger = (await generateKeyPair("ES256")).privateKey;
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: KID, alg: "ES256", use: "sig" };
  server = createServer((_request, response) => {
    asked++;
    response.setHeader("Content-Type", "application/json").end(JSON.stringify({ keys: [jwk] }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.close();
});

interface TokenOptions {
  readonly key?: CryptoKey;
  readonly kid?: string;
  readonly claims?: Record<string, unknown>;
  readonly without?: string;
}

async function token({ key = good, kid = KID, claims = {}, without }: TokenOptions = {}): Promise<string> {
  const payload: Record<string, unknown> = { iss: issuer, sub: "alice", aud: AUDIENCE, exp: NOW_S + 3_600, ...claims };
  if (without !== undefined) delete payload[without];
  return new SignJWT(payload).setProtectedHeader({ alg: "ES256", kid }).sign(key);
}

function tokens(changes: Partial<JwtIssuer> = {}): Tokens {
  const config = { issuer, audience: AUDIENCE, plan: "free", planClaim: "plan", ...changes };
  return new Tokens([config], ["free", "pro"]);
}

function part(json: object): string {
  return Buffer.from(JSON.stringify(json)).toString("base64url");
}

describe("a bearer token", () => {
  test("of an issuer that the policy names is verified against its published keys", async () => {
    expect(await tokens().check(await token(), NOW)).toMatchObject({ kind: "verified", issuer, subject: "alice", plan: "free" });
  });

  test("names its plan in the claim that the policy says, if there is such a plan", async () => {
    expect(await tokens().check(await token({ claims: { plan: "pro" } }), NOW)).toMatchObject({ plan: "pro" });
    expect(await tokens().check(await token({ claims: { plan: "gold" } }), NOW)).toMatchObject({ plan: "free" });
    expect(await tokens().check(await token({ claims: { plan: ["pro"] } }), NOW)).toMatchObject({ plan: "free" });
  });

  test("may be meant for several audiences, one of which must be ours", async () => {
    expect(await tokens().check(await token({ claims: { aud: ["https://other.example", AUDIENCE] } }), NOW)).toMatchObject({
      kind: "verified",
    });
  });

  test.each<[string, TokenOptions]>([
    ["has expired", { claims: { exp: NOW_S - 31 } }],
    ["is not valid yet", { claims: { nbf: NOW_S + 31 } }],
    ["is meant for another audience", { claims: { aud: "https://other.example" } }],
    ["names no audience", { without: "aud" }],
    ["names no subject", { without: "sub" }],
    ["never expires", { without: "exp" }],
    ["names a key that its issuer does not publish", { kid: "key-2" }],
  ])("that %s is not valid", async (_what, options) => {
    expect(await tokens().check(await token(options), NOW)).toEqual({ kind: "invalid" });
  });

  test("with a signature of somebody else is not valid", async () => {
    expect(await tokens().check(await token({ key: stranger }), NOW)).toEqual({ kind: "invalid" });
  });

  test("that was changed after it was signed is not valid", async () => {
    const [header, , signature] = (await token()).split(".");
    const payload = Buffer.from(JSON.stringify({ iss: issuer, sub: "mallory", aud: AUDIENCE, exp: NOW_S + 3_600 })).toString("base64url");
    expect(await tokens().check(`${header}.${payload}.${signature}`, NOW)).toEqual({ kind: "invalid" });
  });

  test("that is not signed at all is not valid", async () => {
    const payload = part({ iss: issuer, sub: "mallory", aud: AUDIENCE, exp: NOW_S + 3_600 });
    expect(await tokens().check(`${part({ alg: "none" })}.${payload}.`, NOW)).toEqual({ kind: "invalid" });
  });

  test("of an issuer that the policy does not name is not this gate's to verify", async () => {
    expect(await tokens().check(await token({ claims: { iss: "https://other.example" } }), NOW)).toEqual({ kind: "foreign" });
    expect(await tokens().check("opaque", NOW)).toEqual({ kind: "foreign" });
    expect(await tokens().check("a.b.c", NOW)).toEqual({ kind: "foreign" });
    expect(await new Tokens([], []).check(await token(), NOW)).toEqual({ kind: "foreign" });
  });

  test("cannot be verified while its issuer's keys are away, which is not its fault", async () => {
    const away = createServer((_request, response) => response.writeHead(500).end());
    await new Promise<void>((resolve) => away.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(away.address() as AddressInfo).port}`;
    expect(await tokens({ jwksUrl: `${url}/jwks` }).check(await token(), NOW)).toEqual({ kind: "unavailable" });
    await new Promise((resolve) => away.close(resolve));
    expect(await tokens({ jwksUrl: `${url}/jwks` }).check(await token(), NOW)).toEqual({ kind: "unavailable" });
  });

  test("that was verified is remembered, but never for longer than it lives", async () => {
    const checker = tokens();
    const short = await token({ claims: { exp: NOW_S + 10 } });
    const before = asked;
    const first = await checker.check(short, NOW);
    expect(await checker.check(short, NOW + 5_000)).toBe(first);
    expect(asked).toBe(before + 1);
    // Clocks of issuers may be off by half a minute.
    expect(await checker.check(short, NOW + 41_000)).toEqual({ kind: "invalid" });
  });
});
