/**
 * One consumer's account: every bucket, window and repeat it has, and the decision about a POST. All or nothing: every
 * limit of every call in the POST is checked before any is taken. Plain data and plain functions; the clock is an
 * argument. The object in durable-objects/consumer.ts is a thin shell around this file and stored-account.ts.
 */

import { type Admission, forgetAdmissions, forgetTaken, heldCalls, refundAdmission, rememberAdmission } from "./admissions.ts";
import { type Bucket, createBucket, readBucket, refillMs, renumber, take, waitFor } from "./bucket.ts";
import { type Charge, costFor, type Limit, type Meter, type Verdict } from "./limit.ts";
import { impossibleLoops, recordLoops, waitForLoops } from "./loops.ts";
import { type Repeats, shiftRepeats } from "./repeats.ts";
import { shiftTrail, type Trail } from "./trail.ts";
import { count, createWindow, latestDue, readWindow, shiftWindow, waitForWindow, type Window } from "./window.ts";

export interface Account {
  /** The latest time seen. A clock that goes back moves everything back with it. */
  seenAt: number;
  readonly buckets: Map<string, Bucket>;
  readonly windows: Map<string, Window>;
  readonly repeats: Repeats;
  readonly trail: Trail;
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
  let asked = 0;
  for (const charge of charges) asked |= charge.limits | charge.countedBy;

  const impossible = impossibleLimits(limits, costs) | impossibleLoops(charges);
  if (impossible) return { kind: "impossible", violated: impossible };

  const loops = waitForLoops(account, charges, now);
  let { observed } = loops;

  let bucketWaitMs = 0;
  let windowWaitMs = 0;
  let violated = 0;
  let waiting = 0;
  for (let i = 0; i < limits.length; i++) {
    const limit = limits[i]!;
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

  if (loops.violated || violated) {
    const retryAfterMs = Math.max(1, Math.ceil(Math.max(loops.waitMs, bucketWaitMs, windowWaitMs)));
    return {
      kind: "refuse",
      cause: loops.violated ? "repeat" : windowWaitMs > bucketWaitMs ? "quota" : "rate",
      violated: loops.violated || violated,
      retryAfterMs,
      passesAt: now + retryAfterMs,
      meters: readMeters(account, limits, asked, now, costs),
      observed,
    };
  }

  const due = now + holdMs;
  const ticket = account.nextTicket++;
  takeAll(account, limits, costs, observed, { ticket, at: now, due });
  recordLoops(account, charges, now, due);
  return { kind: "admit", waitMs: holdMs, ticket, meters: readMeters(account, limits, asked, now), observed };
}

/** Gives back what an admission took: the origin never had the call. Unknown tickets are ignored. */
export function refund(account: Account, ticket: number, now: number): void {
  keepUpWithClock(account, now);
  refundAdmission(account, ticket, now);
}

/** When the clock is earlier than the last time seen, every time moves back by the difference. */
function keepUpWithClock(account: Account, now: number): void {
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
  }
  account.seenAt = now;
}

function bucketOf(account: Account, limit: Limit & { kind: "rate" }, now: number): Bucket {
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
  const costs: number[] = [];
  for (let i = 0; i < limits.length; i++) {
    let cost = 0;
    for (const charge of charges) cost += costFor(charge, 1 << i);
    costs.push(cost);
  }
  return costs;
}

function impossibleLimits(limits: readonly Limit[], costs: readonly number[]): number {
  let mask = 0;
  for (let i = 0; i < limits.length; i++) {
    const limit = limits[i]!;
    const most = limit.kind === "rate" ? limit.burst : limit.calls;
    if (limit.mode === "enforce" && costs[i]! > most) mask |= 1 << i;
  }
  return mask;
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
  { ticket, at, due }: { ticket: number; at: number; due: number },
): void {
  // An observed limit that would have refused takes nothing, as a refusal takes nothing.
  const taken: { limit: Limit; cost: number }[] = [];
  for (let i = 0; i < limits.length; i++) {
    if (costs[i]! > 0 && !(observed & (1 << i))) taken.push({ limit: limits[i]!, cost: costs[i]! });
  }
  rememberAdmission(account, { ticket, at, due, taken });
  for (const { limit, cost } of taken) {
    if (limit.kind === "rate") take(bucketOf(account, limit, at), cost, due);
    else count(windowOf(account, limit), cost, at, due);
  }
}

/** @param costs when the POST was refused: the reset of each bucket is then when this POST would pass it */
function readMeters(account: Account, limits: readonly Limit[], asked: number, now: number, costs?: readonly number[]): Meter[] {
  const meters: Meter[] = [];
  for (let i = 0; i < limits.length; i++) {
    if (!(asked & (1 << i))) continue;
    const limit = limits[i]!;
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
