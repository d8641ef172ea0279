/**
 * What credits pay, and how fast. They have a rate of their own, the plan's again, so that nobody buys their way past what the
 * origin bears: of a plan's tokens and its credits together, at most twice the plan passes.
 */

import { type Account, bucketOf, keepUpWithClock } from "./account.ts";
import { rememberAdmission } from "./admissions.ts";
import { take, waitFor } from "./bucket.ts";
import { type CreditRate, findCredit, spendCredit } from "./credits.ts";
import type { Limit, Payment, RateLimit } from "./limit.ts";
import { rememberPaidCall } from "./paid-calls.ts";
import { RATE_SLOT } from "./plan-limits.ts";

/** What credits would have to pay of a POST, in place of its payable limits. */
export interface Bill {
  /** 0 when nothing of it can be paid for. */
  readonly units: number;
  /** The bucket that credits are spent through. */
  readonly rate: RateLimit | null;
  /** Until that bucket lets so many be spent; Infinity for more than it ever does. */
  readonly waitMs: number;
}

export function billFor(account: Account, limits: readonly Limit[], costs: readonly number[], { payable }: Payment, now: number): Bill {
  let units = 0;
  for (let i = 0; i < limits.length; i++) if (payable & (1 << i)) units = Math.max(units, costs[i]!);
  const plan = limits.find((limit, i): limit is RateLimit => limit.kind === "rate" && (payable & (1 << i)) !== 0);
  const rate = plan ? creditRate(plan) : null;
  return { units, rate, waitMs: rate ? waitForCreditRate(account, rate, units, now) : 0 };
}

/** What is to be paid for by one credit, in an account that was not asked about it. */
export interface ForeignBill {
  readonly creditId: string;
  readonly units: number;
  /** Of the call, as in `Payment`; null when it is none that the origin would get. */
  readonly tag: number | null;
  /** As in `Payment`. */
  readonly attempt: number;
}

/**
 * Takes units of one credit for something that this account was not asked about: a call of another caller who shows this
 * account's pass or payment, or whatever a backend sells for it. A call goes through the rate of the account's credits.
 * @returns a ticket for a refund, or null when there is not enough
 */
export function spendFor(account: Account, { creditId, units, tag, attempt }: ForeignBill, now: number): number | null {
  keepUpWithClock(account, now);
  const spent = findCredit(account.credits, { units, tag: tag ?? 0, shown: creditId }, now, true);
  if (!spent) return null;
  // A plan that has not been asked about lately is not remembered.
  const numbers = tag === null ? null : (account.buckets.get(RATE_SLOT) ?? account.credits.rate);
  const rate = numbers ? creditRate(numbers) : null;
  if (rate && waitForCreditRate(account, rate, units, now) > 0) return null;
  const ticket = account.nextTicket++;
  const taken = rate ? [{ limit: rate, cost: units }] : [];
  rememberAdmission(account, { ticket, at: now, due: now, taken });
  if (rate) take(bucketOf(account, rate, now), units, now);
  spendCredit(account.credits, spent, tag ?? 0);
  rememberPaidCall(account.credits, { attempt, ticket, at: now, tag: tag ?? 0, spent });
  return ticket;
}

function creditRate({ burst, perMinute }: CreditRate): RateLimit {
  return { kind: "rate", slot: "credits", name: "credits", burst, perMinute, mode: "enforce" };
}

/** A bucket that has never been used is not made for the asking: it would have to be stored. */
function waitForCreditRate(account: Account, rate: RateLimit, units: number, now: number): number {
  if (units > rate.burst) return Number.POSITIVE_INFINITY;
  return account.buckets.has(rate.slot) ? waitFor(bucketOf(account, rate, now), units, now) : 0;
}
