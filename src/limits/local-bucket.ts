/**
 * Buckets that hold in one isolate only, forgotten with it. For what no object is asked about (notifications, GET, DELETE),
 * and for the time in which the object cannot be asked.
 */

import type { BoundedCache } from "../bounded-cache.ts";
import { type Bucket, createBucket, refillMs, take, waitFor } from "./bucket.ts";
import { type Charge, costFor } from "./limit.ts";
import type { LimitSet } from "./terms.ts";

/** Notifications, answers to the server's own requests, GET, DELETE: a minute, for each consumer and isolate. */
export const UNMETERED_PER_MINUTE = 600;
/** An isolate that cannot ask gives this part of the plan. There may be several isolates. */
const UNASKED_SHARE = 1 / 10;

/** @returns 0 after taking `cost`, or the milliseconds until it would be there */
export function takeLocally(
  buckets: BoundedCache<Bucket>,
  key: string,
  numbers: { readonly burst: number; readonly perMinute: number },
  cost: number,
  now: number,
): number {
  const bucket = buckets.get(key, now) ?? createBucket(numbers);
  const waitMs = waitFor(bucket, cost, now);
  if (waitMs === 0) take(bucket, cost, now);
  buckets.set(key, bucket, Math.max(bucket.fullAt, now) + refillMs(numbers.burst, numbers.perMinute));
  return waitMs;
}

/** The same charges against a tenth of the terms, here: never "no limit". */
export function takeUnasked(
  buckets: BoundedCache<Bucket>,
  consumer: string,
  set: LimitSet,
  charges: readonly Charge[],
  now: number,
): number {
  let waitMs = 0;
  for (const [i, limit] of set.limits.entries()) {
    if (limit.kind !== "rate" || limit.mode === "observe") continue;
    const calls = charges.reduce((sum, charge) => sum + costFor(charge, 1 << i), 0);
    if (calls === 0) continue;
    const numbers = { burst: Math.max(calls, limit.burst * UNASKED_SHARE), perMinute: Math.max(1, limit.perMinute * UNASKED_SHARE) };
    waitMs = Math.max(waitMs, takeLocally(buckets, `unasked ${limit.slot} ${consumer}`, numbers, calls, now));
  }
  return waitMs;
}
