import { createHmac } from "node:crypto";
import * as fc from "fast-check";
import { SignJWT } from "jose";
import { describe, expect, test } from "vitest";
import { looksLikePass, PASS_LIFE_MS, PASS_PREFIX, readPass, signPass } from "../../src/challenges/pass.ts";
import { createKey } from "../../src/consumers/api-keys.ts";
import { presentedKey } from "../../src/consumers/identify.ts";
import { derivedKey, keysOf, NEXT_SECRET, NOW, SECRET, withOtherCharacter } from "./keys.ts";

const CREDIT = { consumer: "key:acme", plan: "free", creditId: "AXDbC7oSawGI7AAAAAPF1", calls: 10, expiresAt: NOW + PASS_LIFE_MS };

async function pass(changes: Partial<typeof CREDIT> = {}, secret = SECRET): Promise<string> {
  return (await signPass({ ...CREDIT, ...changes }, await keysOf(secret), NOW)).token;
}

/** A token with any header and claims, signed as passes are. */
function forged(header: object, claims: object, key: Buffer = derivedKey(SECRET, "pass", 32)): string {
  const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  return `${PASS_PREFIX}${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
}

const HEADER = { alg: "HS256", kid: derivedKey(SECRET, "key id", 4).toString("hex") };
const CLAIMS = { iss: "turnpike", aud: "turnpike/pass", sub: "key:acme", plan: "free", jti: "credit", calls: 10, exp: NOW / 1_000 + 300 };

describe("a pass", () => {
  test("says whose account the credit is on, which credit, and how many calls", async () => {
    const keys = await keysOf(SECRET);
    const credits = fc.record({
      consumer: fc.string({ unit: "binary", minLength: 1, maxLength: 300 }).map((owner) => `key:${owner.toWellFormed()}`),
      plan: fc.constantFrom("free", "pro"),
      creditId: fc.string({ minLength: 1, maxLength: 200 }),
      calls: fc.nat(10_000),
      expiresAt: fc.integer({ min: NOW + 1_000, max: NOW + 10 ** 10 }),
    });
    await fc.assert(
      fc.asyncProperty(credits, async (credit) => {
        const { token, expiresAt } = await signPass(credit, keys, NOW);
        expect(expiresAt).toBe(Math.floor(Math.min(credit.expiresAt, NOW + PASS_LIFE_MS) / 1_000) * 1_000);
        expect(token).toMatch(/^tpass_[\w.-]+$/);
        expect(await readPass(token, keys, NOW)).toEqual({ ok: true, pass: { ...credit, expiresAt } });
      }),
      { numRuns: 200 },
    );
  });

  test("is a JSON Web Token behind its prefix, signed as documented", async () => {
    expect(await readPass(forged(HEADER, CLAIMS), await keysOf(SECRET), NOW)).toEqual({
      ok: true,
      pass: { consumer: "key:acme", plan: "free", creditId: "credit", calls: 10, expiresAt: NOW + 300_000 },
    });
  });

  test("is good for five minutes, and never longer than the credit", async () => {
    const keys = await keysOf(SECRET);
    const long = await signPass({ ...CREDIT, expiresAt: NOW + 30 * 86_400_000 }, keys, NOW);
    expect(long.expiresAt).toBe(NOW + 300_000);
    expect(await readPass(long.token, keys, NOW + 299_999)).toMatchObject({ ok: true });
    expect(await readPass(long.token, keys, NOW + 300_000)).toEqual({ ok: false, why: "expired" });
    const short = await signPass({ ...CREDIT, expiresAt: NOW + 10_999 }, keys, NOW);
    expect(short.expiresAt).toBe(NOW + 10_000);
    expect(await readPass(short.token, keys, NOW + 10_000)).toEqual({ ok: false, why: "expired" });
  });

  test("for a consumer whose id is as long as a token's subject can be is read all the same", async () => {
    const consumer = `jwt:https://issuer.example:${"x".repeat(12_000)}`;
    expect(await readPass(await pass({ consumer }), await keysOf(SECRET), NOW)).toMatchObject({ ok: true, pass: { consumer } });
  });

  test("signed with the previous secret is good, with the one before that unknown, and nothing new is signed with it", async () => {
    const token = await pass();
    expect(await readPass(token, await keysOf(NEXT_SECRET, SECRET), NOW)).toMatchObject({ ok: true });
    expect(await readPass(token, await keysOf(NEXT_SECRET), NOW)).toEqual({ ok: false, why: "unknown-key" });
    const { token: next } = await signPass(CREDIT, await keysOf(NEXT_SECRET, SECRET), NOW);
    expect(await readPass(next, await keysOf(NEXT_SECRET), NOW)).toMatchObject({ ok: true });
  });

  test("with any character of claims or signature exchanged is never good", async () => {
    const keys = await keysOf(SECRET);
    const token = await pass();
    const signatureAt = token.lastIndexOf(".") + 1;
    for (let at = token.indexOf(".") + 1; at < token.length - 1; at++) {
      if (token[at] === ".") continue;
      const reading = await readPass(withOtherCharacter(token, at), keys, NOW);
      if (at >= signatureAt) expect(reading).toEqual({ ok: false, why: "altered" });
      else expect(["altered", "malformed"]).toContain(reading.ok ? "good" : reading.why);
    }
  });

  test.each<[string, object, object, string]>([
    ["for somebody else's audience", HEADER, { ...CLAIMS, aud: "https://mcp.example.com" }, "malformed"],
    ["of another issuer", HEADER, { ...CLAIMS, iss: "https://issuer.example" }, "malformed"],
    ["that never expires", HEADER, { ...CLAIMS, exp: undefined }, "malformed"],
    ["whose calls are no number", HEADER, { ...CLAIMS, calls: "10" }, "malformed"],
    ["of nobody", HEADER, { ...CLAIMS, sub: undefined }, "malformed"],
    ["for no credit", HEADER, { ...CLAIMS, jti: undefined }, "malformed"],
    ["that is not signed", { ...HEADER, alg: "none" }, CLAIMS, "malformed"],
    ["of another algorithm", { ...HEADER, alg: "HS512" }, CLAIMS, "malformed"],
    ["that names no key", { alg: "HS256" }, CLAIMS, "malformed"],
    ["that names a key nobody has", { ...HEADER, kid: "00000000" }, CLAIMS, "unknown-key"],
    ["that demands what nobody understands", { ...HEADER, crit: ["x"], x: 1 }, CLAIMS, "malformed"],
  ])("%s is not good, whoever signed it", async (_what, header, claims, why) => {
    expect(await readPass(forged(header, claims), await keysOf(SECRET), NOW)).toEqual({ ok: false, why });
  });

  test("signed with the key of another use is altered", async () => {
    for (const key of [derivedKey(SECRET, "pow", 32), Buffer.from(SECRET)]) {
      expect(await readPass(forged(HEADER, CLAIMS, key), await keysOf(SECRET), NOW)).toEqual({ ok: false, why: "altered" });
    }
  });

  test("that is any text at all is told what it is, and nothing is thrown", async () => {
    const keys = await keysOf(SECRET);
    const good = await pass();
    const part = fc.oneof(
      fc.string({ unit: "binary", maxLength: 30 }),
      fc.json().map((text) => Buffer.from(text).toString("base64url")),
      fc.constantFrom(...good.slice(PASS_PREFIX.length).split(".")),
    );
    const tokens = fc.oneof(
      fc.array(part, { maxLength: 5 }).map((parts) => PASS_PREFIX + parts.join(".")),
      fc.string({ maxLength: 50 }),
    );
    await fc.assert(
      fc.asyncProperty(tokens, async (token) => {
        if (token !== good) expect(await readPass(token, keys, NOW)).toMatchObject({ ok: false });
      }),
      { numRuns: 1_000 },
    );
    const huge = forged(HEADER, { ...CLAIMS, jti: "x".repeat(20_000) });
    expect(await readPass(huge, keys, NOW)).toEqual({ ok: false, why: "malformed" });
    expect(await readPass(`${PASS_PREFIX}${"A".repeat(5_000_000)}`, keys, NOW)).toEqual({ ok: false, why: "malformed" });
    expect(await readPass(good.slice(PASS_PREFIX.length), keys, NOW)).toEqual({ ok: false, why: "malformed" });
  });
});

describe("a bearer", () => {
  test("that is a pass is known as one without being verified, also when it is no good", async () => {
    expect(looksLikePass(await pass())).toBe(true);
    expect(looksLikePass(PASS_PREFIX)).toBe(true);
    expect(looksLikePass(`${PASS_PREFIX}${"x".repeat(100_000)}`)).toBe(true);
  });

  test("that is an API key or another token is never taken for a pass, nor a pass for an API key", async () => {
    for (let i = 0; i < 1_000; i++) expect(looksLikePass(createKey())).toBe(false);
    const jwt = await new SignJWT({}).setProtectedHeader({ alg: "HS256" }).sign(derivedKey(SECRET, "pass", 32));
    for (const other of [jwt, "", "tp_", "tp_ass_x", "TPASS_x", " tpass_x", "opaque"]) expect(looksLikePass(other)).toBe(false);
    expect(presentedKey(new Headers({ Authorization: `Bearer ${await pass()}` }))).toBeNull();
  });
});
