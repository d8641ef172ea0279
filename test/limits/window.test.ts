import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createAccount } from "../../src/limits/account.ts";
import { ask } from "../../src/limits/ask.ts";
import { periodAt } from "../../src/limits/window.ts";
import { charge, quotaLimit, rateLimit } from "./life.ts";

const DAY_MS = 86_400_000;
/** Days and months end in each life: it begins shortly before the end of some month. */
const starts = fc
  .tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 2 * DAY_MS }))
  .map(([month, beforeMs]) => Date.UTC(2026, month) - beforeMs);
const naps = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 60_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 6 * 3_600_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 3 * DAY_MS }) },
);
const steps = fc.array(fc.record({ nap: naps, cost: fc.integer({ min: 1, max: 4 }) }), { minLength: 1, maxLength: 60, size: "max" });

function dayOf(time: number, per: "day" | "month"): string {
  return new Date(time).toISOString().slice(0, per === "day" ? 10 : 7);
}

describe("a calendar quota", () => {
  test.each(["day", "month"] as const)("counts exactly what was let through in the %s, in UTC, and tells when the next begins", (per) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), starts, steps, (calls, start, all) => {
        const account = createAccount(1);
        const log: { time: number; cost: number }[] = [];
        let now = start;
        for (const { nap, cost } of all) {
          now += nap;
          const verdict = ask(account, [quotaLimit({ calls, per })], [charge(1, cost)], 10_000, now);
          const used = log.filter(({ time }) => dayOf(time, per) === dayOf(now, per)).reduce((sum, one) => sum + one.cost, 0);
          if (cost > calls) {
            expect(verdict.kind).toBe("impossible");
          } else if (used + cost > calls) {
            expect(verdict).toMatchObject({ kind: "refuse", cause: "quota", violated: 1, meters: [{ remaining: calls - used }] });
            if (verdict.kind !== "refuse") continue;
            const next = now + verdict.retryAfterMs;
            expect(dayOf(next, per)).not.toBe(dayOf(now, per));
            expect(dayOf(next - 1, per)).toBe(dayOf(now, per));
          } else {
            expect(verdict).toMatchObject({ kind: "admit", waitMs: 0, meters: [{ remaining: calls - used - cost }] });
            log.push({ time: now, cost });
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test("when the clock is set back over midnight, the new day's count stays in force", () => {
    const account = createAccount(1);
    const limits = [quotaLimit({ calls: 2, per: "day" })];
    const midnight = Date.UTC(2026, 10, 22);
    ask(account, limits, [charge(1, 2)], 0, midnight + 1_000);
    expect(ask(account, limits, [charge(1)], 0, midnight - 1_000)).toMatchObject({ kind: "refuse", retryAfterMs: DAY_MS + 1_000 });
  });

  test("a call is never held across midnight, where it would leave in a day that did not count it", () => {
    const midnight = Date.UTC(2026, 10, 22);
    const limits = [rateLimit({ burst: 1, perMinute: 60 }), quotaLimit({ calls: 100, per: "day" })];
    const late = createAccount(1);
    ask(late, limits, [charge(3)], 10_000, midnight - 500);
    expect(ask(late, limits, [charge(3)], 10_000, midnight - 500)).toMatchObject({ kind: "refuse", cause: "rate", retryAfterMs: 1_000 });
    const early = createAccount(1);
    ask(early, limits, [charge(3)], 10_000, midnight - 1_001);
    expect(ask(early, limits, [charge(3)], 10_000, midnight - 1_001)).toMatchObject({ kind: "admit", waitMs: 1_000 });
  });

  test("periods begin and end at midnight UTC, leap days included", () => {
    expect(periodAt("day", Date.UTC(2028, 1, 29, 13))).toEqual({ start: Date.UTC(2028, 1, 29), end: Date.UTC(2028, 2, 1) });
    expect(periodAt("month", Date.UTC(2028, 1, 29, 13))).toEqual({ start: Date.UTC(2028, 1, 1), end: Date.UTC(2028, 2, 1) });
    expect(periodAt("month", Date.UTC(2026, 11, 31, 23, 59, 59, 999))).toEqual({ start: Date.UTC(2026, 11), end: Date.UTC(2027, 0) });
  });
});

describe("a sliding quota", () => {
  const perMs = fc.integer({ min: 1_000, max: 3_600_000 });
  const slidingSteps = fc.array(fc.record({ nap: fc.double({ min: 0, max: 1, noNaN: true }), cost: fc.integer({ min: 1, max: 4 }) }), {
    minLength: 1,
    maxLength: 80,
    size: "max",
  });

  test("never lets more than its number through in any interval of its length, and counts no call longer than a sixtieth too long", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), perMs, fc.constantFrom(1, 0.2, 0.02), slidingSteps, (calls, per, pace, all) => {
        const account = createAccount(1);
        const log: { time: number; cost: number }[] = [];
        const since = (time: number): number => log.filter((one) => one.time > time).reduce((sum, one) => sum + one.cost, 0);
        let now = Date.UTC(2026, 10, 21);
        for (const { nap, cost } of all) {
          now += Math.round(nap * pace * per);
          const verdict = ask(account, [quotaLimit({ calls, per })], [charge(1, cost)], 10_000, now);
          if (cost > calls) continue;
          if (verdict.kind === "admit") {
            expect(since(now - per) + cost).toBeLessThanOrEqual(calls);
            log.push({ time: now, cost });
            expect(verdict.meters[0]!.remaining).toBeLessThanOrEqual(calls - since(now - per));
          } else {
            expect(since(now - per * (1 + 1 / 60) - 1) + cost).toBeGreaterThan(calls);
            if (verdict.kind !== "refuse") continue;
            const at = now + verdict.retryAfterMs;
            expect(since(at - per) + cost).toBeLessThanOrEqual(calls);
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test("a clock that is set back makes nobody wait longer, and gives nobody more", () => {
    const account = createAccount(1);
    const limits = [quotaLimit({ calls: 2, per: 60_000 })];
    const start = Date.UTC(2026, 10, 21);
    ask(account, limits, [charge(1)], 0, start);
    ask(account, limits, [charge(1)], 0, start + 10_000);
    expect(ask(account, limits, [charge(1)], 0, start + 10_000 - 3_600_000)).toMatchObject({ kind: "refuse", retryAfterMs: 50_000 });
  });

  test("keeps no more than some sixty cells, however many calls there are", () => {
    const account = createAccount(1);
    const limits = [quotaLimit({ calls: 1_000_000, per: 60_000 })];
    for (let i = 0; i < 10_000; i++) ask(account, limits, [charge(1)], 0, 1_000_000_000 + i * 37);
    expect(account.windows.get("quota:60000")!.cells.length).toBeLessThanOrEqual(62);
  });
});
