/**
 * One consumer's account: every bucket, window and repeat it has, and the decision about a POST. All or nothing: every
 * limit of every call in the POST is checked before any is taken. Plain data and plain functions; the clock is an
 * argument. The object in durable-objects/consumer.ts is a thin shell around this file and stored-account.ts.
 */

import { type Bucket, createBucket, readBucket, refillMs, renumber, take, waitFor } from "./bucket.ts";
import { type Charge, type Limit, type Meter, REPEAT_BIT, type Verdict } from "./limit.ts";
import { type Repeats, recordRepeat, shiftRepeats, waitForRepeat } from "./repeats.ts";
import { count, createWindow, latestDue, readWindow, shiftWindow, uncount, waitForWindow, type Window } from "./window.ts";

/** Admissions that a refund can still find: some fifty seconds of a plan of 600 a minute. */
const MAX_REFUNDABLE = 512;

/** One admission, kept so that its tokens can be given back exactly (see `refund`). */
interface Admission {
  readonly ticket: number;
  readonly at: number;
  readonly due: number;
  readonly taken: readonly { readonly limit: Limit; readonly cost: number }[];
}

export interface Account {
  /** The latest time seen. A clock that goes back moves everything back with it. */
  seenAt: number;
  readonly buckets: Map<string, Bucket>;
  readonly windows: Map<string, Window>;
  readonly repeats: Repeats;
  /** Below: this instance only, never stored. */
  readonly admissions: Admission[];
  /** `fullAt` of each bucket before the first of `admissions`. */
  readonly bases: Map<string, number>;
  /** What refunds have given back lately, as a bucket of the same size. */
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
    admissions: [],
    bases: new Map(),
    refunds: new Map(),
    nextTicket: firstTicket,
  };
}

/**
 * Decides about one POST, and takes what it admits.
 * @param charges one for each call in the POST
 * @param maxWaitMs how long the call may be held
 * @param now epoch milliseconds
 */
export function ask(account: Account, limits: readonly Limit[], charges: readonly Charge[], maxWaitMs: number, now: number): Verdict {
  keepUpWithClock(account, now);
  const costs = costPerLimit(limits, charges);
  const asked = charges.reduce((mask, charge) => mask | charge.limits, 0);

  const impossible = impossibleLimits(limits, costs) | impossibleRepeats(charges);
  if (impossible) return { kind: "impossible", violated: impossible };

  let observed = 0;
  const repeats = waitForRepeats(account, charges, now);
  if (repeats.observed) observed |= REPEAT_BIT;

  let bucketWaitMs = 0;
  let windowWaitMs = 0;
  let violated = 0;
  let waiting = 0;
  for (const [i, limit] of limits.entries()) {
    const cost = costs[i]!;
    if (cost === 0) continue;
    if (limit.kind === "rate") {
      const waitMs = waitFor(bucketOf(account, limit, now), cost, now);
      // Held longer than a whole refill, a call would stand in a queue that never gets shorter.
      const isTooLong = waitMs > Math.min(maxWaitMs, refillMs(limit.burst, limit.perMinute));
      if (limit.mode === "observe") {
        if (isTooLong) observed |= 1 << i;
        continue;
      }
      if (isTooLong) violated |= 1 << i;
      if (waitMs > 0) waiting |= 1 << i;
      bucketWaitMs = Math.max(bucketWaitMs, waitMs);
    } else {
      const waitMs = waitForWindow(windowOf(account, limit), cost, now);
      if (waitMs === 0) continue;
      if (limit.mode === "observe") {
        observed |= 1 << i;
        continue;
      }
      violated |= 1 << i;
      windowWaitMs = Math.max(windowWaitMs, waitMs);
    }
  }
  const holdMs = Math.ceil(bucketWaitMs);
  if (holdMs > 0 && crossesQuotaPeriod(limits, costs, now, holdMs)) violated |= waiting;

  if (repeats.waitMs > 0 || violated) {
    return {
      kind: "refuse",
      cause: repeats.waitMs > 0 ? "repeat" : windowWaitMs > bucketWaitMs ? "quota" : "rate",
      violated: repeats.waitMs > 0 ? 0 : violated,
      retryAfterMs: Math.max(1, Math.ceil(Math.max(repeats.waitMs, bucketWaitMs, windowWaitMs))),
      meters: readMeters(account, limits, asked, now, costs),
      observed,
    };
  }

  const due = now + holdMs;
  const ticket = account.nextTicket++;
  takeAll(account, limits, costs, observed, { ticket, at: now, due });
  for (const charge of charges) {
    if (charge.fingerprint === 0) continue;
    recordRepeat(account.repeats, charge.fingerprint, charge.repeatsAllowed, charge.repeatWindowMs, due);
  }
  return { kind: "admit", waitMs: holdMs, ticket, meters: readMeters(account, limits, asked, now), observed };
}

