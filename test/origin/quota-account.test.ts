import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createAccount } from "../../src/limits/account.ts";
import type { QuotaLimit } from "../../src/limits/limit.ts";
import { askOrigin, createOriginAccount, giveOriginBack, hearOrigin } from "../../src/origin/quota-account.ts";

const START = Date.UTC(2026, 10, 21, 12);
const HOURLY: QuotaLimit = { kind: "quota", slot: "origin", name: "origin", calls: 20, per: 3_600_000, mode: "enforce" };

function anOrigin(limit: QuotaLimit | null) {
  const origin = createOriginAccount();
  const counted = createAccount(1);
  return {
    ask: (now: number, consumer = "key:a", cost = 1) =>
      askOrigin(origin, counted, limit, { consumer, weight: 1, cost }, now, () => undefined),
    giveBack: (ticket: number, now: number) => giveOriginBack(origin, counted, ticket, now),
    hear: (told: Parameters<typeof hearOrigin>[1], now: number) => hearOrigin(origin, told, now),
  };
}

const told = (remaining: number, resetMs: number | null) => ({ ...quiet, quota: { limit: 100, remaining, resetMs } });
const quiet = { closedForMs: 0, isEstimated: false, quota: null };

describe("a configured quota of the origin", () => {
  test("is never passed in any window, whoever asks", () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 600_000 }), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 5 })), {
      minLength: 1,
      maxLength: 100,
      size: "max",
    });
    fc.assert(
      fc.property(steps, (all) => {
        const origin = anOrigin(HOURLY);
        const log: { at: number; cost: number }[] = [];
        let now = START;
        for (const [nap, consumer, cost] of all) {
          now += nap;
          if (origin.ask(now, `key:${consumer}`, cost).kind === "admit") log.push({ at: now, cost });
          const inWindow = log.filter(({ at }) => at + 3_600_000 > now).reduce((sum, one) => sum + one.cost, 0);
          expect(inWindow).toBeLessThanOrEqual(HOURLY.calls);
        }
      }),
      { numRuns: 200 },
    );
  });

  test("tells a true time, and what was given back is there again, once", () => {
    const origin = anOrigin(HOURLY);
    const tickets = Array.from({ length: 20 }, () => origin.ask(START));
    expect(origin.ask(START + 1_000)).toEqual({ kind: "refuse", why: "quota", retryAfterMs: 3_599_000, isEstimated: false });
    const [first] = tickets;
    if (first?.kind !== "admit") throw new Error("must pass");
    origin.giveBack(first.ticket, START + 1_000);
    origin.giveBack(first.ticket, START + 1_000);
    expect(origin.ask(START + 1_000).kind).toBe("admit");
    expect(origin.ask(START + 1_000).kind).toBe("refuse");
  });
});

