import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createAccount, refund } from "../../src/limits/account.ts";
import { ask } from "../../src/limits/ask.ts";
import { loopBit } from "../../src/limits/limit.ts";
import { MAX_FINGERPRINTS } from "../../src/limits/repeats.ts";
import { charge, rateLimit } from "./life.ts";

const START = Date.UTC(2026, 10, 21, 12);
const WIDE = rateLimit({ burst: 100_000, perMinute: 100_000 });

function same(times = 1, allowed = 10, windowMs = 60_000, fingerprint = 7) {
  return Array.from({ length: times }, () => charge(1, 1, { fingerprint, allowed, windowMs }));
}

describe("the loop breaker", () => {
  test("refuses exactly the call that would be one too many in its window, alone and in batches", () => {
    const steps = fc.array(
      fc.record({
        nap: fc.integer({ min: 0, max: 20_000 }),
        fingerprint: fc.integer({ min: 1, max: 3 }),
        times: fc.integer({ min: 1, max: 3 }),
      }),
      {
        minLength: 1,
        maxLength: 80,
        size: "max",
      },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1_000, max: 100_000 }), steps, (allowed, windowMs, all) => {
        const account = createAccount(1);
        const log: { time: number; fingerprint: number }[] = [];
        let now = START;
        for (const { nap, fingerprint, times } of all) {
          now += nap;
          const verdict = ask(account, [WIDE], same(times, allowed, windowMs, fingerprint), 0, now);
          const within = (at: number): number => log.filter((one) => one.fingerprint === fingerprint && one.time + windowMs > at).length;
          if (times > allowed) {
            expect(verdict.kind).toBe("impossible");
          } else if (within(now) + times > allowed) {
            expect(verdict).toMatchObject({ kind: "refuse", cause: "repeat", violated: loopBit("identical") });
            if (verdict.kind !== "refuse") continue;
            expect(within(now + verdict.retryAfterMs) + times).toBeLessThanOrEqual(allowed);
            expect(within(now + verdict.retryAfterMs - 1) + times).toBeGreaterThan(allowed);
          } else {
            expect(verdict.kind).toBe("admit");
            for (let i = 0; i < times; i++) log.push({ time: now, fingerprint });
          }
        }
      }),
      { numRuns: 700 },
    );
  });

  test("the eleventh is refused before any bucket is touched", () => {
    const account = createAccount(1);
    const limit = rateLimit({ burst: 30, perMinute: 30 });
    for (let i = 0; i < 10; i++) ask(account, [limit], same(), 0, START + i);
    expect(ask(account, [limit], same(), 0, START + 10)).toMatchObject({ kind: "refuse", cause: "repeat", retryAfterMs: 59_990 });
    expect(ask(account, [limit], [charge(1)], 0, START + 10)).toMatchObject({ kind: "admit", meters: [{ remaining: 19 }] });
  });

  test("held and refunded calls count too", () => {
    const account = createAccount(1);
    const limit = rateLimit({ burst: 1, perMinute: 60 });
    const first = ask(account, [limit], same(1, 2), 10_000, START);
    if (first.kind !== "admit") throw new Error("must pass");
    refund(account, first.ticket, START);
    ask(account, [limit], same(1, 2), 10_000, START);
    expect(ask(account, [limit], same(1, 2), 10_000, START)).toMatchObject({ kind: "refuse", cause: "repeat" });
  });

  test("a call that leaves before one that is still held makes no room for one too many", () => {
    const account = createAccount(1);
    const slow = rateLimit({ burst: 1, perMinute: 6 });
    // One at once, one held for ten seconds; then the plan is raised, and one more leaves before the held one.
    expect(ask(account, [slow], [charge(1)], 0, START)).toMatchObject({ kind: "admit", waitMs: 0 });
    expect(ask(account, [slow], same(1, 2), 10_000, START)).toMatchObject({ kind: "admit", waitMs: 10_000 });
    expect(ask(account, [WIDE], same(1, 2), 0, START + 1)).toMatchObject({ kind: "admit", waitMs: 0 });
    const dues = [START + 10_000, START + 1];
    for (let at = START + 2; at < START + 75_000; at += 1_000) {
      const verdict = ask(account, [WIDE], same(1, 2), 0, at);
      if (verdict.kind !== "admit") continue;
      dues.push(at);
      expect(dues.filter((due) => due + 60_000 > at).length).toBeLessThanOrEqual(2);
    }
  });

  test("a clock that is set back makes nobody wait longer", () => {
    const account = createAccount(1);
    ask(account, [WIDE], same(1, 2), 0, START);
    ask(account, [WIDE], same(1, 2), 0, START + 10_000);
    expect(ask(account, [WIDE], same(1, 2), 0, START + 10_000 - 3_600_000)).toMatchObject({ cause: "repeat", retryAfterMs: 50_000 });
  });

  test("remembers a bounded number of fingerprints, and forgets the least recent", () => {
    const account = createAccount(1);
    for (let i = 1; i <= MAX_FINGERPRINTS; i++) ask(account, [WIDE], same(1, 1, 60_000, i), 0, START);
    ask(account, [WIDE], same(1, 1, 60_000, MAX_FINGERPRINTS + 1), 0, START);
    expect(account.repeats.size).toBe(MAX_FINGERPRINTS);
    expect(ask(account, [WIDE], same(1, 1, 60_000, 2), 0, START)).toMatchObject({ kind: "refuse", cause: "repeat" });
    expect(ask(account, [WIDE], same(1, 1, 60_000, 1), 0, START)).toMatchObject({ kind: "admit" });
  });
});
