/**
 * The latest admissions of an account, kept so that what one took can be given back exactly: a bucket is played again
 * without it. In memory only; what is forgotten here can no longer be refunded, and is otherwise as good as ever.
 */

import type { Account } from "./account.ts";
import { createBucket, take, waitFor } from "./bucket.ts";
import type { Limit, RateLimit } from "./limit.ts";
import { uncount } from "./window.ts";

/** Some fifty seconds of a plan of 600 a minute. */
const MAX_REMEMBERED = 512;

interface Taken {
  readonly limit: Limit;
  readonly cost: number;
}

export interface Admission {
  readonly ticket: number;
  /** When it was asked for, and when it leaves. */
  readonly at: number;
  readonly due: number;
  taken: readonly Taken[];
}

/** To be called before the admission's tokens are taken. */
export function rememberAdmission(account: Account, admission: Admission): void {
  for (const { limit } of admission.taken) {
    const bucket = account.buckets.get(limit.slot);
    if (bucket && !account.bases.has(limit.slot)) account.bases.set(limit.slot, bucket.fullAt);
  }
  account.admissions.push(admission);
  if (account.admissions.length > MAX_REMEMBERED) foldOldest(account, MAX_REMEMBERED / 2);
}

/**
 * Gives back what an admission took, as if it had never been. What has been refilled since is therefore not given twice. At
 * most once per ticket, only by the instance that took, and together at most one burst in the time that a burst takes to
 * refill, so that a failing origin is not hammered for nothing.
 */
export function refundAdmission(account: Account, ticket: number, now: number): void {
  const index = account.admissions.findIndex((admission) => admission.ticket === ticket);
  const admission = account.admissions[index];
  if (!admission) return;
  const rates = admission.taken.filter((taken): taken is Taken & { limit: RateLimit } => taken.limit.kind === "rate");
  if (rates.some(({ limit, cost }) => waitFor(refundsOf(account, limit), cost, now) > 0)) return;

  account.admissions.splice(index, 1);
  for (const { limit, cost } of rates) {
    take(refundsOf(account, limit), cost, now);
    replay(account, limit.slot);
  }
  for (const { limit, cost } of admission.taken) {
    const window = account.windows.get(limit.slot);
    if (window) uncount(window, cost, admission.at);
  }
}

/** The calls that have yet to leave, and what they took of a slot. */
export function heldCalls(account: Account, slot: string, now: number): { due: number; cost: number }[] {
  return account.admissions.flatMap(({ due, taken }) =>
    due > now ? taken.filter(({ limit }) => limit.slot === slot).map(({ cost }) => ({ due, cost })) : [],
  );
}

/** When the last call that took from a slot leaves, as far as it is known. */
export function lastHeld(account: Account, slot: string): number {
  let last = account.buckets.get(slot)?.heldUntil ?? 0;
  for (const { due, taken } of account.admissions) {
    if (due > last && taken.some(({ limit }) => limit.slot === slot)) last = due;
  }
  return last;
}

/** Units taken from a slot since `since` and before the admission `ticket`, as far as admissions are remembered. */
export function takenSince(account: Account, slot: string, since: number, ticket: number): number {
  let sum = 0;
  for (let i = account.admissions.length - 1; i >= 0; i--) {
    const admission = account.admissions[i]!;
    if (admission.at < since) break;
    if (admission.ticket >= ticket) continue;
    for (const taken of admission.taken) if (taken.limit.slot === slot) sum += taken.cost;
  }
  return sum;
}

/** When the times that admissions were made with no longer hold. */
export function forgetAdmissions(account: Account): void {
  for (const slot of account.buckets.keys()) forgetTaken(account, slot);
  account.admissions.length = 0;
}

/** When the numbers of a slot have changed: what was taken from it before cannot be given back any more. */
export function forgetTaken(account: Account, slot: string): void {
  const bucket = account.buckets.get(slot);
  if (bucket) bucket.heldUntil = lastHeld(account, slot);
  for (const admission of account.admissions) {
    admission.taken = admission.taken.filter(({ limit }) => limit.slot !== slot);
  }
  account.bases.delete(slot);
}

function replay(account: Account, slot: string): void {
  const bucket = account.buckets.get(slot);
  if (!bucket) return;
  bucket.fullAt = account.bases.get(slot) ?? bucket.fullAt;
  for (const { due, taken } of account.admissions) {
    for (const { limit, cost } of taken) if (limit.slot === slot) take(bucket, cost, due);
  }
}

/** Lets go of the oldest admissions: what they took becomes part of the bases. */
function foldOldest(account: Account, howMany: number): void {
  for (const { due, taken } of account.admissions.splice(0, howMany)) {
    for (const { limit, cost } of taken) {
      if (limit.kind === "quota") continue;
      const base = { ...createBucket(limit), fullAt: account.bases.get(limit.slot) ?? 0 };
      take(base, cost, due);
      account.bases.set(limit.slot, base.fullAt);
    }
  }
}

/** What refunds have given back lately, as a bucket of the same size. */
function refundsOf(account: Account, limit: RateLimit) {
  let bucket = account.refunds.get(limit.slot);
  if (!bucket || bucket.burst !== limit.burst || bucket.perMinute !== limit.perMinute) {
    bucket = createBucket(limit);
    account.refunds.set(limit.slot, bucket);
  }
  return bucket;
}
