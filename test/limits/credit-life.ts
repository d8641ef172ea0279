/**
 * A consumer's life with challenges: refused, solved or paid, redeemed, spent by itself, by a pass and by a backend, given back,
 * cut off and sent again, over crashes and a clock that steps; and the log of all that was won and spent.
 */

import * as fc from "fast-check";
import type { Redemption } from "../../src/limits/credits.ts";
import type { Charge, Limit, Payment, Verdict } from "../../src/limits/limit.ts";
import { charge, type GivenBack, type Instance } from "./life.ts";
import type { Admitted } from "./life-log.ts";
import { clockStepsWithin, type Happening, type InForce, limitsOf, pickOne, planNumbers, type PlanNumbers, World } from "./world.ts";

const MINUTE_MS = 60_000;
/** As long as the gate lets a challenge live. */
const CHALLENGE_LIFE_MS = 5 * MINUTE_MS;
/** For so long a call whose answer was cut off may be sent again for nothing. */
const RESEND_WITHIN_MS = 5 * MINUTE_MS;
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
      /** The challenge whose proof is shown; null for none. */
      readonly shown: number | null;
      readonly toOld?: boolean;
    }
  /** A fresh challenge, for a call of this tag and cost; tag 0 for none. A payment's credit is spent by whom it says. */
  | {
      readonly kind: "challenge";
      readonly payment: "consumer" | "holder" | null;
      readonly tag: number;
      readonly cost: number;
      readonly calls: number;
      readonly lifeMs: number;
      /** Its proof is handed in at once. */
      readonly isRedeemed: boolean;
    }
  /** Hands in the proof of any challenge that there was. The gate has looked at its time a little before. */
  | { readonly kind: "redeem"; readonly which: number; readonly travelMs: number; readonly toOld?: boolean }
  /** Takes from one credit for another account's call, or for a backend when the tag is null. */
  | { readonly kind: "spend"; readonly which: number; readonly units: number; readonly tag: number | null; readonly toOld?: boolean }
  | { readonly kind: "refund"; readonly which: number }
  /** The same by the attempt, for one of the latest that were paid for: the answer that told the ticket was lost. */
  | { readonly kind: "undo"; readonly which: number }
  /** The answer to one of the latest calls that were paid for was cut off. */
  | { readonly kind: "owe"; readonly which: number; readonly toOld?: boolean }
  | Happening;

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
      shown: fc.option(fc.nat(20)),
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
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("challenge" as const),
      payment: fc.constantFrom(null, "consumer" as const, "holder" as const),
      tag,
      cost: fc.constantFrom(1, 1, 2, 3),
      calls: fc.constantFrom(1, 3, 10, 40),
      lifeMs: fc.constantFrom(5_000, 30_000, 5 * MINUTE_MS),
      isRedeemed: fc.boolean(),
    }),
  },
  {
    weight: 8,
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
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("undo" as const), which: fc.nat(3) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("owe" as const), which: fc.nat(3), toOld }) },
);
/** Not so far back that a challenge would have run out before it was made. */
export const aSmallClockStep = clockStepsWithin(20_000);
export const aClockStep = clockStepsWithin(20_000, 20 * MINUTE_MS);

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
  /** By the clock that it was won by. */
  readonly expiresAt: number;
  readonly isForHolder: boolean;
  /** Of a credit for sending a call again: that call. */
  readonly resendOf: CreditAdmitted | null;
  times: number;
  spent: number;
}

/** What has been let through, and what it was paid with. */
export interface CreditAdmitted extends Admitted {
  readonly attempt: number;
  readonly tag: number;
  /** The credit whose proof was shown; empty for none. */
  readonly shown: string;
  /** Another account's call: what was shown is all that may pay. */
  readonly isForeign: boolean;
  readonly spent: readonly { readonly id: string; readonly units: number }[];
}

export interface CreditLife {
  readonly won: ReadonlyMap<string, Won>;
  /** Units in the slot "credits" for what credits have paid; those of a backend are not among them. */
  readonly admitted: readonly CreditAdmitted[];
  readonly inForce: readonly InForce[];
  /** What remains at the end of what has not run out, by the object's word. */
  readonly left: ReadonlyMap<string, number>;
  readonly end: number;
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
  const world = new World(plans);
  const challenges: Redemption[] = [];
  const won = new Map<string, Won>();
  const admitted: CreditAdmitted[] = [];
  let attempts = 0;

