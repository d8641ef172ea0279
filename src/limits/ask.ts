/**
 * The decision about a POST. All or nothing: every limit of every call in the POST is checked before any is taken.
 *
 * The ways through, in this order: the plan's own tokens; a credit, which stands in for what is payable and for nothing else;
 * being held until the tokens are there; and otherwise a refusal.
 */

import { type Account, bucketOf, keepUpWithClock, windowOf } from "./account.ts";
import { rememberAdmission } from "./admissions.ts";
import { readBucket, refillMs, take, waitFor } from "./bucket.ts";
import { creditLeft, findCredit, spendCredit, type Spent } from "./credits.ts";
import { type Charge, costFor, type Limit, type Meter, type Payment, type RateLimit, UNPAYABLE, type Verdict } from "./limit.ts";
import { impossibleLoops, recordLoops, waitForLoops } from "./loops.ts";
import { RATE_SLOT } from "./plan-limits.ts";
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
  const waits = waitForLimits(account, limits, costs, maxWaitMs, now);
  const observed = loops.observed | waits.observed;
  const admit = (holdMs: number, paid: Paid | null): Verdict => {
    const due = now + holdMs;
    const ticket = account.nextTicket++;
    const free = observed | (paid ? payment.payable : 0);
    takeAll(account, limits, costs, free, { ticket, at: now, due }, paid, payment.tag);
    recordLoops(account, charges, now, due);
    const meters = readMeters(account, limits, asked, now);
    return { kind: "admit", waitMs: holdMs, ticket, meters, observed, paidUnits: paid?.units ?? 0 };
  };

  const isLoop = loops.violated !== 0;
  if (!isLoop && waits.waiting === 0 && waits.violated === 0) return admit(0, null);
  const isPayable = !isLoop && payment.payable !== 0 && ((waits.waiting | waits.violated) & ~payment.payable) === 0;
  const bill = isPayable ? billFor(account, limits, costs, payment, now) : NO_BILL;
  if (bill.spent && bill.waitMs === 0) return admit(0, { ...bill, spent: bill.spent });
  if (!isLoop && waits.violated === 0) return admit(Math.ceil(waits.bucketMs), null);

  const ofLimits = Math.max(loops.waitMs, waits.bucketMs, waits.windowMs);
  // With credits left, only their own rate is in the way.
  const retryAfterMs = Math.max(1, Math.ceil(bill.spent ? Math.min(ofLimits, bill.waitMs) : ofLimits));
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
    isPayable: isPayable && bill.waitMs === 0,
    solves: solves.count,
    easeMs: Math.max(0, Math.ceil(solves.easedAt - now)),
    hasCredit: creditLeft(account.credits, now) > 0,
  };
}

interface LimitWaits {
  /** Limits that refuse, that need a hold, and that would refuse if they were enforced, as bits. */
  readonly violated: number;
  readonly waiting: number;
  readonly observed: number;
  readonly bucketMs: number;
  readonly windowMs: number;
}

function waitForLimits(account: Account, limits: readonly Limit[], costs: readonly number[], maxWaitMs: number, now: number): LimitWaits {
  let bucketMs = 0;
  let windowMs = 0;
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
    } else {
      const waitMs = waitForWindow(windowOf(account, limit), cost, now);
      if (waitMs === 0) continue;
      if (limit.mode === "observe") {
        observed |= 1 << i;
        continue;
      }
      violated |= 1 << i;
      windowMs = Math.max(windowMs, waitMs);
    }
  }
  if (bucketMs > 0 && crossesQuotaPeriod(limits, costs, now, Math.ceil(bucketMs))) violated |= waiting;
  return { violated, waiting, observed, bucketMs, windowMs };
}

/** What pays for a POST in place of its payable limits: credits, and a rate that is theirs. */
interface Paid {
  readonly units: number;
  readonly spent: Spent;
  readonly rate: RateLimit | null;
}

interface Bill {
  readonly units: number;
  /** Null when there are not enough credits. */
  readonly spent: Spent | null;
  readonly rate: RateLimit | null;
  /** Until credits may be spent again. */
  readonly waitMs: number;
}

const NO_BILL: Bill = { units: 0, spent: null, rate: null, waitMs: 0 };

/**
 * What credits would have to pay. They have a rate of their own, the plan's again, so that nobody buys their way past what the
 * origin bears.
 */
function billFor(account: Account, limits: readonly Limit[], costs: readonly number[], { payable, tag }: Payment, now: number): Bill {
  let units = 0;
  for (let i = 0; i < limits.length; i++) if (payable & (1 << i)) units = Math.max(units, costs[i]!);
  const plan = limits.find((limit, i): limit is RateLimit => limit.kind === "rate" && (payable & (1 << i)) !== 0);
  const rate = plan ? creditRate(plan) : null;
  const waitMs = rate && account.buckets.has(rate.slot) ? waitFor(bucketOf(account, rate, now), units, now) : 0;
  return { units, spent: findCredit(account.credits, units, tag, now), rate, waitMs };
}

/** The bucket that credits are spent through. */
function creditRate({ burst, perMinute }: Pick<RateLimit, "burst" | "perMinute">): RateLimit {
  return { kind: "rate", slot: "credits", name: "credits", burst, perMinute, mode: "enforce" };
}

/**
 * Takes `units` of one credit for something that this account was not asked about: a call of another caller who shows this
 * account's pass, or whatever a backend sells for it. A call goes through the rate of the account's credits, as far as its plan is known.
 * @param tag of the call, as in `Payment`; null when it is none that the origin would get
 * @returns a ticket for a refund, or null when there is not enough
 */
export function spendFor(account: Account, creditId: string, units: number, tag: number | null, now: number): number | null {
  keepUpWithClock(account, now);
  const spent = findCredit(account.credits, units, tag ?? 0, now, creditId);
  if (!spent) return null;
  const plan = tag === null ? undefined : account.buckets.get(RATE_SLOT);
  const rate = plan ? creditRate(plan) : null;
  if (rate && (units > rate.burst || waitFor(bucketOf(account, rate, now), units, now) > 0)) return null;
  const ticket = account.nextTicket++;
  const taken = rate ? [{ limit: rate, cost: units }] : [];
  rememberAdmission(account, { ticket, at: now, due: now, taken, spent });
  if (rate) take(bucketOf(account, rate, now), units, now);
  spendCredit(account.credits, spent, tag ?? 0);
  return ticket;
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
  tag: number,
): void {
  const taken: { limit: Limit; cost: number }[] = [];
  for (let i = 0; i < limits.length; i++) {
    if (costs[i]! > 0 && !(free & (1 << i))) taken.push({ limit: limits[i]!, cost: costs[i]! });
  }
  if (paid?.rate) taken.push({ limit: paid.rate, cost: paid.units });
  rememberAdmission(account, { ticket, at, due, taken, ...(paid ? { spent: paid.spent } : {}) });
  if (paid) spendCredit(account.credits, paid.spent, tag);
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
