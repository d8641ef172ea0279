/**
 * One consumer's account: every bucket, window, repeat and credit it has. Plain data and plain functions; the clock is an
 * argument. What is decided with it is in ask.ts, and how it is stored in stored-account.ts.
 */

import { type Admission, forgetAdmissions, forgetTaken, heldCalls, refundAdmission } from "./admissions.ts";
import { type Bucket, createBucket, renumber } from "./bucket.ts";
import { createCredits, type Credits, shiftCredits } from "./credits.ts";
import type { QuotaLimit, RateLimit } from "./limit.ts";
import { refundPaidCall } from "./paid-calls.ts";
import { type Repeats, shiftRepeats } from "./repeats.ts";
import { shiftTrail, type Trail } from "./trail.ts";
import { createWindow, shiftWindow, type Window } from "./window.ts";

export interface Account {
  /** The latest time seen. A clock that goes back moves everything back with it. */
  seenAt: number;
  readonly buckets: Map<string, Bucket>;
  readonly windows: Map<string, Window>;
  readonly repeats: Repeats;
  readonly trail: Trail;
  readonly credits: Credits;
  /** Below: this instance only, never stored (see admissions.ts). */
  readonly admissions: Admission[];
  /** `fullAt` of each bucket before the first of `admissions`. */
  readonly bases: Map<string, number>;
  readonly refunds: Map<string, Bucket>;
  nextTicket: number;
}

/** @param firstTicket any number; a random one keeps the tickets of two instances of the object apart */
export function createAccount(firstTicket: number): Account {
  return {
    seenAt: 0,
    buckets: new Map(),
    windows: new Map(),
    repeats: new Map(),
    trail: [],
    credits: createCredits(),
    admissions: [],
    bases: new Map(),
    refunds: new Map(),
    nextTicket: firstTicket,
  };
}

/**
 * Gives back what an admission took: the origin never had the call. Unknown tickets are ignored. Credits come back always; of
 * tokens no more than a burst at a time, so that a failing origin is not hammered for nothing.
 */
export function refund(account: Account, ticket: number, now: number): void {
  keepUpWithClock(account, now);
  refundPaidCall(account.credits, ticket, now);
  refundAdmission(account, ticket, now);
}

/** When the clock is earlier than the last time seen, every time moves back by the difference. */
export function keepUpWithClock(account: Account, now: number): void {
  const byMs = account.seenAt - now;
  if (byMs > 0) {
    forgetAdmissions(account);
    for (const bucket of [...account.buckets.values(), ...account.refunds.values()]) {
      bucket.fullAt -= byMs;
      bucket.heldUntil -= byMs;
    }
    for (const window of account.windows.values()) shiftWindow(window, byMs);
    shiftRepeats(account.repeats, byMs);
    shiftTrail(account.trail, byMs);
    shiftCredits(account.credits, byMs);
  }
  account.seenAt = now;
}

/** The bucket of a limit, with the limit's numbers. */
export function bucketOf(account: Account, limit: RateLimit, now: number): Bucket {
  let bucket = account.buckets.get(limit.slot);
  if (!bucket) {
    bucket = createBucket(limit);
    account.buckets.set(limit.slot, bucket);
  } else if (bucket.burst !== limit.burst || bucket.perMinute !== limit.perMinute) {
    renumber(bucket, limit, now, heldCalls(account, limit.slot, now));
    forgetTaken(account, limit.slot);
  }
  return bucket;
}

/** The window of a limit, with the limit's number. */
export function windowOf(account: Account, limit: QuotaLimit): Window {
  let window = account.windows.get(limit.slot);
  if (!window) {
    window = createWindow(limit);
    account.windows.set(limit.slot, window);
  }
  window.calls = limit.calls;
  return window;
}
