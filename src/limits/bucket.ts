/**
 * The token bucket as one number: `fullAt`, the time at which it will be full again. What has been spent and not yet
 * refilled (the debt) is `fullAt - now` in milliseconds of refill. There is no timer and no drift, and a
 * reservation is the same move into the future (the virtual scheduling of ITU-T I.371's GCRA).
 */

import type { RateLimit } from "./limit.ts";

const MINUTE_MS = 60_000;

/**
 * Times are doubles: near today's epoch they resolve 0.0002 ms, and a burst of hundreds of odd-sized steps can be
 * off by some hundredths. A wait below this is none. Tokens are taken in full all the same, so it does not add up.
 */
export const TIME_TOLERANCE_MS = 0.1;

export interface Bucket {
  fullAt: number;
  /** The numbers that `fullAt` was computed with. */
  burst: number;
  perMinute: number;
  /** The latest time at which a call may still leave that is remembered nowhere else: matters when the numbers change. */
  heldUntil: number;
}

export function createBucket(limit: Pick<RateLimit, "burst" | "perMinute">): Bucket {
  return { fullAt: 0, burst: limit.burst, perMinute: limit.perMinute, heldUntil: 0 };
}

/** Milliseconds that the bucket takes to win `tokens` back. */
export function refillMs(tokens: number, perMinute: number): number {
  return (tokens * MINUTE_MS) / perMinute;
}

/**
 * Carries what was spent over to new numbers, in tokens: a raise helps at once, and after a cut the
 * debt may be larger than the new burst. Calls that are held keep their time: a raise must not let others crowd in there.
 * @param held the calls that are still to leave, in the order in which they were admitted
 */
export function renumber(
  bucket: Bucket,
  limit: RateLimit,
  now: number,
  held: readonly { readonly due: number; readonly cost: number }[],
): void {
  const debtMs = Math.max(0, bucket.fullAt - now);
  const debtTokens = (debtMs * bucket.perMinute) / MINUTE_MS;
  const heldTokens = held.reduce((sum, { cost }) => sum + cost, 0);
  bucket.burst = limit.burst;
  bucket.perMinute = limit.perMinute;
  bucket.fullAt = now + refillMs(Math.max(0, debtTokens - heldTokens), limit.perMinute);
  for (const { due, cost } of held) take(bucket, cost, due);
  // Of calls that are not remembered one by one only the last time is known: nothing more until then.
  if (bucket.heldUntil > now) bucket.fullAt = Math.max(bucket.fullAt, bucket.heldUntil + refillMs(limit.burst, limit.perMinute));
}

/** Milliseconds until `cost` tokens are there; 0 when they are there now. `cost` must not exceed the burst. */
export function waitFor(bucket: Bucket, cost: number, now: number): number {
  const fullAtAfter = Math.max(bucket.fullAt, now) + refillMs(cost, bucket.perMinute);
  const wait = fullAtAfter - now - refillMs(bucket.burst, bucket.perMinute);
  return wait < TIME_TOLERANCE_MS ? 0 : wait;
}

/** Takes `cost` tokens that fall due at `due` (now, or the end of a hold). */
export function take(bucket: Bucket, cost: number, due: number): void {
  bucket.fullAt = Math.max(bucket.fullAt, due) + refillMs(cost, bucket.perMinute);
}

/** Whole tokens there now, and the milliseconds until there is one more. */
export function readBucket(bucket: Bucket, now: number): { remaining: number; resetMs: number } {
  const debtMs = Math.max(0, bucket.fullAt - now);
  if (debtMs < TIME_TOLERANCE_MS) return { remaining: bucket.burst, resetMs: 0 };
  const perTokenMs = MINUTE_MS / bucket.perMinute;
  const available = bucket.burst - (debtMs - TIME_TOLERANCE_MS) / perTokenMs;
  const remaining = Math.max(0, Math.floor(available));
  const resetMs = Math.ceil(debtMs - (bucket.burst - remaining - 1) * perTokenMs);
  return { remaining, resetMs: Math.max(1, resetMs) };
}