/**
 * Gives back what an admission took, as if it had never been: the bucket is played again without it. What has
 * been refilled since is therefore not given twice. At most once per ticket, only by the instance that took, and together
 * at most one burst in the time that a burst takes to refill, so that a failing origin is not hammered for nothing.
 */
export function refund(account: Account, ticket: number, now: number): void {
  keepUpWithClock(account, now);
  const index = account.admissions.findIndex((admission) => admission.ticket === ticket);
  const admission = account.admissions[index];
  if (!admission) return;
  for (const { limit, cost } of admission.taken) {
    if (limit.kind === "quota") continue;
    if (waitFor(refundsOf(account, limit), cost, now) > 0) return;
  }
  account.admissions.splice(index, 1);
  for (const { limit, cost } of admission.taken) {
    if (limit.kind === "quota") {
      const window = account.windows.get(limit.slot);
      if (window) uncount(window, cost, admission.at);
      continue;
    }
    take(refundsOf(account, limit), cost, now);
    const bucket = account.buckets.get(limit.slot);
    if (!bucket) continue;
    bucket.fullAt = account.bases.get(limit.slot) ?? bucket.fullAt;
    for (const later of account.admissions) {
      for (const taken of later.taken) {
        if (taken.limit.slot === limit.slot) take(bucket, taken.cost, later.due);
      }
    }
  }
}

