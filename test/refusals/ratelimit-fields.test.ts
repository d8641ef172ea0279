import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { rateLimitFields } from "../../src/refusals/ratelimit-fields.ts";
import { anyMetered, DAILY, NOW, RATE } from "./a-refusal.ts";

interface Item {
  readonly name: string;
  readonly parameters: ReadonlyMap<string, number>;
}

/**
 * RFC 9651, as strict as it is written, for what these two fields may hold: a list (4.2.1) of strings (4.2.5) with
 * parameters (4.2.3.2) that are integers (4.2.4).
 */
function parseList(text: string): Item[] {
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray => {
    const sticky = new RegExp(pattern, "y");
    sticky.lastIndex = at;
    const match = sticky.exec(text);
    if (!match) throw new Error(`not a structured field at ${at}: ${text}`);
    at = sticky.lastIndex;
    return match;
  };
  const items: Item[] = [];
  for (;;) {
    const [, name] = take(/"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/);
    const parameters = new Map<string, number>();
    while (text[at] === ";") {
      const [, key, value] = take(/; *([a-z*][a-z0-9_.*-]*)=(-?\d{1,15})(?![\d.])/);
      if (parameters.has(key!)) throw new Error(`${key} stands twice: ${text}`);
      parameters.set(key!, Number(value));
    }
    items.push({ name: name!, parameters });
    if (at === text.length) return items;
    take(/[ \t]*,[ \t]*(?=")/);
  }
}

describe("RateLimit-Policy and RateLimit", () => {
  test("are lists of RFC 9651 with the parameters of the draft, and name the same limits in the same order", () => {
    fc.assert(
      fc.property(fc.array(anyMetered, { maxLength: 5 }), (metered) => {
        const fields = rateLimitFields(metered, NOW);
        const enforced = metered.filter(({ limit }) => limit.mode === "enforce");
        if (enforced.length === 0) {
          expect(fields).toBeNull();
          return;
        }
        const policies = parseList(fields!.policy);
        const remaining = parseList(fields!.remaining);
        expect(remaining.map((item) => item.name)).toEqual(policies.map((item) => item.name));
        expect(policies.map((item) => item.name).toSorted()).toEqual(enforced.map(({ limit }) => limit.name).toSorted());
        for (const { parameters } of policies) {
          expect([...parameters.keys()]).toEqual(["q", "w"]);
          expect(parameters.get("q")).toBeGreaterThan(0);
          expect(parameters.get("w")).toBeGreaterThan(0);
        }
        for (const { parameters } of remaining) {
          expect(parameters.get("r")).toBeGreaterThanOrEqual(0);
          expect(parameters.get("t") ?? 1).toBeGreaterThan(0);
          expect([...parameters.keys()].filter((key) => key !== "r" && key !== "t")).toEqual([]);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("read as in wire.md", () => {
    expect(rateLimitFields([{ limit: RATE, meter: { remaining: 29, resetMs: 1_999 } }], NOW)).toEqual({
      policy: '"free";q=30;w=60',
      remaining: '"free";r=29;t=2',
    });
  });

  test("put the tightest limit first", () => {
    const fields = rateLimitFields(
      [
        { limit: RATE, meter: { remaining: 29, resetMs: 2_000 } },
        { limit: DAILY, meter: { remaining: 1, resetMs: 3_600_000 } },
      ],
      NOW,
    );
    expect(fields).toEqual({ policy: '"daily";q=500;w=86400, "free";q=30;w=60', remaining: '"daily";r=1;t=3600, "free";r=29;t=2' });
  });

  test("name burst and refill for what they are, and the length of this very month", () => {
    const slow = { ...RATE, burst: 30, perMinute: 10 };
    expect(rateLimitFields([{ limit: slow, meter: { remaining: 30, resetMs: 0 } }], NOW)).toEqual({
      policy: '"free";q=30;w=180',
      remaining: '"free";r=30',
    });
    const monthly = { ...DAILY, per: "month" as const };
    expect(rateLimitFields([{ limit: monthly, meter: { remaining: 7, resetMs: 1 } }], Date.UTC(2026, 1, 3))!.policy).toBe(
      `"daily";q=500;w=${28 * 86_400}`,
    );
  });
});
