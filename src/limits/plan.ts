/** Plans as an operator writes them, in the policy file and, as overrides, in KV under `plan:<name>`. */

import * as v from "valibot";
import { MAX_DIFFICULTY } from "../challenges/difficulty.ts";
import { namedEntries } from "./named.ts";
import { mode, positive, quotasSchema, rateSchema } from "./plan-limits.ts";

/** Calls at once that a plan may speak of. */
const MAX_AT_ONCE = 1_000;
const atOnce = v.pipe(positive, v.maxValue(MAX_AT_ONCE));
const concurrencySchema = v.union(
  [atOnce, v.strictObject({ calls: atOnce, mode })],
  `must be a whole number of calls from 1 to ${MAX_AT_ONCE}, or {calls, mode?}`,
);

/** A minute's worth of proofs for a slow core; see challenges/difficulty.ts. */
const bits = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_DIFFICULTY));
const MAX_CREDIT_CALLS = 10_000;
const MAX_CREDIT_SECONDS = 86_400;
const powSchema = v.pipe(
  v.strictObject({
    /** Zero bits of a proof after a pause, and however much is solved. Default 18 and 22; one given alone moves the other. */
    difficulty: v.optional(bits),
    maxDifficulty: v.optional(bits),
    /** What a proof buys: so many calls, for so long. Default 10 for 300 seconds. */
    calls: v.optional(v.pipe(positive, v.maxValue(MAX_CREDIT_CALLS))),
    seconds: v.optional(v.pipe(positive, v.minValue(10), v.maxValue(MAX_CREDIT_SECONDS))),
  }),
  v.check(
    ({ difficulty, maxDifficulty }) => difficulty === undefined || maxDifficulty === undefined || difficulty <= maxDifficulty,
    "difficulty must not be above maxDifficulty",
  ),
);

const MAX_SATS = 10_000_000;
const MAX_CREDIT_DAYS = 365;
const l402Schema = v.pipe(
  v.strictObject({
    /** Default 3. */
    satsPerCall: v.optional(v.pipe(positive, v.maxValue(MAX_SATS))),
    /** What an invoice buys: so many calls, for so long. Default 10 for 30 days. */
    calls: v.optional(v.pipe(positive, v.maxValue(MAX_CREDIT_CALLS))),
    days: v.optional(v.pipe(positive, v.maxValue(MAX_CREDIT_DAYS))),
  }),
  v.check(({ satsPerCall = 1, calls = 1 }) => satsPerCall * calls <= MAX_SATS, `an invoice must not be over more than ${MAX_SATS} sats`),
);

const offersSchema = v.strictObject({
  /** A proof of work: processor time for calls. */
  pow: v.optional(v.union([v.boolean(), powSchema], "must be true, false or {difficulty?, maxDifficulty?, calls?, seconds?}")),
  /** A Lightning payment by L402: needs `lightning` beside the plans. */
  l402: v.optional(v.union([v.boolean(), l402Schema], "must be true, false or {satsPerCall?, calls?, days?}")),
  /** Whether what is bought also stands in for the plan's quotas. Default false. */
  quotas: v.optional(v.boolean()),
});

export const planSchema = v.strictObject({
  rate: rateSchema,
  quotas: v.optional(quotasSchema),
  /** Ways on for a caller whose rate is empty. None by default. */
  offers: v.optional(offersSchema),
  /** Calls on their way at once. Not limited by default. */
  concurrency: v.optional(concurrencySchema),
  /** Streams open at once: GET, `subscriptions/listen`. Default 16. */
  streams: v.optional(concurrencySchema),
  /** How long a call may be held for its tokens before it is refused. */
  maxWaitSeconds: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(30))),
  /** `result` answers a refused tools/call with a tool result that the model reads, with status 200. */
  refuse: v.optional(v.picklist(["error", "result"])),
  /** What this plan's consumers share of the origin's own quota, beside those of other plans. Default 1. */
  weight: v.optional(v.pipe(v.number(), v.minValue(0.01), v.maxValue(1_000))),
  ...namedEntries,
});

/** What may be said of a plan from outside the policy file: any part of it. */
export const planOverrideSchema = v.partial(planSchema);

export type Plan = v.InferInput<typeof planSchema>;
