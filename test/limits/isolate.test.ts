/** What the isolate decides alone: buckets while no object is asked, and the memo of refusals. */

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BoundedCache } from "../../src/bounded-cache.ts";
import type { Bucket } from "../../src/limits/bucket.ts";
import { takeLocally, takeUnasked } from "../../src/limits/local-bucket.ts";
import { createRefusalMemo, MEMO_MS, recallRefusal, rememberRefusal } from "../../src/limits/refusal-memo.ts";
import { resolveTerms } from "../../src/limits/terms.ts";
import { charge } from "./life.ts";

const NOW = Date.UTC(2026, 10, 21, 12);
const TERMS = resolveTerms("pro", { rate: 120 }, { perMinute: 60 });

describe("a bucket in the isolate", () => {
  test("never lets more through than burst + rate × t, also after it was forgotten for being full", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 600 }),
        fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 80, size: "max" }),
        (burst, perMinute, gaps) => {
          const buckets = new BoundedCache<Bucket>(10);
          const passed: number[] = [];
          let now = NOW;
          for (const gap of gaps) {
            now += gap;
            const wait = takeLocally(buckets, "key", { burst, perMinute }, 1, now);
            if (wait === 0) passed.push(now);
            else expect(takeLocally(buckets, "key", { burst, perMinute }, 1, now)).toBe(wait);
          }
          let worst = -Infinity;
          for (let i = 0; i < passed.length; i++) {
            for (let j = i; j < passed.length; j++) {
              const most = burst + ((passed[j]! - passed[i]! + 0.2) * perMinute) / 60_000;
              worst = Math.max(worst, j - i + 1 - most);
            }
          }
          expect(worst).toBeLessThanOrEqual(0);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("gives a tenth of the plan while no object can be asked, to each consumer its own", () => {
    const buckets = new BoundedCache<Bucket>(100);
    const passes = (consumer: string, now: number): boolean => takeUnasked(buckets, consumer, TERMS, [charge(TERMS.workMask)], now) === 0;
    expect(Array.from({ length: 20 }, () => passes("key:a", NOW)).filter(Boolean)).toHaveLength(12);
    expect(passes("key:b", NOW)).toBe(true);
    expect(passes("key:a", NOW + 4_900)).toBe(false);
    expect(passes("key:a", NOW + 5_000)).toBe(true);
  });
});

describe("the memo of refusals", () => {
  const mask = TERMS.workMask;
  const refusal = {
    cause: "rate" as const,
    violated: mask,
    retryAfterMs: 20_000,
    passesAt: NOW + 20_000,
    refusedAt: NOW,
    meters: [],
    cost: 2,
    calls: 2,
    set: TERMS,
    isPayable: true,
    mayEarn: true,
    solves: 3,
    easeMs: 0,
  };
  const ask = { cost: 2, calls: 2, set: TERMS, maxWaitMs: 10_000 };

  test("refuses the same again for a quarter of a second, and not longer", () => {
    const memo = createRefusalMemo();
    rememberRefusal(memo, "key:a", mask, refusal);
    expect(recallRefusal(memo, "key:a", mask, ask, NOW)).toBe(refusal);
    expect(recallRefusal(memo, "key:a", mask, ask, NOW + MEMO_MS - 1)).toBe(refusal);
    expect(recallRefusal(memo, "key:a", mask, ask, NOW + MEMO_MS)).toBeUndefined();
  });

  test("never past the moment at which the call could be held", () => {
    const memo = createRefusalMemo();
    rememberRefusal(memo, "key:a", mask, { ...refusal, retryAfterMs: 10_100, passesAt: NOW + 10_100 });
    expect(recallRefusal(memo, "key:a", mask, ask, NOW + 99)).toBeDefined();
    expect(recallRefusal(memo, "key:a", mask, ask, NOW + 100)).toBeUndefined();
  });

  test.each([
    ["a POST that asks for less", "key:a", mask, { ...ask, cost: 1 }],
    ["a POST of fewer calls that cost as much", "key:a", mask, { ...ask, calls: 1 }],
    ["another consumer", "key:b", mask, ask],
    ["other limits", "key:a", TERMS.handshakeMask, ask],
    ["other terms of the same name", "key:a", mask, { ...ask, set: { ...TERMS } }],
  ])("says nothing of %s", (_what, consumer, otherMask, other) => {
    const memo = createRefusalMemo();
    rememberRefusal(memo, "key:a", mask, refusal);
    expect(recallRefusal(memo, consumer, otherMask, other, NOW)).toBeUndefined();
  });

  test("refuses a POST that asks for more, and nothing from before it was written", () => {
    const memo = createRefusalMemo();
    rememberRefusal(memo, "key:a", mask, refusal);
    expect(recallRefusal(memo, "key:a", mask, { ...ask, cost: 5 }, NOW)).toBe(refusal);
    expect(recallRefusal(memo, "key:a", mask, ask, NOW - 1)).toBeUndefined();
  });
});
