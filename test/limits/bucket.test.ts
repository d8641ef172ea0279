import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createAccount, refund } from "../../src/limits/account.ts";
import { ask } from "../../src/limits/ask.ts";
import { charge, createDisk, Instance, rateLimit } from "./life.ts";

const START = Date.UTC(2026, 10, 21, 12);
const MINUTE_MS = 60_000;
/** Times near the epoch are doubles; src/limits/bucket.ts calls a wait below a tenth of a millisecond none. */
const SLACK_MS = 0.2;

/** The slow, obvious bucket: every call that was ever let through, in the order in which it was let through. */
interface Logged {
  readonly due: number;
  readonly cost: number;
}

/** The earliest time at which `cost` more would leave every interval that begins with a logged call within burst + rate × t. */
function earliest(log: readonly Logged[], cost: number, burst: number, perMinute: number): number {
  let at = -Infinity;
  let sum = cost;
  for (const { due, cost: taken } of log.toReversed()) {
    sum += taken;
    at = Math.max(at, due + ((sum - burst) * MINUTE_MS) / perMinute);
  }
  return at;
}

const numbers = fc.record({ burst: fc.integer({ min: 1, max: 40 }), perMinute: fc.integer({ min: 1, max: 900 }) });
const naps = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 2_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 90_000 }) },
);
const waits = fc.constantFrom(0, 0, 500, 5_000, 10_000, 60_000);

