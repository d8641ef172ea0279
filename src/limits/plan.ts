/** Plans as an operator writes them, in the policy file and, as overrides, in KV under `plan:<name>`. */

import * as v from "valibot";

const mode = v.optional(v.picklist(["enforce", "observe"]));
const positive = v.pipe(v.number(), v.integer(), v.minValue(1));

const rateSchema = v.union(
  [
    positive,
    v.strictObject({
      /** Tokens won back in a minute. */
      perMinute: positive,
      /** Calls at once from a full bucket. By default the same as `perMinute`. */
      burst: v.optional(positive),
      /** `observe` counts and logs what would have been refused, and refuses nothing. */
      mode,
    }),
  ],
  "must be a whole number of calls a minute, or {perMinute, burst?, mode?}",
);

const SLIDING = /^(\d+) ?(s|m|h|d)$/;
const quotaSchema = v.strictObject({
  calls: positive,
  /** A calendar period in UTC, or a window that slides: "90s", "10m", "1h", "7d". */
  per: v.pipe(
    v.string(),
    v.check(
      (per) => per === "day" || per === "month" || slidingMs(per) >= 1_000,
      'must be "day", "month" or a time like "10m", "1h", "7d"',
    ),
  ),
  mode,
});

export const planSchema = v.strictObject({
  rate: rateSchema,
  /** By name; the name is what callers read in `RateLimit`. */
  quotas: v.optional(
    v.pipe(
      v.record(v.pipe(v.string(), v.regex(/^[\w.-]{1,40}$/, "a quota's name is 1 to 40 letters, digits, dots or dashes")), quotaSchema),
      v.check((quotas) => {
        const periods = Object.values(quotas).map((quota) => quota.per);
        return periods.length <= 8 && new Set(periods).size === periods.length;
      }, "at most eight quotas, each with another period"),
    ),
  ),
  /** How long a call may be held for its tokens before it is refused. */
  maxWaitSeconds: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(30))),
  /** `result` answers a refused tools/call with a tool result that the model reads, with status 200. */
  refuse: v.optional(v.picklist(["error", "result"])),
});

/** What may be said of a plan from outside the policy file: any part of it. */
export const planOverrideSchema = v.partial(planSchema);

export type Plan = v.InferInput<typeof planSchema>;

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of "10m" and the like; NaN for anything else. */
export function slidingMs(text: string): number {
  const match = SLIDING.exec(text);
  return match ? Number(match[1]) * UNIT_MS[match[2]!]! : Number.NaN;
}