describe("a quota that the origin tells", () => {
  test("is handed out to the last call, and no further until it begins anew", () => {
    const origin = anOrigin(null);
    expect(origin.ask(START)).toMatchObject({ kind: "admit", remaining: -1 });
    origin.hear(told(5, 60_000), START);
    for (let i = 4; i >= 0; i--) expect(origin.ask(START)).toMatchObject({ kind: "admit", remaining: i, resetMs: 60_000 });
    expect(origin.ask(START + 1_000)).toMatchObject({ kind: "refuse", why: "quota", retryAfterMs: 59_000, isEstimated: false });
    expect(origin.ask(START + 60_000).kind).toBe("admit");
  });

  test("is believed when it says less (others use the credential, too), and not when an old answer says more", () => {
    const origin = anOrigin(null);
    origin.hear(told(50, 60_000), START);
    origin.hear(told(2, 59_000), START + 1_000);
    origin.hear(told(40, 58_500), START + 1_500);
    expect([1, 2, 3].map(() => origin.ask(START + 2_000).kind)).toEqual(["admit", "admit", "refuse"]);
  });

  test("does not grow by a call that is given back after the origin has told its number", () => {
    const origin = anOrigin(null);
    origin.hear(told(10, 60_000), START);
    const refused = origin.ask(START + 1);
    const failed = origin.ask(START + 1);
    if (refused.kind !== "admit" || failed.kind !== "admit") throw new Error("must pass");
    origin.giveBack(failed.ticket, START + 2);
    origin.hear(told(1, 59_000), START + 3);
    origin.giveBack(refused.ticket, START + 4);
    expect([1, 2].map(() => origin.ask(START + 5).kind)).toEqual(["admit", "refuse"]);
    // Nor is it given to the next window.
    origin.hear(told(0, 120_000), START + 60_000);
    origin.giveBack(refused.ticket, START + 60_001);
    expect(origin.ask(START + 60_002).kind).toBe("refuse");
  });

  test("begins anew when the origin says so", () => {
    const origin = anOrigin(null);
    origin.hear(told(0, 5_000), START);
    expect(origin.ask(START).kind).toBe("refuse");
    origin.hear(told(100, 60_000), START + 4_000);
    expect(origin.ask(START + 4_000)).toMatchObject({ kind: "admit", remaining: 99 });
  });

  test("whose end nobody told is a guess", () => {
    const origin = anOrigin(null);
    origin.hear(told(0, null), START);
    expect(origin.ask(START)).toMatchObject({ kind: "refuse", isEstimated: true });
  });

  test("is shared: a greedy consumer gets its half beside a modest one", () => {
    const origin = anOrigin(null);
    origin.hear(told(40, 60_000), START);
    let modest = 0;
    let greedy = 0;
    for (let i = 0; i < 100; i++) {
      if (i % 10 === 0 && origin.ask(START + i, "key:modest").kind === "admit") modest++;
      for (let k = 0; k < 5; k++) if (origin.ask(START + i, "key:greedy").kind === "admit") greedy++;
    }
    expect({ modest, greedy }).toEqual({ modest: 10, greedy: 20 });
  });
});

describe("a quota that is configured and told", () => {
  test("does not forget what a greedy consumer has had of it when the origin tells of a new window, or of one that slides", () => {
    const origin = anOrigin(HOURLY);
    let greedy = 0;
    for (let i = 0; i < 60; i++) {
      const now = START + i * 5_000;
      if (i % 20 === 0) origin.ask(now, "key:modest");
      if (origin.ask(now, "key:greedy").kind === "admit") greedy++;
      // There is always a little more, and it always ends in a minute.
      origin.hear({ ...quiet, quota: { limit: 100, remaining: 30 + i, resetMs: 60_000 } }, now);
    }
    expect(greedy).toBe(HOURLY.calls / 2);
  });
});

describe("an origin that has closed", () => {
  test("gets no call until its time is over, and a guess never shortens what it said", () => {
    const origin = anOrigin(null);
    origin.hear({ ...quiet, closedForMs: 30_000 }, START);
    origin.hear({ ...quiet, closedForMs: 5_000, isEstimated: true }, START + 1_000);
    expect(origin.ask(START + 10_000)).toEqual({ kind: "refuse", why: "closed", retryAfterMs: 20_000, isEstimated: false });
    expect(origin.ask(START + 30_000).kind).toBe("admit");
  });

  test("stays closed for the longer of two times that it told, and its word goes before a guess", () => {
    const origin = anOrigin(null);
    origin.hear({ ...quiet, closedForMs: 60_000, isEstimated: true }, START);
    origin.hear({ ...quiet, closedForMs: 30_000 }, START);
    // A call that was on its way has hit a shorter limit.
    origin.hear({ ...quiet, closedForMs: 1_000 }, START + 100);
    expect(origin.ask(START + 5_000)).toEqual({ kind: "refuse", why: "closed", retryAfterMs: 25_000, isEstimated: false });
    origin.hear({ ...quiet, closedForMs: 60_000 }, START + 5_000);
    expect(origin.ask(START + 30_000)).toMatchObject({ kind: "refuse", retryAfterMs: 35_000 });
  });

  test("stays closed for as long when the clock is set back, and no longer", () => {
    const origin = anOrigin(null);
    origin.hear({ ...told(5, 60_000), closedForMs: 30_000 }, START);
    const back = START - 3_600_000;
    expect(origin.ask(back)).toMatchObject({ kind: "refuse", why: "closed", retryAfterMs: 30_000 });
    expect(origin.ask(back + 30_000)).toMatchObject({ kind: "admit", remaining: 4, resetMs: 30_000 });
  });
});
