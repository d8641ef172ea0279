/** Rates and quotas as an operator writes them, for a plan or for one tool, and the limits that they come to. */

import * as v from "valibot";
import type { Limit, QuotaLimit, RateLimit } from "./limit.ts";

export const mode = v.optional(v.picklist(["enforce", "observe"]));
export const positive = v.pipe(v.number(), v.integer(), v.minValue(1));

export const rateSchema = v.union(
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
const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A calendar period in UTC, or a window that slides: "90s", "10m", "1h", "7d". */
export const periodSchema = v.pipe(
  v.string(),
  v.check((per) => per === "day" || per === "month" || slidingMs(per) >= 1_000, 'must be "day", "month" or a time like "10m", "1h", "7d"'),
);

const quotaSchema = v.strictObject({ calls: positive, per: periodSchema, mode });
const MAX_QUOTAS = 8;

/** By name; the name is what callers read in `RateLimit`. */
export const quotasSchema = v.pipe(
  v.record(v.pipe(v.string(), v.regex(/^[\w.-]{1,40}$/, "a quota's name is 1 to 40 letters, digits, dots or dashes")), quotaSchema),
  v.check((quotas) => {
    const periods = Object.values(quotas).map((quota) => quota.per);
    return periods.length <= MAX_QUOTAS && new Set(periods).size === periods.length;
  }, "at most eight quotas, each with another period"),
);

export type RateInput = v.InferInput<typeof rateSchema>;
export type QuotasInput = v.InferInput<typeof quotasSchema>;

/** Where the general rate of a plan is kept. */
export const RATE_SLOT = "rate";

/** What a limit is about: `slot` and `name` begin with it. */
interface About {
  readonly slot: string;
  readonly name: string;
  readonly scope?: string;
}

export function rateLimit(input: RateInput, { slot, ...about }: About): RateLimit {
  const rate = typeof input === "number" ? { perMinute: input } : input;
  return {
    kind: "rate",
    slot: slot === "" ? RATE_SLOT : `${slot}:rate`,
    ...about,
    burst: rate.burst ?? rate.perMinute,
    perMinute: rate.perMinute,
    mode: rate.mode ?? "enforce",
  };
}

/** With an empty slot and name for the quotas of a plan. */
export function quotaLimits(quotas: QuotasInput, about: About): Limit[] {
  return Object.entries(quotas).map(([name, quota]) => quotaLimit(name, quota, about));
}

function quotaLimit(quotaName: string, quota: QuotasInput[string], { slot, name, ...scope }: About): QuotaLimit {
  const per = periodOf(quota.per);
  const slotOfPeriod = `quota:${per}`;
  return {
    kind: "quota",
    slot: slot === "" ? slotOfPeriod : `${slot}:${slotOfPeriod}`,
    name: name === "" ? quotaName : `${name}.${quotaName}`,
    ...scope,
    calls: quota.calls,
    per,
    mode: quota.mode ?? "enforce",
  };
}

export function periodOf(per: string): QuotaLimit["per"] {
  return per === "day" || per === "month" ? per : slidingMs(per);
}

/** Milliseconds of "10m" and the like; NaN for anything else. */
function slidingMs(text: string): number {
  const match = SLIDING.exec(text);
  return match ? Number(match[1]) * UNIT_MS[match[2]!]! : Number.NaN;
}
