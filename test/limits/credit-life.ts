/**
 * A consumer's life with challenges: refused, solved, redeemed, spent by itself, by a pass and by a backend, given back, over
 * crashes and a clock that steps; and the log of all that was won and spent.
 */

import * as fc from "fast-check";
import type { Redemption } from "../../src/limits/credits.ts";
import type { Charge, Limit, Payment, Verdict } from "../../src/limits/limit.ts";
import { charge, createDisk, Instance } from "./life.ts";
import { type Admitted, type InForce, LIFE_START, limitsOf, planNumbers, type PlanNumbers } from "./life-log.ts";

const MINUTE_MS = 60_000;
/** As long as the gate lets a challenge live. */
const CHALLENGE_LIFE_MS = 5 * MINUTE_MS;
/** What is paid with a credit: the plan's rate, or its sliding quota too. */
export const RATE_ONLY = 1;
export const RATE_AND_QUOTA = 5;

export type CreditStep =
  | {
      readonly kind: "ask";
      /** As bits: the rate, the handshake's rate, the sliding quota, the daily quota. */
      readonly limits: number;
      readonly cost: number;
      readonly tag: number;
      readonly maxWaitMs: number;
      readonly times: number;
      readonly gapMs: number;
      readonly toOld?: boolean;
    }
  | { readonly kind: "nap"; readonly ms: number }
  /** A fresh challenge, for a call of this tag and cost; tag 0 for none. */
  | { readonly kind: "challenge"; readonly tag: number; readonly cost: number; readonly calls: number; readonly lifeMs: number }
  /** Hands in the solution of any challenge that there was. The gate has looked at its time a little before. */
  | { readonly kind: "redeem"; readonly which: number; readonly travelMs: number; readonly toOld?: boolean }
  /** Takes from one credit for another account's call, or for a backend when the tag is null. */
  | { readonly kind: "spend"; readonly which: number; readonly units: number; readonly tag: number | null; readonly toOld?: boolean }
  | { readonly kind: "refund"; readonly which: number }
  | { readonly kind: "crash" }
  | { readonly kind: "evict" }
  | { readonly kind: "supersede" }
  | { readonly kind: "plan"; readonly which: number }
  | { readonly kind: "clock"; readonly ms: number };

const tag = fc.constantFrom(0, 1, 1, 2);
const toOld = fc.constantFrom(false, false, false, true);
const step: fc.Arbitrary<CreditStep> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant("ask" as const),
      limits: fc.constantFrom(1, 1, 1, 5, 5, 13, 2),
      cost: fc.constantFrom(1, 1, 1, 2, 3),
      tag,
      maxWaitMs: fc.constantFrom(0, 0, 0, 10_000),
      times: fc.constantFrom(1, 1, 2, 5, 15),
      gapMs: fc.constantFrom(0, 0, 40, 700),
      toOld,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("nap" as const),
      ms: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 1, max: 15_000 }) }, fc.integer({ min: 1, max: 8 * MINUTE_MS })),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("challenge" as const),
      tag,
      cost: fc.constantFrom(1, 1, 2, 3),
      calls: fc.constantFrom(1, 3, 10, 40),
      lifeMs: fc.constantFrom(5_000, 30_000, 5 * MINUTE_MS),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("redeem" as const),
      which: fc.nat(20),
      travelMs: fc.constantFrom(0, 0, 5, 4_000),
      toOld,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("spend" as const),
      which: fc.nat(20),
      units: fc.integer({ min: 1, max: 4 }),
      tag: fc.constantFrom(0, 1, 2, null),
      toOld,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("refund" as const), which: fc.nat(50) }) },
);
export const aCrash: fc.Arbitrary<CreditStep> = fc.constant({ kind: "crash" });
export const anEviction: fc.Arbitrary<CreditStep> = fc.constant({ kind: "evict" });
export const aSuccession: fc.Arbitrary<CreditStep> = fc.constant({ kind: "supersede" });
export const aPlanChange: fc.Arbitrary<CreditStep> = fc.record({ kind: fc.constant("plan" as const), which: fc.nat(2) });
/** Not so far back that a challenge would have run out before it was made. */
export const aSmallClockStep: fc.Arbitrary<CreditStep> = fc.record({
  kind: fc.constant("clock" as const),
  ms: fc.integer({ min: -20_000, max: 20_000 }),
});
export const aClockStep: fc.Arbitrary<CreditStep> = fc.record({
  kind: fc.constant("clock" as const),
  ms: fc.oneof(fc.integer({ min: -20_000, max: 20_000 }), fc.integer({ min: -20 * MINUTE_MS, max: 20 * MINUTE_MS })),
});

/** Small enough to be empty most of the time. */
export const numbers: fc.Arbitrary<PlanNumbers> = planNumbers.filter(({ burst }) => burst <= 12);

export function creditLife(...interesting: readonly fc.Arbitrary<CreditStep>[]): fc.Arbitrary<CreditStep[]> {
  return fc.array(fc.oneof({ weight: 24, arbitrary: step }, ...interesting.map((arbitrary) => ({ weight: 2, arbitrary }))), {
    minLength: 1,
    maxLength: 60,
    size: "max",
  });
}

/** One credit, as the whole world sees it. */
export interface Won {
  readonly calls: number;
  times: number;
  spent: number;
}

export interface CreditLife {
  readonly won: ReadonlyMap<string, Won>;
  /** Units in the slot "credits" for what credits have paid; those of a backend are not among them. */
  readonly admitted: readonly Admitted[];
  readonly inForce: readonly InForce[];
}

