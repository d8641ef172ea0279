/** Plans as an operator writes them, in the policy file and, as overrides, in KV under `plan:<name>`. */

import * as v from "valibot";
import { namedEntries } from "./named.ts";
import { mode, positive, quotasSchema, rateSchema } from "./plan-limits.ts";

/** Calls at once that a plan may speak of. */
const MAX_AT_ONCE = 1_000;
const atOnce = v.pipe(positive, v.maxValue(MAX_AT_ONCE));
const concurrencySchema = v.union(
  [atOnce, v.strictObject({ calls: atOnce, mode })],
  `must be a whole number of calls from 1 to ${MAX_AT_ONCE}, or {calls, mode?}`,
);

export const planSchema = v.strictObject({
  rate: rateSchema,
  quotas: v.optional(quotasSchema),
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