  const noteCreditRate = ({ account }: Instance): void => {
    const bucket = account.buckets.get("credits");
    if (bucket) world.noteInForce("credits", bucket.burst, bucket.perMinute);
  };
  const log = (
    instance: Instance,
    ticket: number,
    waitMs: number,
    units: Map<string, number>,
    asked: Pick<CreditAdmitted, "attempt" | "tag" | "shown" | "isForeign">,
  ): void => {
    const { elapsed, plan } = world;
    // A pass is spent by the numbers that the account knows, which may be those of an earlier plan.
    const { burst, perMinute } = (units.has("credits") && instance.account.buckets.get("credits")) || plan;
    const { spent = [] } = instance.account.credits.paidCalls.find((call) => call.ticket === ticket) ?? {};
    for (const { id, units: taken } of spent) won.get(id)!.spent += taken;
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
      ...asked,
    });
  };
  const noteGivenBack = (call: CreditAdmitted, givenBack: GivenBack | null): void => {
    if (givenBack?.isAdmission) call.isRefunded = true;
    if (givenBack?.isPaid) for (const { id, units } of call.spent) won.get(id)!.spent -= units;
  };
  const latestPaid = (which: number): CreditAdmitted | undefined => admitted.filter(({ spent }) => spent.length > 0).at(-1 - which);
  const shownBy = (which: number | null): string => (which === null ? "" : (pickOne(challenges, which)?.id ?? ""));

  const askOnce = (one: CreditStep & { kind: "ask" }, instance: Instance): void => {
    world.observe();
    const { now, plan } = world;
    const limits = limitsOf(plan);
    const charges = [charge(one.limits, one.cost)];
    const payment: Payment = { payable, tag: one.tag, isPrepaid: false, attempt: ++attempts, shown: shownBy(one.shown) };
    const verdict = instance.ask(limits, charges, one.maxWaitMs, now, payment);
    if (verdict === null) return world.endOld();
    look({ instance, limits, charges, payment, maxWaitMs: one.maxWaitMs, now, verdict, plan });
    if (verdict.kind === "impossible") return;
    const units = new Map<string, number>();
    for (const [i, limit] of limits.entries()) {
      if (!(one.limits & (1 << i))) continue;
      if (limit.kind === "rate") world.noteInForce(limit.slot, limit.burst, limit.perMinute);
      const isPaid = verdict.kind === "admit" && verdict.paidUnits > 0 && (payable & (1 << i)) !== 0;
      if (!isPaid) units.set(limit.slot, one.cost);
    }
    noteCreditRate(instance);
    if (verdict.kind !== "admit") return;
    if (verdict.paidUnits > 0) units.set("credits", verdict.paidUnits);
    log(instance, verdict.ticket, verdict.waitMs, units, { ...payment, isForeign: false });
  };

  const redeemOnce = (challenge: Redemption, instance: Instance, travelMs: number): void => {
    const { now } = world;
    const { id, calls, expiresAt, redeemableUntil, payment } = challenge;
    if (redeemableUntil <= now - travelMs) return;
    world.observe();
    // A credit lasts from when it is redeemed.
    const lifeMs = expiresAt - (redeemableUntil - CHALLENGE_LIFE_MS);
    const redeemed = instance.redeem({ ...challenge, expiresAt: now + lifeMs }, now);
    if (redeemed === null) world.endOld();
    if (!redeemed?.ok) return;
    const fresh = { calls, expiresAt: now + lifeMs, isForHolder: payment?.isForHolder ?? false, resendOf: null, times: 0, spent: 0 };
    const known = won.get(id) ?? fresh;
    known.times++;
    won.set(id, known);
  };

  for (const step of steps) {
    switch (step.kind) {
      case "challenge": {
        const { now, plan } = world;
        const { burst, perMinute } = plan;
        const { calls, lifeMs, cost } = step;
        const id = `challenge-${challenges.length}`;
        const keptFor = { tag: step.tag, cost };
        const rate = { burst, perMinute };
        const payment = step.payment === null ? {} : { payment: { isForHolder: step.payment === "holder" } };
        const fresh = { id, redeemableUntil: now + CHALLENGE_LIFE_MS, calls, expiresAt: now + lifeMs, keptFor, rate, ...payment };
        challenges.push(fresh);
        if (step.isRedeemed) redeemOnce(fresh, world.current, 0);
        break;
      }
      case "redeem": {
        const challenge = pickOne(challenges, step.which);
        const instance = world.findInstance(step);
        if (challenge && instance) redeemOnce(challenge, instance, step.travelMs);
        break;
      }
      case "spend": {
        const challenge = pickOne(challenges, step.which);
        const instance = world.findInstance(step);
        if (!challenge || !instance) break;
        world.observe();
        const { units, tag } = step;
        const attempt = ++attempts;
        const ticket = instance.spend({ creditId: challenge.id, units, tag, attempt }, world.now);
        noteCreditRate(instance);
        const taken = new Map(tag === null ? [] : [["credits", units]]);
        if (ticket !== null) log(instance, ticket, 0, taken, { attempt, tag: tag ?? 0, shown: challenge.id, isForeign: true });
        break;
      }
      case "refund": {
        const refunded = pickOne(admitted, step.which);
        if (!refunded) break;
        world.observe();
        for (const instance of world.listInstances()) noteGivenBack(refunded, instance.refund(refunded.ticket, world.now));
        break;
      }
      case "undo": {
        const undone = latestPaid(step.which);
        if (!undone) break;
        world.observe();
        noteGivenBack(undone, world.current.undo(undone.attempt, world.now));
        break;
      }
      case "owe": {
        const cutOff = latestPaid(step.which);
        const instance = world.findInstance(step);
        if (!cutOff || !instance) break;
        world.observe();
        const id = instance.oweResend(cutOff.ticket, world.now);
        if (id === null) break;
        const calls = instance.account.credits.open.get(id)!.left;
        won.set(id, { calls, expiresAt: world.now + RESEND_WITHIN_MS, isForHolder: false, resendOf: cutOff, times: 1, spent: 0 });
        break;
      }
      case "ask":
        for (let i = 0; i < step.times; i++) {
          if (i > 0) world.now += step.gapMs;
          const instance = world.findInstance(step);
          if (instance) askOnce(step, instance);
        }
        break;
      case "nap":
      case "clock":
      case "crash":
      case "evict":
      case "supersede":
      case "plan":
        world.undergo(step);
        break;
    }
  }
  const { now, inForce } = world;
  const left = new Map<string, number>();
  for (const [id, credit] of world.current.account.credits.open) if (credit.expiresAt > now) left.set(id, credit.left);
  return { won, admitted, inForce, left, end: now };
}