export interface CreditMoment {
  readonly instance: Instance;
  readonly limits: readonly Limit[];
  readonly charges: readonly Charge[];
  readonly payment: Payment;
  readonly maxWaitMs: number;
  readonly now: number;
  readonly verdict: Verdict;
  readonly plan: PlanNumbers;
}

/** @param look is shown every verdict */
export function liveOnCredit(
  plans: readonly PlanNumbers[],
  payable: number,
  steps: readonly CreditStep[],
  look: (moment: CreditMoment) => void = () => {},
): CreditLife {
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
  const challenges: Redemption[] = [];
  const won = new Map<string, Won>();
  const admitted: (Admitted & { readonly spent: readonly (readonly [string, number, number])[] })[] = [];
  const inForce: InForce[] = [];

  const note = (slot: string, burst: number, perMinute: number): void => {
    const known = inForce.findLast((entry) => entry.slot === slot);
    if (known?.burst !== burst || known.perMinute !== perMinute) inForce.push({ slot, from: elapsed, burst, perMinute });
  };
  const noteCreditRate = ({ account }: Instance): void => {
    const bucket = account.buckets.get("credits");
    if (bucket) note("credits", bucket.burst, bucket.perMinute);
  };
  const log = (instance: Instance, ticket: number, waitMs: number, units: Map<string, number>): void => {
    // A pass is spent by the numbers that the account knows, which may be those of an earlier plan.
    const { burst, perMinute } = (units.has("credits") && instance.account.buckets.get("credits")) || plan;
    const spent = instance.account.admissions.at(-1)!.spent ?? [];
    for (const [id, taken] of spent) won.get(id)!.spent += taken;
    admitted.push({
      ticket,
      at: elapsed,
      due: elapsed + waitMs,
      plan: { ...plan, burst, perMinute },
      units,
      fingerprints: [],
      day: 0,
      isRefunded: false,
      spent,
    });
  };

  const askOnce = (one: CreditStep & { kind: "ask" }, instance: Instance): void => {
    observe();
    const limits = limitsOf(plan);
    const charges = [charge(one.limits, one.cost)];
    const payment: Payment = { payable, tag: one.tag, isPrepaid: false };
    const verdict = instance.ask(limits, charges, one.maxWaitMs, now, payment);
    if (verdict === null) {
      old = null;
      return;
    }
    look({ instance, limits, charges, payment, maxWaitMs: one.maxWaitMs, now, verdict, plan });
    if (verdict.kind === "impossible") return;
    const units = new Map<string, number>();
    for (const [i, limit] of limits.entries()) {
      if (!(one.limits & (1 << i))) continue;
      if (limit.kind === "rate") note(limit.slot, limit.burst, limit.perMinute);
      const isPaid = verdict.kind === "admit" && verdict.paidUnits > 0 && (payable & (1 << i)) !== 0;
      if (!isPaid) units.set(limit.slot, one.cost);
    }
    noteCreditRate(instance);
    if (verdict.kind !== "admit") return;
    if (verdict.paidUnits > 0) units.set("credits", verdict.paidUnits);
    log(instance, verdict.ticket, verdict.waitMs, units);
  };

  for (const step of steps) {
    const instance = "toOld" in step && step.toOld ? old : current;
    switch (step.kind) {
      case "nap":
      case "clock":
        now += step.ms;
        break;
      case "crash":
        current = new Instance(disk);
        break;
      case "evict":
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
      case "challenge": {
        const { burst, perMinute } = plan;
        const { calls, lifeMs, cost } = step;
        const id = `challenge-${challenges.length}`;
        const keptFor = { tag: step.tag, cost };
        const rate = { burst, perMinute };
        challenges.push({ id, redeemableUntil: now + CHALLENGE_LIFE_MS, calls, expiresAt: now + lifeMs, keptFor, rate });
        break;
      }
      case "redeem": {
        const challenge = challenges[step.which % Math.max(1, challenges.length)];
        if (!challenge || !instance || challenge.redeemableUntil <= now - step.travelMs) break;
        observe();
        const { calls, expiresAt, redeemableUntil } = challenge;
        // A credit lasts from when it is redeemed.
        const lifeMs = expiresAt - (redeemableUntil - CHALLENGE_LIFE_MS);
        const redeemed = instance.redeem({ ...challenge, expiresAt: now + lifeMs }, now);
        if (redeemed === null) old = null;
        if (!redeemed?.ok) break;
        const known = won.get(challenge.id) ?? { calls, times: 0, spent: 0 };
        known.times++;
        won.set(challenge.id, known);
        break;
      }
      case "spend": {
        const challenge = challenges[step.which % Math.max(1, challenges.length)];
        if (!challenge || !instance) break;
        observe();
        const ticket = instance.spend(challenge.id, step.units, step.tag, now);
        noteCreditRate(instance);
        if (ticket !== null) log(instance, ticket, 0, new Map(step.tag === null ? [] : [["credits", step.units]]));
        break;
      }
      case "refund": {
        const refunded = admitted[step.which % Math.max(1, admitted.length)];
        if (!refunded) break;
        observe();
        for (const instance of [current, old]) {
          if (instance?.refund(refunded.ticket, now) !== true) continue;
          refunded.isRefunded = true;
          for (const [id, units] of refunded.spent) won.get(id)!.spent -= units;
        }
        break;
      }
      case "ask":
        for (let i = 0; i < step.times; i++) {
          if (i > 0) now += step.gapMs;
          const asked = step.toOld ? old : current;
          if (asked) askOnce(step, asked);
        }
        break;
    }
  }
  return { won, admitted, inForce };
}
