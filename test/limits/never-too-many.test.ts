/**
 * Invariant 1: by the object's clock, the tokens falling due in any interval t are at most burst + rate × t, and no window
 * ever holds more than its number. Over random lives, looked at over every pair of calls. Calls that were given back are
 * not counted: the origin never had them.
 */

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Admitted, aClockStep, anAskOfTheOld, aRefund, life, live, type LivedLife, REPEAT } from "./life-log.ts";
import { aCrash, anEviction, aPlanChange, aSuccession, planNumbers, SLIDING_MS } from "./world.ts";
import { slackOf, worstExcess } from "./worst-excess.ts";

function expectNeverTooMany(lived: LivedLife): void {
  for (const slot of ["rate", "handshake"]) expect(worstExcess(lived, slot)).toBeLessThanOrEqual(slackOf(lived));
  const counted = lived.admitted.filter((one) => !one.isRefunded);
  expectWindows(counted);
  expectDays(counted);
}

function expectWindows(admitted: readonly Admitted[]): void {
  const calls = admitted.filter((one) => one.units.has(`quota:${SLIDING_MS}`));
  for (const first of calls) {
    const within = calls.filter((one) => one.due >= first.due && one.due < first.due + SLIDING_MS);
    const units = within.reduce((sum, one) => sum + one.units.get(`quota:${SLIDING_MS}`)!, 0);
    // `admitted` is in the order of asking: the last one was let in with all the others known.
    expect(units).toBeLessThanOrEqual(within.at(-1)!.plan.sliding);
  }
}

function expectDays(admitted: readonly Admitted[]): void {
  const days = new Map<number, number>();
  for (const { day, units, plan } of admitted) {
    if (day === 0) continue;
    days.set(day, (days.get(day) ?? 0) + units.get("quota:day")!);
    expect(days.get(day)).toBeLessThanOrEqual(plan.daily);
  }
}

function expectRepeats({ admitted }: LivedLife): void {
  for (const fingerprint of [1, 2]) {
    const dues = admitted.flatMap((one) => one.fingerprints.filter((print) => print === fingerprint).map(() => one.due));
    for (const first of dues) {
      expect(dues.filter((due) => due >= first && due < first + REPEAT.windowMs).length).toBeLessThanOrEqual(REPEAT.allowed);
    }
  }
}

const plan = fc.tuple(planNumbers);
const plans = fc.tuple(planNumbers, planNumbers, planNumbers);

describe("never too many, whatever happens", () => {
  test("calls, batches, holds and naps", () => {
    fc.assert(
      fc.property(plan, life(), (numbers, steps) => {
        const lived = live(numbers, steps);
        expectNeverTooMany(lived);
        expectRepeats(lived);
      }),
      { numRuns: 500 },
    );
  });

  test("refunds of admitted and of held calls", () => {
    fc.assert(
      fc.property(plan, life(aRefund), (numbers, steps) => {
        const lived = live(numbers, steps);
        expectNeverTooMany(lived);
        expectRepeats(lived);
      }),
      { numRuns: 500 },
    );
  });

  test("crashes and evictions at any point", () => {
    fc.assert(
      fc.property(plan, life(aCrash, anEviction, aRefund), (numbers, steps) => expectNeverTooMany(live(numbers, steps))),
      {
        numRuns: 700,
      },
    );
  });

  test("a superseded instance that goes on answering without being able to write", () => {
    fc.assert(
      fc.property(plan, life(aSuccession, anAskOfTheOld, anAskOfTheOld, aRefund), (numbers, steps) =>
        expectNeverTooMany(live(numbers, steps)),
      ),
      {
        numRuns: 700,
      },
    );
  });

  test("raises and cuts of every number", () => {
    fc.assert(
      fc.property(plans, life(aPlanChange, aRefund), (numbers, steps) => {
        const lived = live(numbers, steps);
        expectNeverTooMany(lived);
        expectRepeats(lived);
      }),
      { numRuns: 700 },
    );
  });

  test("a clock that steps back and forward", () => {
    fc.assert(
      fc.property(plan, life(aClockStep, aRefund), (numbers, steps) => {
        const lived = live(numbers, steps);
        expectNeverTooMany(lived);
        expectRepeats(lived);
      }),
      { numRuns: 700 },
    );
  });

  test("all of it together", () => {
    fc.assert(
      fc.property(plans, life(aPlanChange, aClockStep, aCrash, anEviction, aRefund), (numbers, steps) =>
        expectNeverTooMany(live(numbers, steps)),
      ),
      { numRuns: 700 },
    );
  });
});
