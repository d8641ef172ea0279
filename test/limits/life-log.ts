/** A consumer's life of random calls, naps, refunds, crashes and changes, and the log of everything that was let through. */

import * as fc from "fast-check";
import type { Charge, Limit, Verdict } from "../../src/limits/limit.ts";
import { charge, createDisk, Instance, quotaLimit, rateLimit } from "./life.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
/** Half an hour before the end of a month: lives run over it. */
export const LIFE_START = Date.UTC(2026, 10, 30, 23, 30);
export const SLIDING_MS = 20 * SECOND_MS;
/** A repeat window and how many identical calls may pass in it. */
export const REPEAT = { windowMs: 15 * SECOND_MS, allowed: 3 };

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
  | { readonly kind: "nap"; readonly ms: number }
  | { readonly kind: "refund"; readonly which: number }
  /** Memory is lost, and a new instance starts from the row. */
  | { readonly kind: "crash" }
  /** The quiet timer fires, then the object is evicted. */
  | { readonly kind: "evict" }
  /** A new instance starts while the old one goes on answering those who still reach it. */
  | { readonly kind: "supersede" }
  | { readonly kind: "plan"; readonly which: number }
  | { readonly kind: "clock"; readonly ms: number };

export type PlanNumbers = {
  readonly burst: number;
  readonly perMinute: number;
  readonly handshake: number;
  readonly sliding: number;
  readonly daily: number;
};

export const planNumbers: fc.Arbitrary<PlanNumbers> = fc.record({
  burst: fc.integer({ min: 1, max: 40 }),
  perMinute: fc.integer({ min: 1, max: 600 }),
  handshake: fc.integer({ min: 1, max: 60 }),
  sliding: fc.integer({ min: 1, max: 60 }),
  daily: fc.integer({ min: 1, max: 200 }),
});

export function limitsOf(plan: PlanNumbers): Limit[] {
  return [
    rateLimit({ burst: plan.burst, perMinute: plan.perMinute }),
    rateLimit({ burst: plan.handshake, perMinute: plan.handshake, slot: "handshake" }),
    quotaLimit({ calls: plan.sliding, per: SLIDING_MS }),
    quotaLimit({ calls: plan.daily, per: "day" }),
  ];
}

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
export const aCrash: fc.Arbitrary<Step> = fc.constant({ kind: "crash" });
export const anEviction: fc.Arbitrary<Step> = fc.constant({ kind: "evict" });
export const aSuccession: fc.Arbitrary<Step> = fc.constant({ kind: "supersede" });
export const anAskOfTheOld: fc.Arbitrary<Step> = fc.record({ ...asked, toOld: fc.constant(true) });
export const aPlanChange: fc.Arbitrary<Step> = fc.record({ kind: fc.constant("plan" as const), which: fc.nat(2) });
export const aClockStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant("clock" as const),
  ms: fc.oneof(fc.integer({ min: -20_000, max: 20_000 }), fc.integer({ min: -3_600_000, max: 3_600_000 })),
});

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

/** From `from` on, the object worked with these numbers of a bucket. */
export interface InForce {
  readonly slot: string;
  readonly from: number;
  readonly burst: number;
  readonly perMinute: number;
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
  const disk = createDisk();
  let current = new Instance(disk);
  let old: Instance | null = null;
  let plan = plans[0]!;
  let now = LIFE_START;
  // The object's clock without its steps back: where a step goes back, no time passes.
  let elapsed = 0;
  let seenAt = now;
  const observe = (): void => {
    elapsed += Math.max(0, now - seenAt);
    seenAt = now;
  };
  const admitted: Admitted[] = [];
  const inForce: InForce[] = [];

  const askOnce = (step: Step & { kind: "ask" }): void => {
    const instance = step.toOld ? old : current;
    if (!instance) return;
    observe();
    const limits = limitsOf(plan);
    const charges = step.calls.map(({ limits: mask, cost, fingerprint }) =>
      charge(mask, cost, fingerprint === 0 ? undefined : { fingerprint, ...REPEAT }),
    );
    const verdict = instance.ask(limits, charges, step.maxWaitMs, now);
    // Its row cannot be written: callers get an error, and it is over with this instance.
    if (verdict === null) {
      old = null;
      return;
    }
    look({ instance, limits, charges, maxWaitMs: step.maxWaitMs, now, verdict });
    if (verdict.kind === "impossible") return;
    const units = unitsPerSlot(limits, charges);
    for (const limit of limits) {
      if (limit.kind !== "rate" || !units.has(limit.slot)) continue;
      const { slot, burst, perMinute } = limit;
      const known = inForce.findLast((entry) => entry.slot === slot);
      if (known?.burst !== burst || known.perMinute !== perMinute) inForce.push({ slot, from: elapsed, burst, perMinute });
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
    switch (step.kind) {
      case "nap":
        now += step.ms;
        break;
      case "clock":
        now += step.ms;
        break;
      case "crash":
        current = new Instance(disk);
        break;
      case "evict":
        // The timer reads the clock as well.
        observe();
        current.flush(now);
        current = new Instance(disk);
        break;
      case "supersede":
        current.isSuperseded = true;
        old = current;
        current = new Instance(disk);
        break;
      case "plan":
        plan = plans[step.which % plans.length]!;
        break;
      case "refund": {
        const refunded = admitted[step.which % Math.max(1, admitted.length)];
        if (!refunded) break;
        observe();
        for (const instance of [current, old]) if (instance?.refund(refunded.ticket, now)) refunded.isRefunded = true;
        break;
      }
      case "ask":
        for (let i = 0; i < step.times; i++) {
          if (i > 0) now += step.gapMs;
          askOnce(step);
        }
        break;
    }
  }
  return { admitted, inForce, end: elapsed };
}

function unitsPerSlot(limits: readonly Limit[], charges: readonly Charge[]): Map<string, number> {
  const units = new Map<string, number>();
  for (const [i, { slot }] of limits.entries()) {
    for (const one of charges) if (one.limits & (1 << i)) units.set(slot, (units.get(slot) ?? 0) + one.cost);
  }
  return units;
}
