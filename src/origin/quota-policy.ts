/**
 * The origin's own quota, as an operator writes it. Without a word of it, the gate learns from what the origin answers: a
 * quota that is told in its headers, and a 429 that closes it for a time.
 */

import * as v from "valibot";
import type { QuotaLimit } from "../limits/limit.ts";
import { periodOf, periodSchema, positive } from "../limits/plan-limits.ts";

export interface OriginQuotaPolicy {
  /** What the upstream credential may do in a `per`: "1h" (any hour), "day", "month". Left out, it is learned. */
  readonly calls?: number;
  readonly per?: string;
  /**
   * Whose quota it is. `"shared"` (default): the origin's one credential. Callers with a verified or opaque token have one each,
   * and of what is learned so has whoever brings an `Authorization` of its own. `"consumer"`: the origin limits each
   * consumer by itself.
   */
  readonly of?: "shared" | "consumer";
  /** Learn from the origin's answers. Default true. */
  readonly learn?: boolean;
  /** Look for refusals inside JSON-RPC answers with status 200, too. Default false: it costs a look at each answer. */
  readonly readAnswers?: boolean;
}

export interface OriginQuota {
  /** Null when it is only learned. */
  readonly limit: QuotaLimit | null;
  readonly of: "shared" | "consumer";
  readonly isLearned: boolean;
  readonly readsAnswers: boolean;
}

export const originQuotaSchema = v.pipe(
  v.strictObject({
    calls: v.optional(positive),
    per: v.optional(periodSchema),
    of: v.optional(v.picklist(["shared", "consumer"])),
    learn: v.optional(v.boolean()),
    readAnswers: v.optional(v.boolean()),
  }),
  v.check(({ calls, per }) => (calls === undefined) === (per === undefined), 'needs both or neither of "calls" and "per"'),
);

/** The name by which callers know it in `RateLimit`. */
export const ORIGIN_LIMIT_NAME = "origin";

export function resolveOriginQuota({ calls, per, of = "shared", learn = true, readAnswers = false }: OriginQuotaPolicy = {}): OriginQuota {
  const limit: QuotaLimit | null =
    calls === undefined || per === undefined
      ? null
      : { kind: "quota", slot: "origin", name: ORIGIN_LIMIT_NAME, calls, per: periodOf(per), mode: "enforce" };
  return { limit, of, isLearned: learn, readsAnswers: readAnswers };
}
