/** The row runs ahead of memory: by nothing for a lone call, by at most an eighth for a busy consumer, and never behind. */

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createAccount } from "../../src/limits/account.ts";
import { ask } from "../../src/limits/ask.ts";
import { forgettableAt, restore, store } from "../../src/limits/stored-account.ts";
import { charge, createDisk, Instance, quotaLimit, rateLimit } from "./life.ts";
import { life, live } from "./life-log.ts";
import { aCrash, anEviction, limitsOf, LIFE_START, planNumbers } from "./world.ts";

const START = Date.UTC(2026, 10, 21, 12);

describe("what is stored", () => {
  test("a lone call stores the exact value", () => {
    const disk = createDisk();
    const limits = [
      rateLimit({ burst: 30, perMinute: 30 }),
      quotaLimit({ calls: 100, per: "day" }),
      quotaLimit({ calls: 50, per: 3_600_000 }),
    ];
    new Instance(disk).ask(limits, [charge(7, 3)], 0, START);
    const after = new Instance(disk).ask(limits, [charge(7)], 0, START);
    expect(after).toMatchObject({ kind: "admit", meters: [{ remaining: 26 }, { remaining: 96 }, { remaining: 46 }] });
  });

  test("a busy consumer is written every many calls, and a crash costs it an eighth of the burst at most", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 0, max: 120 }),
        fc.integer({ min: 1, max: 600 }),
        (calls, gapMs, burst) => {
          const disk = createDisk();
          const instance = new Instance(disk);
          const limit = rateLimit({ burst, perMinute: burst });
          let now = START;
          for (let i = 0; i < calls; i++) {
            instance.ask([limit], [charge(1)], 0, now);
            now += gapMs;
          }
          const kept = instance.account.buckets.get("rate")!.fullAt;
          const restored = new Instance(disk).account.buckets.get("rate")?.fullAt ?? 0;
          const lostTokens = ((Math.max(restored, now) - Math.max(kept, now)) * burst) / 60_000;
          expect(lostTokens).toBeGreaterThan(-1e-6);
          expect(lostTokens).toBeLessThanOrEqual(burst / 8 + 1e-6);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("what was written off in advance is there again once it has been quiet", () => {
    const disk = createDisk();
    const instance = new Instance(disk);
    const limits = [rateLimit({ burst: 80, perMinute: 6 }), quotaLimit({ calls: 80, per: "day" })];
    // The second call's row writes off one more in advance, and none comes to use it up.
    for (let i = 0; i < 2; i++) instance.ask(limits, [charge(3)], 0, START);
    const before = instance.afterCrash();
    instance.flush(START + 5_000);
    const [crashed, rested] = [before, new Instance(disk)].map((each) => each.ask(limits, [charge(3)], 0, START + 5_000));
    expect(crashed).toMatchObject({ kind: "admit", meters: [{ remaining: 76 }, { remaining: 76 }] });
    expect(rested).toMatchObject({ kind: "admit", meters: [{ remaining: 77 }, { remaining: 77 }] });
  });

  test("at a steady 600 a minute at most every tenth call writes", () => {
    const disk = createDisk();
    const instance = new Instance(disk);
    const limits = [
      rateLimit({ burst: 600, perMinute: 600 }),
      quotaLimit({ calls: 100_000, per: "day" }),
      quotaLimit({ calls: 50_000, per: 3_600_000 }),
    ];
    for (let i = 0; i < 1_200; i++) expect(instance.ask(limits, [charge(7)], 0, START + i * 100)?.kind).toBe("admit");
    expect(disk.writes).toBeLessThanOrEqual(120);
  });

  test("never says less than memory has handed out, at any moment of any life", () => {
    fc.assert(
      fc.property(fc.tuple(planNumbers), life(aCrash, anEviction), (numbers, steps) => {
        live(numbers, steps, ({ instance, now, verdict }) => {
          if (verdict.kind !== "admit") return;
          const restored = instance.afterCrash();
          for (const [slot, bucket] of instance.account.buckets) {
            const stored = restored.account.buckets.get(slot)?.fullAt ?? 0;
            expect(Math.max(stored, now)).toBeGreaterThanOrEqual(Math.max(bucket.fullAt, now));
          }
          for (const [slot, window] of instance.account.windows) {
            const stored = restored.account.windows.get(slot);
            if (window.per === "day" && window.count > 0) {
              expect(stored?.period).toBe(window.period);
              expect(stored?.count).toBeGreaterThanOrEqual(window.count);
            }
            if (typeof window.per !== "number") continue;
            const { per } = window;
            for (const cell of window.cells) {
              if (cell.last + per <= now) continue;
              const ofMemory = unitsUntil(window.cells, cell.last);
              expect(unitsUntil(stored?.cells ?? [], cell.last)).toBeGreaterThanOrEqual(ofMemory);
            }
          }
        });
      }),
      { numRuns: 500 },
    );
  });

  test("survives being written and read: the same answers, to the millisecond", () => {
    fc.assert(
      fc.property(
        planNumbers,
        fc.array(fc.integer({ min: 0, max: 3_000 }), { minLength: 1, maxLength: 60, size: "max" }),
        (numbers, gaps) => {
          const account = createAccount(1);
          let now = LIFE_START;
          const limits = limitsOf(numbers);
          for (const gap of gaps) ask(account, limits, [charge(15)], 5_000, (now += gap));
          const { row, ahead } = store(account, now);
          expect(ahead.isExact).toBe(true);
          const copy = createAccount(1);
          restore(copy, structuredClone(row));
          for (const later of [0, 1_000, 30_000, 3_600_000]) {
            const expected = ask(structuredClone(account), limits, [charge(15)], 0, now + later);
            expect({ ...ask(structuredClone(copy), limits, [charge(15)], 0, now + later), ticket: 0 }).toEqual({ ...expected, ticket: 0 });
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test("a short window's calls are not written off in a row that leaves the window out", () => {
    const disk = createDisk();
    const instance = new Instance(disk);
    const limits = [
      rateLimit({ burst: 600, perMinute: 600 }),
      quotaLimit({ calls: 80, per: 1_000 }),
      rateLimit({ burst: 60, perMinute: 60, slot: "handshake" }),
    ];
    for (let i = 0; i < 60; i++) instance.ask(limits, [charge(3)], 0, START);
    // The window is over when a handshake writes the row, and the last two seconds' calls are still written off in it.
    instance.ask(limits, [charge(4)], 0, START + 1_500);
    let passed = 0;
    for (let i = 0; i < 10; i++) if (instance.ask(limits, [charge(3)], 0, START + 1_600)?.kind === "admit") passed++;
    const restarted = new Instance(disk);
    for (let i = 0; i < 80; i++) if (restarted.ask(limits, [charge(3)], 0, START + 1_700)?.kind === "admit") passed++;
    expect(passed).toBeLessThanOrEqual(80);
  });

  test("the few calls after midnight are not forgotten because the last ones before it were many", () => {
    const midnight = Date.UTC(2026, 10, 22);
    const disk = createDisk();
    const instance = new Instance(disk);
    const limits = [
      rateLimit({ burst: 600, perMinute: 600 }),
      quotaLimit({ calls: 80, per: "day" }),
      rateLimit({ burst: 60, perMinute: 60, slot: "handshake" }),
    ];
    for (let i = 0; i < 60; i++) instance.ask(limits, [charge(3)], 0, midnight - 100);
    // A look at the new day that takes nothing: the rate refuses it.
    expect(instance.ask(limits, [charge(3, 80), charge(1, 520)], 0, midnight + 100)).toMatchObject({ kind: "refuse", cause: "rate" });
    instance.ask(limits, [charge(4)], 0, midnight + 200);
    let passed = 0;
    for (let i = 0; i < 5; i++) if (instance.ask(limits, [charge(3)], 0, midnight + 300)?.kind === "admit") passed++;
    const restarted = new Instance(disk);
    for (let i = 0; i < 80; i++) if (restarted.ask(limits, [charge(3)], 0, midnight + 400)?.kind === "admit") passed++;
    expect(passed).toBeLessThanOrEqual(80);
  });

  test("a day whose calls were all given back is not forgotten, so that no clock can make the day before begin anew", () => {
    const midnight = Date.UTC(2026, 10, 22);
    const disk = createDisk();
    const limits = [quotaLimit({ calls: 10, per: "day" })];
    const instance = new Instance(disk);
    instance.ask(limits, [charge(1, 10)], 0, midnight - 100);
    const given = instance.ask(limits, [charge(1)], 0, midnight + 100);
    if (given?.kind !== "admit") throw new Error("must pass");
    instance.refund(given.ticket, midnight + 200);
    instance.flush(midnight + 5_200);
    const second = new Instance(disk).ask(limits, [charge(1, 10)], 0, midnight - 50);
    const third = new Instance(disk).ask(limits, [charge(1, 10)], 0, midnight + 5_300);
    // Twenty in the two days around midnight, whichever of the days the clock says.
    expect([second, third].filter((verdict) => verdict?.kind === "admit")).toHaveLength(1);
  });

  test("an account is forgettable when no answer would differ from a new account's, and not before", () => {
    fc.assert(
      fc.property(
        planNumbers,
        fc.array(fc.integer({ min: 0, max: 3_000 }), { minLength: 1, maxLength: 30, size: "max" }),
        (numbers, gaps) => {
          const account = createAccount(1);
          let now = LIFE_START;
          const limits = limitsOf(numbers);
          const looped = charge(15, 1, { fingerprint: 4, allowed: 2, windowMs: 40_000 });
          for (const gap of gaps) ask(account, limits, [looped], 5_000, (now += gap));
          const at = Math.ceil(forgettableAt(account, now));
          expect(at).toBeGreaterThan(now);
          const fresh = ask(createAccount(1), limits, [looped], 0, at);
          expect({ ...ask(structuredClone(account), limits, [looped], 0, at), ticket: 0 }).toEqual({ ...fresh, ticket: 0 });
        },
      ),
      { numRuns: 300 },
    );
  });
});

/** What is still counted when everything before `time` has left the window. */
function unitsUntil(cells: readonly { last: number; count: number }[], time: number): number {
  return cells.filter((cell) => cell.last >= time).reduce((sum, cell) => sum + cell.count, 0);
}