/** Takes the memory of admissions away: their tickets cannot be refunded any more. */
export function forgetAdmissions(account: Account): void {
  account.admissions.length = 0;
  account.bases.clear();
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

/** When the clock is earlier than the last time seen, every time moves back by the difference. */
function keepUpWithClock(account: Account, now: number): void {
  const byMs = account.seenAt - now;
  if (byMs > 0) {
    for (const bucket of account.buckets.values()) bucket.fullAt -= byMs;
    for (const window of account.windows.values()) shiftWindow(window, byMs);
    shiftRepeats(account.repeats, byMs);
    for (const bucket of account.refunds.values()) bucket.fullAt -= byMs;
    forgetAdmissions(account);
  }
  account.seenAt = now;
}

function bucketOf(account: Account, limit: Limit & { kind: "rate" }, now: number): Bucket {
  let bucket = account.buckets.get(limit.slot);
  if (!bucket) {
    bucket = createBucket(limit);
    account.buckets.set(limit.slot, bucket);
  } else if (bucket.burst !== limit.burst || bucket.perMinute !== limit.perMinute) {
    renumber(bucket, limit, now);
    account.refunds.delete(limit.slot);
    forgetAdmissions(account);
  }
  return bucket;
}

function refundsOf(account: Account, limit: Limit & { kind: "rate" }): Bucket {
  let bucket = account.refunds.get(limit.slot);
  if (!bucket) {
    bucket = createBucket(limit);
    account.refunds.set(limit.slot, bucket);
  }
  return bucket;
}

function windowOf(account: Account, limit: Limit & { kind: "quota" }): Window {
  let window = account.windows.get(limit.slot);
  if (!window) {
    window = createWindow(limit);
    account.windows.set(limit.slot, window);
  }
  window.calls = limit.calls;
  return window;
}

function costPerLimit(limits: readonly Limit[], charges: readonly Charge[]): number[] {
  return limits.map((_, i) => {
    let cost = 0;
    for (const charge of charges) if (charge.limits & (1 << i)) cost += charge.cost;
    return cost;
  });
}

function impossibleLimits(limits: readonly Limit[], costs: readonly number[]): number {
  let mask = 0;
  for (const [i, limit] of limits.entries()) {
    const most = limit.kind === "rate" ? limit.burst : limit.calls;
    if (limit.mode === "enforce" && costs[i]! > most) mask |= 1 << i;
  }
  return mask;
}

function impossibleRepeats(charges: readonly Charge[]): number {
  if (charges.length < 2) return 0;
  for (const charge of charges) {
    if (charge.repeatMode === "enforce" && timesIn(charges, charge.fingerprint) > charge.repeatsAllowed) return REPEAT_BIT;
  }
  return 0;
}

function waitForRepeats(account: Account, charges: readonly Charge[], now: number): { waitMs: number; observed: boolean } {
  let waitMs = 0;
  let observed = false;
  for (const charge of charges) {
    if (charge.fingerprint === 0) continue;
    const calls = charges.length === 1 ? 1 : timesIn(charges, charge.fingerprint);
    const wait = waitForRepeat(account.repeats, charge.fingerprint, calls, charge.repeatsAllowed, charge.repeatWindowMs, now);
    if (charge.repeatMode === "observe") observed ||= wait > 0;
    else waitMs = Math.max(waitMs, wait);
  }
  return { waitMs, observed };
}

/** How many calls of the POST have this fingerprint. */
function timesIn(charges: readonly Charge[], fingerprint: number): number {
  if (fingerprint === 0) return 0;
  let times = 0;
  for (const charge of charges) if (charge.fingerprint === fingerprint) times++;
  return times;
}

/** A call is never held across the end of a calendar quota: it would be counted in one period and leave in the next. */
function crossesQuotaPeriod(limits: readonly Limit[], costs: readonly number[], now: number, holdMs: number): boolean {
  return limits.some(
    (limit, i) => costs[i]! > 0 && limit.kind === "quota" && limit.mode === "enforce" && now + holdMs > latestDue(limit.per, now),
  );
}

function takeAll(
  account: Account,
  limits: readonly Limit[],
  costs: readonly number[],
  observed: number,
  admission: { ticket: number; at: number; due: number },
): void {
  const taken: { limit: Limit; cost: number }[] = [];
  for (const [i, limit] of limits.entries()) {
    const cost = costs[i]!;
    // An observed limit that would have refused takes nothing, as a refusal takes nothing.
    if (cost === 0 || observed & (1 << i)) continue;
    taken.push({ limit, cost });
    if (limit.kind === "rate") {
      const bucket = account.buckets.get(limit.slot)!;
      if (!account.bases.has(limit.slot)) account.bases.set(limit.slot, bucket.fullAt);
      take(bucket, cost, admission.due);
    } else {
      count(windowOf(account, limit), cost, admission.at, admission.due);
    }
  }
  account.admissions.push({ ...admission, taken });
  if (account.admissions.length > MAX_REFUNDABLE) foldOldest(account, MAX_REFUNDABLE / 2);
}

/** Lets go of the oldest admissions: what they took becomes part of the bases. */
function foldOldest(account: Account, howMany: number): void {
  for (const admission of account.admissions.splice(0, howMany)) {
    for (const { limit, cost } of admission.taken) {
      if (limit.kind === "quota") continue;
      const base = { fullAt: account.bases.get(limit.slot) ?? 0, burst: limit.burst, perMinute: limit.perMinute };
      take(base, cost, admission.due);
      account.bases.set(limit.slot, base.fullAt);
    }
  }
}

/** @param costs when the POST was refused: the reset of each bucket is then when this POST would pass it */
function readMeters(account: Account, limits: readonly Limit[], asked: number, now: number, costs?: readonly number[]): Meter[] {
  const meters: Meter[] = [];
  for (const [i, limit] of limits.entries()) {
    if (!(asked & (1 << i))) continue;
    if (limit.kind === "quota") {
      meters.push(readWindow(windowOf(account, limit), now));
      continue;
    }
    const bucket = bucketOf(account, limit, now);
    const meter = readBucket(bucket, now);
    meters.push(costs ? { ...meter, resetMs: Math.ceil(waitFor(bucket, costs[i]!, now)) || meter.resetMs } : meter);
  }
  return meters;
}
