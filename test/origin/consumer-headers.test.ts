import { createHmac } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Caller, NO_METADATA } from "../../src/consumers/caller.ts";
import { resolveTerms } from "../../src/limits/terms.ts";
import { consumerHeaders } from "../../src/origin/consumer-headers.ts";

const NOW_MS = Date.UTC(2026, 10, 21, 12, 0, 0, 789);
const REQUEST_ID = "0b0f6a52-3f0c-4c3e-9d3c-3f3b7a1c0d5e";
const REQUEST = { method: "POST", path: "/api/mcp" };

function passOf(id: string) {
  const caller: Caller = { id, kind: "key", plan: "pro", keyId: "", keyVersion: 0, metadata: NO_METADATA, consumedHeader: null };
  return { caller, terms: resolveTerms("pro", { rate: 60 }, { perMinute: 60 }) };
}

describe("what the origin is told", () => {
  test("is whose call it is, on which plan, and the request's id", async () => {
    expect(await consumerHeaders(passOf("key:acme"), REQUEST_ID, undefined, REQUEST, NOW_MS)).toEqual({
      "Turnpike-Consumer": "key:acme",
      "Turnpike-Plan": "pro",
      "Turnpike-Request-Id": REQUEST_ID,
    });
  });

  test("is signed as documented, when there is a secret", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ minLength: 1 }),
        fc.constantFrom("POST", "GET", "DELETE"),
        fc.nat(2 ** 40),
        async (secret, method, now) => {
          const headers = await consumerHeaders(passOf("key:acme"), REQUEST_ID, secret, { ...REQUEST, method }, now);
          const [, time, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(headers["Turnpike-Signature"]!)!;
          expect(Number(time)).toBe(Math.floor(now / 1_000));
          const signed = [
            time,
            headers["Turnpike-Request-Id"],
            headers["Turnpike-Consumer"],
            headers["Turnpike-Plan"],
            method,
            "/api/mcp",
          ].join("\n");
          expect(signature).toBe(createHmac("sha256", secret).update(signed).digest("hex"));
        },
      ),
      { numRuns: 100 },
    );
  });

  test("names any owner in a way that a header can carry, and no two alike", async () => {
    const names = new Map<string, string>();
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary", maxLength: 20 }), async (owner) => {
        const { "Turnpike-Consumer": consumer } = await consumerHeaders(passOf(`key:${owner}`), REQUEST_ID, undefined, REQUEST, NOW_MS);
        expect(new Headers({ "Turnpike-Consumer": consumer! }).get("Turnpike-Consumer")).toBe(consumer);
        expect(names.get(consumer!) ?? owner).toBe(owner);
        names.set(consumer!, owner);
      }),
      { numRuns: 300 },
    );
  });

  test("names even an owner whose name is no text at all: half of a pair of surrogates", async () => {
    const told = await consumerHeaders(passOf("jwt:https://issuer.example:\ud800"), REQUEST_ID, undefined, REQUEST, NOW_MS);
    expect(told["Turnpike-Consumer"]).toMatch(/^[\x21-\x7e]+$/);
  });
});