describe("a token bucket", () => {
  test("waits exactly as long as the log of all due times demands, and holds or refuses accordingly", () => {
    const steps = fc.array(fc.record({ nap: naps, cost: fc.integer({ min: 1, max: 5 }), maxWaitMs: waits }), {
      minLength: 1,
      maxLength: 60,
      size: "max",
    });
    fc.assert(
      fc.property(numbers, steps, ({ burst, perMinute }, calls) => {
        const limit = rateLimit({ burst, perMinute });
        const account = createAccount(1);
        const log: Logged[] = [];
        let now = START;
        for (const { nap, cost, maxWaitMs } of calls) {
          now += nap;
          const verdict = ask(account, [limit], [charge(1, cost)], maxWaitMs, now);
          if (cost > burst) {
            expect(verdict).toEqual({ kind: "impossible", violated: 1 });
            continue;
          }
          const wait = Math.max(0, earliest(log, cost, burst, perMinute) - now);
          const most = Math.min(maxWaitMs, (burst * MINUTE_MS) / perMinute);
          if (verdict.kind === "admit") {
            expect(wait).toBeLessThanOrEqual(most + SLACK_MS);
            expect(verdict.waitMs).toBeGreaterThanOrEqual(wait - SLACK_MS);
            expect(verdict.waitMs).toBeLessThan(wait + 1 + SLACK_MS);
            log.push({ due: now + verdict.waitMs, cost });
          } else {
            expect(verdict).toMatchObject({ kind: "refuse", cause: "rate", violated: 1 });
            if (verdict.kind !== "refuse") continue;
            expect(wait).toBeGreaterThan(most - SLACK_MS);
            expect(verdict.retryAfterMs).toBeGreaterThanOrEqual(wait - SLACK_MS);
            expect(verdict.retryAfterMs).toBeLessThan(wait + 1 + SLACK_MS);
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test("says how many tokens are left as the log says, and after the told reset there is one more", () => {
    const steps = fc.array(fc.record({ nap: naps, cost: fc.integer({ min: 1, max: 3 }) }), { minLength: 1, maxLength: 60, size: "max" });
    fc.assert(
      fc.property(numbers, steps, ({ burst, perMinute }, calls) => {
        const limit = rateLimit({ burst, perMinute });
        const account = createAccount(1);
        const log: Logged[] = [];
        let now = START;
        for (const { nap, cost } of calls) {
          now += nap;
          const verdict = ask(account, [limit], [charge(1, cost)], 0, now);
          if (verdict.kind !== "admit") continue;
          log.push({ due: now, cost });
          const { remaining, resetMs } = verdict.meters[0]!;
          if (remaining > 0) expect(earliest(log, remaining, burst, perMinute)).toBeLessThanOrEqual(now + SLACK_MS);
          if (remaining < burst) {
            expect(earliest(log, remaining + 1, burst, perMinute)).toBeGreaterThan(now - SLACK_MS);
            expect(earliest(log, remaining + 1, burst, perMinute)).toBeLessThanOrEqual(now + resetMs + SLACK_MS);
          } else {
            expect(resetMs).toBe(0);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test("gives a refunded call back as if it had never been, and together never more than a burst in the time of a burst", () => {
    const steps = fc.array(
      fc.oneof(
        { weight: 3, arbitrary: fc.record({ nap: naps, cost: fc.integer({ min: 1, max: 4 }), maxWaitMs: waits }) },
        { weight: 1, arbitrary: fc.record({ nap: naps, refund: fc.nat(20) }) },
      ),
      { minLength: 1, maxLength: 60, size: "max" },
    );
    fc.assert(
      fc.property(numbers, steps, ({ burst, perMinute }, calls) => {
        const limit = rateLimit({ burst, perMinute });
        const account = createAccount(1);
        let log: (Logged & { ticket: number })[] = [];
        const refunds: Logged[] = [];
        let now = START;
        for (const step of calls) {
          now += step.nap;
          if ("refund" in step) {
            const given = log[step.refund % Math.max(1, log.length)];
            if (!given) continue;
            const before = account.admissions.length;
            refund(account, given.ticket, now);
            const wait = earliest(refunds, given.cost, burst, perMinute) - now;
            if (account.admissions.length < before) {
              expect(wait).toBeLessThanOrEqual(SLACK_MS);
              refunds.push({ due: now, cost: given.cost });
              log = log.filter((entry) => entry !== given);
            } else {
              expect(wait).toBeGreaterThan(-SLACK_MS);
            }
            refund(account, given.ticket + 1_000_000, now);
            continue;
          }
          const { cost, maxWaitMs } = step;
          const verdict = ask(account, [limit], [charge(1, cost)], maxWaitMs, now);
          if (cost > burst) continue;
          const wait = Math.max(0, earliest(log, cost, burst, perMinute) - now);
          const told = verdict.kind === "admit" ? verdict.waitMs : verdict.kind === "refuse" ? verdict.retryAfterMs : Number.NaN;
          expect(Math.abs(told - wait)).toBeLessThan(1 + SLACK_MS);
          if (verdict.kind === "admit") log.push({ due: now + verdict.waitMs, cost, ticket: verdict.ticket });
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test("a ticket is good for one refund, and a strange one for none", () => {
    const limit = rateLimit({ burst: 10, perMinute: 10 });
    const account = createAccount(1);
    const first = ask(account, [limit], [charge(1, 2)], 0, START);
    const second = ask(account, [limit], [charge(1, 2)], 0, START);
    if (first.kind !== "admit" || second.kind !== "admit") throw new Error("must pass");
    refund(account, second.ticket + 1, START);
    refund(account, first.ticket, START);
    refund(account, first.ticket, START);
    const third = ask(account, [limit], [charge(1, 1)], 0, START);
    expect(third).toMatchObject({ kind: "admit", meters: [{ remaining: 7 }] });
  });

  test("what has been refilled since is not given twice by a refund", () => {
    const limit = rateLimit({ burst: 10, perMinute: 60 });
    const account = createAccount(1);
    const early = ask(account, [limit], [charge(1, 4)], 0, START);
    if (early.kind !== "admit") throw new Error("must pass");
    ask(account, [limit], [charge(1, 10)], 0, START + 10_000);
    refund(account, early.ticket, START + 10_000);
    expect(ask(account, [limit], [charge(1, 1)], 0, START + 10_000)).toMatchObject({ kind: "refuse", retryAfterMs: 1_000 });
  });

  test("a raise helps on the next call, with what was spent still spent in tokens", () => {
    const account = createAccount(1);
    for (let i = 0; i < 30; i++) ask(account, [rateLimit({ burst: 30, perMinute: 30 })], [charge(1)], 0, START);
    const raised = ask(account, [rateLimit({ burst: 600, perMinute: 600 })], [charge(1)], 0, START);
    expect(raised).toMatchObject({ kind: "admit", waitMs: 0, meters: [{ remaining: 569 }] });
  });

  test("after a cut from 600 to 30 it takes up to 19 minutes to be even, and the answer says so", () => {
    const account = createAccount(1);
    ask(account, [rateLimit({ burst: 600, perMinute: 600 })], [charge(1, 600)], 0, START);
    const cut = ask(account, [rateLimit({ burst: 30, perMinute: 30 })], [charge(1)], 10_000, START);
    // 600 spent, 29 may be owed when the call comes: 571 tokens at 30 a minute.
    expect(cut).toMatchObject({ kind: "refuse", cause: "rate", retryAfterMs: (571 / 30) * MINUTE_MS });
  });

  describe("a call that is held keeps its tokens when the plan is raised before it leaves", () => {
    test.each([
      { name: "once", first: 16, last: 16, restarts: false },
      { name: "twice", first: 16, last: 60, restarts: false },
      { name: "after a restart of the object", first: 16, last: 16, restarts: true },
    ])("$name", ({ first, last, restarts }) => {
      const disk = createDisk();
      let instance = new Instance(disk);
      const slow = rateLimit({ burst: 1, perMinute: 6 });
      instance.ask([slow], [charge(1)], 0, START);
      expect(instance.ask([slow], [charge(1)], 10_000, START)).toMatchObject({ kind: "admit", waitMs: 10_000 });
      if (restarts) instance = new Instance(disk);
      const dues = [START + 10_000];
      for (let now = START + 100; now < START + 20_000; now += 100) {
        const raised = rateLimit({ burst: 1, perMinute: now === START + 100 ? first : last });
        const verdict = instance.ask([raised], [charge(1)], 0, now);
        if (verdict?.kind === "admit") dues.push(now);
      }
      // Of a burst of 1, two calls are never closer than the fastest of the rates has it.
      dues.sort((a, b) => a - b);
      for (let i = 1; i < dues.length; i++) expect(dues[i]! - dues[i - 1]!).toBeGreaterThanOrEqual(MINUTE_MS / last - SLACK_MS);
    });
  });

  test("a clock that is set back makes nobody wait longer, and gives nobody more", () => {
    fc.assert(
      fc.property(
        numbers,
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 86_400_000 }),
        ({ burst, perMinute }, spent, backMs) => {
          const limit = rateLimit({ burst, perMinute });
          const [stepped, steady] = [createAccount(1), createAccount(1)];
          for (let i = 0; i < spent; i++) {
            ask(stepped, [limit], [charge(1)], 2_000, START);
            ask(steady, [limit], [charge(1)], 2_000, START);
          }
          const expected = ask(steady, [limit], [charge(1)], 0, START);
          const verdict = ask(stepped, [limit], [charge(1)], 0, START - backMs);
          expect(verdict.kind).toBe(expected.kind);
          if (verdict.kind !== "refuse" || expected.kind !== "refuse") return;
          expect(Math.abs(verdict.retryAfterMs - expected.retryAfterMs)).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 300 },
    );
  });
});
