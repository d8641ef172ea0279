/**
 * The decision about a POST. All or nothing: every limit of every call in the POST is checked before any is taken.
 *
 * The ways through, in this order: the plan's own tokens; a credit, which stands in for what is payable and for nothing else;
 * being held until the tokens are there; and otherwise a refusal.
 */

import { type Account, bucketOf, keepUpWithClock, windowOf } from "./account.ts";
import { rememberAdmission } from "./admissions.ts";
import { billFor } from "./bill.ts";
import { readBucket, refillMs, take, waitFor } from "./bucket.ts";
import { creditLeft, findCredit, hasRoomToEarn, payableFrom, spendCredit, type Spending, type Spent } from "./credits.ts";
import { type Charge, costFor, type Limit, type Meter, type Payment, type RateLimit, UNPAYABLE, type Verdict } from "./limit.ts";
import { impossibleLoops, recordLoops, waitForLoops } from "./loops.ts";
import { rememberPaidCall } from "./paid-calls.ts";
import { count, latestDue, readWindow, waitForWindow } from "./window.ts";

/**
 * Decides about one POST, and takes what it admits.
 * @param charges one for each call in the POST
 * @param maxWaitMs how long the call may be held
 * @param now epoch milliseconds
 */
export function ask(
  account: Account,
  limits: readonly Limit[],
  charges: readonly Charge[],
  maxWaitMs: number,
  now: number,
  payment: Payment = UNPAYABLE,
): Verdict {
  keepUpWithClock(account, now);
  const costs = costPerLimit(limits, charges);
  if (payment.isPrepaid) for (let i = 0; i < costs.length; i++) if (payment.payable & (1 << i)) costs[i] = 0;
  let asked = 0;
  for (const charge of charges) asked |= charge.limits | charge.countedBy;

  const impossible = impossibleLimits(limits, costs) | impossibleLoops(charges);
  if (impossible) return { kind: "impossible", violated: impossible };

  const loops = waitForLoops(account, charges, now);
  const waits = waitForLimits(account, limits, costs, maxWaitMs, payment.payable, now);
  const observed = loops.observed | waits.observed;
  const admit = (holdMs: number, paid: Paid | null): Verdict => {
    const due = now + holdMs;
    const ticket = account.nextTicket++;
    const free = observed | (paid ? payment.payable : 0);
    takeAll(account, limits, costs, free, { ticket, at: now, due }, paid, payment);
    recordLoops(account, charges, now, due);
    const meters = readMeters(account, limits, asked, now);
    return { kind: "admit", waitMs: holdMs, ticket, meters, observed, paidUnits: paid?.units ?? 0 };
  };

  const isLoop = loops.violated !== 0;
  if (!isLoop && waits.waiting === 0 && waits.violated === 0) return admit(0, null);
  const isPayable = !isLoop && ((waits.waiting | waits.violated) & ~payment.payable) === 0;
  const bill = billFor(account, limits, costs, payment, now);
  const spending: Spending = { units: bill.units, tag: payment.tag, shown: payment.shown };
  const spent = isPayable && bill.waitMs === 0 ? findCredit(account.credits, spending, now) : null;
  if (spent) return admit(0, { ...bill, spent });
  if (!isLoop && waits.violated === 0) return admit(Math.ceil(waits.bucketMs), null);

  const ofLimits = Math.max(loops.waitMs, waits.bucketMs, waits.windowMs);
  // A credit that is there pays as soon as what cannot be paid for lets it, and the credits' own rate.
  const ofCredits = Math.ceil(Math.max(loops.waitMs, waits.unpayableMs, bill.waitMs));
  const byCredit = payableFrom(account.credits, spending, now + ofCredits) - now;
  const retryAfterMs = Math.max(1, Math.ceil(Math.min(ofLimits, byCredit)));
  const { solves } = account.credits;
  return {
    kind: "refuse",
    cause: isLoop ? "repeat" : waits.windowMs > waits.bucketMs ? "quota" : "rate",
    violated: loops.violated || waits.violated,
    retryAfterMs,
    passesAt: now + retryAfterMs,
    meters: readMeters(account, limits, asked, now, costs),
    observed,
    // More credits do not help when their rate is what is empty.
    isPayable: isPayable && bill.units > 0 && bill.waitMs === 0,
    mayEarn: hasRoomToEarn(account.credits, now),
    solves: solves.count,
    easeMs: Math.max(0, Math.ceil(solves.easedAt - now)),
    hasCredit: creditLeft(account.credits, payment.shown, now) > 0,
  };
}

interface LimitWaits {
  /** Limits that refuse, that need a hold, and that would refuse if they were enforced, as bits. */
  readonly violated: number;
  readonly waiting: number;
  readonly observed: number;
  readonly bucketMs: number;
  readonly windowMs: number;
  /** The longest wait for a limit that cannot be paid for. */
  readonly unpayableMs: number;
}

function waitForLimits(
  account: Account,
  limits: readonly Limit[],
  costs: readonly number[],
  maxWaitMs: number,
  payable: number,
  now: number,
): LimitWaits {
  let bucketMs = 0;
  let windowMs = 0;
  let unpayableMs = 0;
  let violated = 0;
  let waiting = 0;
  let observed = 0;
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
      bucketMs = Math.max(bucketMs, waitMs);
      if (!(payable & (1 << i))) unpayableMs = Math.max(unpayableMs, waitMs);
    } else {
      const waitMs = waitForWindow(windowOf(account, limit), cost, now);
      if (waitMs === 0) continue;
      if (limit.mode === "observe") {
        observed |= 1 << i;
        continue;
      }
      violated |= 1 << i;
      windowMs = Math.max(windowMs, waitMs);
      if (!(payable & (1 << i))) unpayableMs = Math.max(unpayableMs, waitMs);
    }
  }
  if (bucketMs > 0 && crossesQuotaPeriod(limits, costs, now, Math.ceil(bucketMs))) violated |= waiting;
  return { violated, waiting, observed, bucketMs, windowMs, unpayableMs };
}

/** What pays for a POST in place of its payable limits: credits, and a rate that is theirs. */
interface Paid {
  readonly units: number;
  readonly spent: Spent;
  readonly rate: RateLimit | null;
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

/** @param free limits that take nothing, as bits: observed ones that would have refused, and those that a credit stands in for */
function takeAll(
  account: Account,
  limits: readonly Limit[],
  costs: readonly number[],
  free: number,
  { ticket, at, due }: { ticket: number; at: number; due: number },
  paid: Paid | null,
  { tag, attempt }: Payment,
): void {
  const taken: { limit: Limit; cost: number }[] = [];
  for (let i = 0; i < limits.length; i++) {
    if (costs[i]! > 0 && !(free & (1 << i))) taken.push({ limit: limits[i]!, cost: costs[i]! });
  }
  if (paid?.rate) taken.push({ limit: paid.rate, cost: paid.units });
  rememberAdmission(account, { ticket, at, due, taken });
  if (paid) {
    spendCredit(account.credits, paid.spent, tag);
    rememberPaidCall(account.credits, { attempt, ticket, at, tag, spent: paid.spent });
  }
  for (const { limit, cost } of taken) {
    if (limit.kind === "rate") take(bucketOf(account, limit, at), cost, due);
    else count(windowOf(account, limit), cost, at, due);
  }
}

/**
 * What remains of each limit whose bit is set.
 * @param costs when a POST was refused: the reset of each bucket is then when that POST would pass it
 */
export function readMeters(account: Account, limits: readonly Limit[], asked: number, now: number, costs?: readonly number[]): Meter[] {
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
