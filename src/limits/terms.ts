/**
 * A consumer's terms: what its plan means for it, in resolved numbers, with everything prepared that would otherwise be
 * done again on each call. Made once for each plan (or each key, when the policy computes limits from metadata).
 */

import { DEFAULT_BOUNDS, type DifficultyBounds } from "../challenges/difficulty.ts";
import type { ConcurrencyLimit, Limit, RateLimit } from "./limit.ts";
import { type NamedBook, type NamedByKind, type NamedTerms, resolveNamed } from "./named.ts";
import type { Plan } from "./plan.ts";
import { quotaLimits, rateLimit } from "./plan-limits.ts";

export const DEFAULT_MAX_WAIT_SECONDS = 10;
const DEFAULT_STREAMS = 16;
const DEFAULT_WEIGHT = 1;

/** The handshake lane's own bucket: a minute's worth at once, and as much a minute. */
export interface HandshakeTerms {
  readonly perMinute: number;
}

/** Limits that are asked about together. Bits in charges and verdicts are places in this list. */
export interface LimitSet {
  readonly limits: readonly Limit[];
  /** `limits` as they travel to the consumer's object, which parses a text that it has not seen before. */
  readonly limitsText: string;
}

/** The limits of the plan itself: the general rate first, then the quotas, the handshake last. */
export interface Terms extends LimitSet {
  readonly plan: string;
  /** The plan's own rate, the first of its limits. */
  readonly rate: RateLimit;
  /** The limits of the work lane and of the handshake lane, as bits of `limits`. */
  readonly workMask: number;
  readonly handshakeMask: number;
  /** Null where calls at once are not limited. */
  readonly concurrency: ConcurrencyLimit | null;
  readonly streams: ConcurrencyLimit;
  readonly named: NamedBook | null;
  /** The limits of the plan with those of one name behind them. */
  readonly setFor: (named: NamedTerms) => LimitSet;
  readonly maxWaitMs: number;
  readonly refuse: "error" | "result";
  readonly weight: number;
  /** The limits that a credit stands in for, as bits: the plan's rate, and its quotas where the policy says so. */
  readonly payableMask: number;
  readonly offers: Offers;
}

/** What a caller is offered when its rate is empty. */
export interface Offers {
  readonly pow: PowOffer | null;
  readonly l402: L402Offer | null;
}

export interface PowOffer extends DifficultyBounds {
  readonly calls: number;
  readonly lifeMs: number;
}

export interface L402Offer {
  readonly satsPerCall: number;
  /** What an invoice buys, and how long it lasts. */
  readonly calls: number;
  readonly lifeMs: number;
}

export const HANDSHAKE_SLOT = "handshake";

/** @param general what the policy says of names for every plan */
export function resolveTerms(name: string, plan: Plan, handshake: HandshakeTerms, general: NamedByKind = {}): Terms {
  const rate = rateLimit(plan.rate, { slot: "", name });
  const limits: Limit[] = [rate, ...quotaLimits(plan.quotas ?? {}, { slot: "", name: "" })];
  const workMask = (1 << limits.length) - 1;
  const handshakeMask = 1 << limits.length;
  const { perMinute } = handshake;
  limits.push({ kind: "rate", slot: HANDSHAKE_SLOT, name: HANDSHAKE_SLOT, burst: perMinute, perMinute, mode: "enforce" });
  const sets = new Map<NamedTerms, LimitSet>();
  const terms: Terms = {
    plan: name,
    ...limitSet(limits),
    rate,
    workMask,
    handshakeMask,
    concurrency: plan.concurrency === undefined ? null : concurrencyLimit("calls", `${name}.at-once`, plan.concurrency),
    streams: concurrencyLimit("streams", `${name}.streams`, plan.streams ?? DEFAULT_STREAMS),
    named: resolveNamed(general, plan),
    setFor(named) {
      let set = sets.get(named);
      if (!set) {
        set = named.ownLimits.length === 0 ? terms : limitSet([...limits, ...named.ownLimits]);
        sets.set(named, set);
      }
      return set;
    },
    maxWaitMs: (plan.maxWaitSeconds ?? DEFAULT_MAX_WAIT_SECONDS) * 1_000,
    refuse: plan.refuse ?? "error",
    weight: plan.weight ?? DEFAULT_WEIGHT,
    payableMask: plan.offers?.quotas ? workMask : 1,
    offers: { pow: resolvePow(plan.offers?.pow), l402: resolveL402(plan.offers?.l402) },
  };
  return terms;
}

/** What a proof buys where nothing else is said. */
export const DEFAULT_POW: PowOffer = { ...DEFAULT_BOUNDS, calls: 10, lifeMs: 300_000 };

function resolvePow(offer: NonNullable<Plan["offers"]>["pow"]): PowOffer | null {
  if (offer === undefined || offer === false) return null;
  if (offer === true) return DEFAULT_POW;
  const { difficulty, maxDifficulty, calls = DEFAULT_POW.calls, seconds } = offer;
  const base = difficulty ?? Math.min(DEFAULT_POW.base, maxDifficulty ?? DEFAULT_POW.base);
  const max = maxDifficulty ?? Math.max(DEFAULT_POW.max, base);
  return { base, max, calls, lifeMs: seconds === undefined ? DEFAULT_POW.lifeMs : seconds * 1_000 };
}

const DAY_MS = 86_400_000;
/** What a payment buys where nothing else is said. */
const DEFAULT_L402: L402Offer = { satsPerCall: 3, calls: 10, lifeMs: 30 * DAY_MS };

function resolveL402(offer: NonNullable<Plan["offers"]>["l402"]): L402Offer | null {
  if (offer === undefined || offer === false) return null;
  if (offer === true) return DEFAULT_L402;
  const { satsPerCall = DEFAULT_L402.satsPerCall, calls = DEFAULT_L402.calls, days } = offer;
  return { satsPerCall, calls, lifeMs: days === undefined ? DEFAULT_L402.lifeMs : days * DAY_MS };
}

export function limitSet(limits: readonly Limit[]): LimitSet {
  return { limits, limitsText: JSON.stringify(limits) };
}

function concurrencyLimit(
  slot: string,
  name: string,
  input: number | { calls: number; mode?: "enforce" | "observe" | undefined },
): ConcurrencyLimit {
  const { calls, mode = "enforce" } = typeof input === "number" ? { calls: input } : input;
  return { kind: "concurrency", slot, name, calls, mode };
}

/** The limits whose bits are set, in the order of their meters. */
export function limitsIn(set: LimitSet, mask: number): Limit[] {
  return set.limits.filter((_, i) => mask & (1 << i));
}
