/**
 * A consumer's terms: what its plan means for it, in resolved numbers, with everything prepared that would otherwise be
 * done again on each call. Made once for each plan (or each key, when the policy computes limits from metadata).
 */

import type { Limit, Mode } from "./limit.ts";
import { type Plan, slidingMs } from "./plan.ts";

export const DEFAULT_MAX_WAIT_SECONDS = 10;

/** The handshake lane's own bucket: a minute's worth at once, and as much a minute. */
export interface HandshakeTerms {
  readonly perMinute: number;
}

export interface Terms {
  readonly plan: string;
  /** The general rate first, then the quotas, the handshake last. */
  readonly limits: readonly Limit[];
  /** `limits` as they travel to the consumer's object, which parses a text that it has not seen before. */
  readonly limitsText: string;
  /** The limits of the work lane and of the handshake lane, as bits of `limits`. */
  readonly workMask: number;
  readonly handshakeMask: number;
  readonly maxWaitMs: number;
  readonly refuse: "error" | "result";
}

export const RATE_SLOT = "rate";
export const HANDSHAKE_SLOT = "handshake";

export function resolveTerms(name: string, plan: Plan, handshake: HandshakeTerms): Terms {
  const rate = typeof plan.rate === "number" ? { perMinute: plan.rate } : plan.rate;
  const limits: Limit[] = [
    {
      kind: "rate",
      slot: RATE_SLOT,
      name,
      burst: rate.burst ?? rate.perMinute,
      perMinute: rate.perMinute,
      mode: rate.mode ?? "enforce",
    },
  ];
  for (const [quotaName, quota] of Object.entries(plan.quotas ?? {})) {
    const per = quota.per === "day" || quota.per === "month" ? quota.per : slidingMs(quota.per);
    const mode: Mode = quota.mode ?? "enforce";
    limits.push({ kind: "quota", slot: `quota:${per}`, name: quotaName, calls: quota.calls, per, mode });
  }
  const workMask = (1 << limits.length) - 1;
  const handshakeMask = 1 << limits.length;
  const { perMinute } = handshake;
  limits.push({ kind: "rate", slot: HANDSHAKE_SLOT, name: HANDSHAKE_SLOT, burst: perMinute, perMinute, mode: "enforce" });
  return {
    plan: name,
    limits,
    limitsText: JSON.stringify(limits),
    workMask,
    handshakeMask,
    maxWaitMs: (plan.maxWaitSeconds ?? DEFAULT_MAX_WAIT_SECONDS) * 1_000,
    refuse: plan.refuse ?? "error",
  };
}

/** The limits whose bits are set, in the order of their meters. */
export function limitsIn(terms: Terms, mask: number): Limit[] {
  return terms.limits.filter((_, i) => mask & (1 << i));
}
