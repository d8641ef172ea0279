/** A consumer's life of random calls, naps, refunds, crashes and changes, and the log of everything that was let through. */

import * as fc from "fast-check";
import type { Charge, Limit, Verdict } from "../../src/limits/limit.ts";
import { charge, type Instance } from "./life.ts";
import { clockStepsWithin, type Happening, type InForce, limitsOf, pickOne, type PlanNumbers, World } from "./world.ts";

const MINUTE_MS = 60_000;
/** A repeat window and how many identical calls may pass in it. */
export const REPEAT = { windowMs: 15_000, allowed: 3 };

/** `limits` as bits: the rate, the handshake's rate, the sliding quota, the daily quota. */
export interface Call {
  readonly limits: number;
  readonly cost: number;
  /** 0 for a call that no repeat window watches. */
  readonly fingerprint: number;
}

export type Step =
  /** The same POST, `times` times, `gapMs` apart. */
  | {
      readonly kind: "ask";
      readonly calls: readonly Call[];
      readonly maxWaitMs: number;
      readonly times: number;
      readonly gapMs: number;
      readonly toOld?: boolean;
    }
  | { readonly kind: "refund"; readonly which: number }
  | Happening;

const call: fc.Arbitrary<Call> = fc.record({
  limits: fc.constantFrom(1, 1, 2, 5, 9, 13, 13, 4, 8, 15),
  cost: fc.constantFrom(1, 1, 1, 2, 3),
  fingerprint: fc.constantFrom(0, 0, 0, 0, 1, 2),
});
const asked = {
  kind: fc.constant("ask" as const),
  calls: fc.oneof({ weight: 3, arbitrary: fc.tuple(call) }, fc.array(call, { minLength: 2, maxLength: 4 })),
  maxWaitMs: fc.constantFrom(0, 0, 1_000, 10_000),
  times: fc.constantFrom(1, 1, 1, 2, 5, 15),
  gapMs: fc.constantFrom(0, 0, 3, 40, 100, 700),
};
export const anAsk: fc.Arbitrary<Step> = fc.record(asked);
export const aNap: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant("nap" as const),
  ms: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 400 }) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 8_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 40 * MINUTE_MS }) },
  ),
});
export const aRefund: fc.Arbitrary<Step> = fc.record({ kind: fc.constant("refund" as const), which: fc.nat(50) });
export const anAskOfTheOld: fc.Arbitrary<Step> = fc.record({ ...asked, toOld: fc.constant(true) });
export const aClockStep = clockStepsWithin(20_000, 60 * MINUTE_MS);

/** Mostly calls and naps, with some of what is interesting in between. */
export function life(...interesting: readonly fc.Arbitrary<Step>[]): fc.Arbitrary<Step[]> {
  return fc.array(
    fc.oneof(
      { weight: 12, arbitrary: anAsk },
      { weight: 5, arbitrary: aNap },
      ...interesting.map((arbitrary) => ({ weight: 2, arbitrary })),
    ),
    { minLength: 1, maxLength: 40, size: "max" },
  );
}

export interface Admitted {
  readonly ticket: number;
  /** By the object's clock, with the steps back taken out. */
  readonly at: number;
  readonly due: number;
  readonly plan: PlanNumbers;
  readonly units: ReadonlyMap<string, number>;
  readonly fingerprints: readonly number[];
  /** The day that was in force for the daily quota, and 0 when it was not asked. */
  readonly day: number;
  isRefunded: boolean;
}

export interface LivedLife {
  readonly admitted: readonly Admitted[];
  readonly inForce: readonly InForce[];
  readonly end: number;
}

export interface Moment {
  readonly instance: Instance;
  readonly limits: readonly Limit[];
  readonly charges: readonly Charge[];
  readonly maxWaitMs: number;
  readonly now: number;
  readonly verdict: Verdict;
}

/** @param look is shown every verdict */
export function live(plans: readonly PlanNumbers[], steps: readonly Step[], look: (moment: Moment) => void = () => {}): LivedLife {
  const world = new World(plans);
  const admitted: Admitted[] = [];

  const askOnce = (step: Step & { kind: "ask" }): void => {
    const instance = world.findInstance(step);
    if (!instance) return;
    world.observe();
    const { now, elapsed, plan } = world;
    const limits = limitsOf(plan);
    const charges = step.calls.map(({ limits: mask, cost, fingerprint }) =>
      charge(mask, cost, fingerprint === 0 ? undefined : { fingerprint, ...REPEAT }),
    );
    const verdict = instance.ask(limits, charges, step.maxWaitMs, now);
    if (verdict === null) return world.endOld();
    look({ instance, limits, charges, maxWaitMs: step.maxWaitMs, now, verdict });
    if (verdict.kind === "impossible") return;
    const units = unitsPerSlot(limits, charges);
    for (const limit of limits) {
      if (limit.kind === "rate" && units.has(limit.slot)) world.noteInForce(limit.slot, limit.burst, limit.perMinute);
    }
    if (verdict.kind !== "admit") return;
    admitted.push({
      ticket: verdict.ticket,
      at: elapsed,
      due: elapsed + verdict.waitMs,
      plan,
      units,
      fingerprints: step.calls.map((one) => one.fingerprint).filter((one) => one !== 0),
      day: units.has("quota:day") ? instance.account.windows.get("quota:day")!.period : 0,
      isRefunded: false,
    });
  };

  for (const step of steps) {
    if (step.kind === "ask") {
      for (let i = 0; i < step.times; i++) {
        if (i > 0) world.now += step.gapMs;
        askOnce(step);
      }
    } else if (step.kind === "refund") {
      const refunded = pickOne(admitted, step.which);
      if (!refunded) continue;
      world.observe();
      for (const instance of world.listInstances())
        if (instance.refund(refunded.ticket, world.now)?.isAdmission) refunded.isRefunded = true;
    } else {
      world.undergo(step);
    }
  }
  return { admitted, inForce: world.inForce, end: world.elapsed };
}

function unitsPerSlot(limits: readonly Limit[], charges: readonly Charge[]): Map<string, number> {
  const units = new Map<string, number>();
  for (const [i, { slot }] of limits.entries()) {
    for (const one of charges) if (one.limits & (1 << i)) units.set(slot, (units.get(slot) ?? 0) + one.cost);
  }
  return units;
}
