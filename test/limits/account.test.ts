import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createAccount } from "../../src/limits/account.ts";
import { ask } from "../../src/limits/ask.ts";
import { loopBit } from "../../src/limits/limit.ts";
import { charge, quotaLimit, rateLimit, watch } from "./life.ts";
import { life, live } from "./life-log.ts";
import { planNumbers } from "./world.ts";

const START = Date.UTC(2026, 10, 21, 12);

describe("one POST, several limits", () => {
  test("a refused POST takes nothing from any limit", () => {
    fc.assert(
      fc.property(fc.tuple(planNumbers), life(), (numbers, steps) => {
        live(numbers, steps, ({ instance, limits, charges, maxWaitMs, now, verdict }) => {
          if (verdict.kind === "admit") return;
          const before = structuredClone(instance.account);
          expect(ask(instance.account, limits, charges, maxWaitMs, now)).toEqual(verdict);
          expect(instance.account).toEqual(before);
        });
      }),
      { numRuns: 80 },
    );
  });

  test("a batch is charged for each of its calls, or not at all", () => {
    const account = createAccount(1);
    const limits = [rateLimit({ burst: 10, perMinute: 10 }), rateLimit({ burst: 2, perMinute: 2, slot: "handshake" })];
    const batch = [charge(1), charge(1), charge(2)];
    expect(ask(account, limits, batch, 0, START)).toMatchObject({ kind: "admit", meters: [{ remaining: 8 }, { remaining: 1 }] });
    expect(ask(account, limits, [charge(1), charge(2), charge(2)], 0, START)).toMatchObject({
      kind: "refuse",
      violated: 2,
      meters: [{ remaining: 8 }, { remaining: 1 }],
    });
    expect(ask(account, limits, [charge(1)], 0, START)).toMatchObject({ kind: "admit", meters: [{ remaining: 7 }] });
  });

  test("asking for more than a burst, a quota or a repeat window can ever give is impossible, and takes nothing", () => {
    const account = createAccount(1);
    const limits = [rateLimit({ burst: 3, perMinute: 3 }), quotaLimit({ calls: 2, per: "day" })];
    expect(ask(account, limits, [charge(1, 4)], 60_000, START)).toEqual({ kind: "impossible", violated: 1 });
    expect(ask(account, limits, [charge(3), charge(3), charge(3)], 60_000, START)).toEqual({ kind: "impossible", violated: 2 });
    const looped = charge(1, 1, { fingerprint: 5, allowed: 1, windowMs: 60_000 });
    expect(ask(account, limits, [looped, looped], 0, START)).toEqual({ kind: "impossible", violated: loopBit("identical") });
    expect(ask(account, limits, [charge(3)], 0, START)).toMatchObject({ meters: [{ remaining: 2 }, { remaining: 1 }] });
  });

  test("the told time is that of the slowest limit, and the cause is whose it is", () => {
    const account = createAccount(1);
    const limits = [rateLimit({ burst: 2, perMinute: 2 }), quotaLimit({ calls: 2, per: 3_600_000 })];
    ask(account, limits, [charge(3, 2)], 0, START);
    expect(ask(account, limits, [charge(3)], 0, START)).toMatchObject({ cause: "quota", violated: 3, retryAfterMs: 3_600_000 });
    expect(ask(account, limits, [charge(1)], 0, START)).toMatchObject({ cause: "rate", violated: 1, retryAfterMs: 30_000 });
  });

  test("a call is held for no longer than a whole refill, however long the caller would wait", () => {
    const account = createAccount(1);
    const limit = rateLimit({ burst: 2, perMinute: 60 });
    for (let i = 0; i < 4; i++) expect(ask(account, [limit], [charge(1)], 60_000, START).kind).toBe("admit");
    expect(ask(account, [limit], [charge(1)], 60_000, START)).toMatchObject({ kind: "refuse", retryAfterMs: 3_000 });
  });
});

describe("a limit that only observes", () => {
  test("refuses nothing, and reports what it would have refused", () => {
    const account = createAccount(1);
    const limits = [rateLimit({ burst: 1, perMinute: 1, mode: "observe" }), quotaLimit({ calls: 1, per: "day", mode: "observe" })];
    const loop = { ...charge(3), watches: [watch("identical", 9, 1, 60_000, "observe")] };
    expect(ask(account, limits, [loop], 0, START)).toMatchObject({ kind: "admit", waitMs: 0, observed: 0 });
    expect(ask(account, limits, [loop], 0, START)).toMatchObject({ kind: "admit", waitMs: 0, observed: 3 | loopBit("identical") });
    expect(ask(account, limits, [charge(3, 5)], 0, START)).toMatchObject({ kind: "admit", waitMs: 0, observed: 3 });
  });

  test("what it would have refused is not counted against later calls", () => {
    const account = createAccount(1);
    const limits = [rateLimit({ burst: 1, perMinute: 1, mode: "observe" })];
    for (let i = 0; i < 50; i++) ask(account, limits, [charge(1)], 0, START);
    expect(ask(account, limits, [charge(1)], 0, START + 60_000)).toMatchObject({ kind: "admit", observed: 0 });
  });
});
