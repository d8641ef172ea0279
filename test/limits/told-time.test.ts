/** Invariant 2: alone, a call that waits the told time passes unheld; one that comes maxWait and a second earlier is refused. */

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ask } from "../../src/limits/ask.ts";
import { createDisk, Instance } from "./life.ts";
import { aClockStep, aNap, anAsk, aRefund, life, live, type Moment } from "./life-log.ts";
import { aCrash, anEviction, aPlanChange, LIFE_START, limitsOf, planNumbers } from "./world.ts";
import { charge } from "./life.ts";

const SECOND_MS = 1_000;

function expectTrueTime({ instance, limits, charges, maxWaitMs, now, verdict }: Moment): void {
  if (verdict.kind !== "refuse") return;
  const { retryAfterMs, passesAt } = verdict;
  expect(retryAfterMs).toBeGreaterThan(0);
  expect(passesAt).toBe(now + retryAfterMs);
  // What is refused takes nothing, so one copy can be asked again and again.
  const alone = structuredClone(instance.account);
  const askAfter = (ms: number, waitMs: number) => ask(alone, limits, charges, waitMs, now + ms);
  const early = retryAfterMs - maxWaitMs - SECOND_MS;
  if (early > 0) expect(askAfter(early, maxWaitMs)).toMatchObject({ kind: "refuse" });
  // Not told a millisecond too long either, beside the one of rounding and the tolerance of src/limits/bucket.ts.
  if (retryAfterMs > 2) expect(askAfter(retryAfterMs - 2, 0)).toMatchObject({ kind: "refuse" });
  expect(askAfter(retryAfterMs, maxWaitMs)).toMatchObject({ kind: "admit", waitMs: 0 });
}

const plans = fc.tuple(planNumbers, planNumbers, planNumbers);

describe("the time told is true", () => {
  test("after any calls, naps, holds and refunds", () => {
    fc.assert(
      fc.property(fc.tuple(planNumbers), life(aRefund), (numbers, steps) => {
        live(numbers, steps, expectTrueTime);
      }),
      { numRuns: 300 },
    );
  });

  test("after changes of the plan, evictions, crashes and steps of the clock", () => {
    fc.assert(
      fc.property(plans, life(aPlanChange, aClockStep, aCrash, anEviction, aRefund), (numbers, steps) => {
        live(numbers, steps, expectTrueTime);
      }),
      { numRuns: 400 },
    );
  });

  test("an eviction changes no later answer", () => {
    const steps = fc.array(fc.oneof({ weight: 4, arbitrary: anAsk }, aNap, aPlanChange, anEviction), {
      minLength: 1,
      maxLength: 40,
      size: "max",
    });
    fc.assert(
      fc.property(plans, steps, (numbers, all) => {
        const [evictedDisk, steadyDisk] = [createDisk(), createDisk()];
        let evicted = new Instance(evictedDisk);
        const steady = new Instance(steadyDisk);
        let limits = limitsOf(numbers[0]);
        let now = LIFE_START;
        for (const step of all) {
          if (step.kind === "nap") now += step.ms;
          if (step.kind === "plan") {
            // How exactly a held call is remembered when its numbers change is up to each instance; both are right.
            now += 10_000;
            limits = limitsOf(numbers[step.which]!);
          }
          if (step.kind === "evict") {
            // Objects are evicted after ten idle seconds, and nothing is held longer than that here.
            now += 10_000;
            evicted.flush(now);
            evicted = new Instance(evictedDisk);
          }
          if (step.kind !== "ask") continue;
          const charges = step.calls.map((one) => charge(one.limits, one.cost));
          for (let i = 0; i < step.times; i++) {
            now += step.gapMs;
            const expected = steady.ask(limits, charges, step.maxWaitMs, now);
            const verdict = evicted.ask(limits, charges, step.maxWaitMs, now);
            expect({ ...verdict, ticket: 0 }).toEqual({ ...expected, ticket: 0 });
          }
        }
      }),
      { numRuns: 400 },
    );
  });
});
