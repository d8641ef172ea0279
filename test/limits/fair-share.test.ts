import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { countShare, shareOf, type Sharers } from "../../src/limits/fair-share.ts";

const START = Date.UTC(2026, 10, 21, 12);
const POOL = { calls: 100, per: 3_600_000 };

function use(sharers: Sharers, consumer: string, times: number, now: number, weight = 1): number {
  let passed = 0;
  for (let i = 0; i < times; i++) {
    if (shareOf(sharers, consumer, weight, POOL, 1, now).waitMs > 0) continue;
    countShare(sharers, consumer, 1, now);
    passed++;
  }
  return passed;
}

describe("a quota that many share", () => {
  test("is all there for who is alone", () => {
    expect(use(new Map(), "greedy", 500, START)).toBe(500);
  });

  test("gives a consumer at most its part while others are active, by the weight of its plan", () => {
    const sharers: Sharers = new Map();
    shareOf(sharers, "modest", 3, POOL, 1, START);
    expect(use(sharers, "greedy", 500, START)).toBe(25);
    expect(use(sharers, "modest", 500, START, 3)).toBe(75);
  });

  test("counts what somebody had alone when the others come", () => {
    const sharers: Sharers = new Map();
    expect(use(sharers, "greedy", 60, START)).toBe(60);
    shareOf(sharers, "modest", 1, POOL, 1, START);
    expect(use(sharers, "greedy", 10, START)).toBe(0);
    expect(use(sharers, "modest", 40, START)).toBe(40);
  });

  test("is all there again once the others have been quiet for five minutes", () => {
    const sharers: Sharers = new Map();
    shareOf(sharers, "modest", 1, POOL, 1, START);
    expect(use(sharers, "greedy", 60, START)).toBe(50);
    expect(shareOf(sharers, "greedy", 1, POOL, 1, START + 1_000).waitMs).toBe(299_000);
    expect(use(sharers, "greedy", 40, START + 300_000)).toBe(40);
  });

  test("gives nobody more than its part of the whole, however many come and in whatever order", () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 1, max: 30 })), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(steps, (all) => {
        const sharers: Sharers = new Map();
        for (let id = 0; id < 5; id++) shareOf(sharers, `c${id}`, id + 1, POOL, 1, START);
        const had = [0, 0, 0, 0, 0];
        for (const [id, times] of all) had[id]! += use(sharers, `c${id}`, times, START, id + 1);
        for (const [id, calls] of had.entries()) expect(calls).toBeLessThanOrEqual(Math.floor((POOL.calls * (id + 1)) / 15));
      }),
      { numRuns: 200 },
    );
  });

  test("remembers a bounded number of sharers", () => {
    const sharers: Sharers = new Map();
    for (let i = 0; i < 5_000; i++) shareOf(sharers, `c${i}`, 1, POOL, 1, START);
    expect(sharers.size).toBeLessThanOrEqual(2_000);
  });
});
