/**
 * Prepaid calls: what a solved challenge has won, or money has bought. A credit is spent only when the plan's own rate is empty,
 * one for each unit of cost, as often as it says and until it runs out, the one that runs out first before the others. A
 * solution is remembered for as long as it could be handed in again, so that it counts once in the world; of payments
 * the object itself keeps the list (durable-objects/sales.ts).
 *
 * Parallel agents of one consumer earn credits for calls of their own. The first call of a fresh credit is therefore kept
 * for a while for the very call whose refusal earned it; of a payment also for whoever shows it.
 */

import { isTooOld, NO_SOLVES, recordSolve, shiftSolves, type Solves } from "../challenges/difficulty.ts";

/** Long enough for a client to send its call again. */
const KEPT_FOR_MS = 10_000;
/** A consumer that solves ten minutes ahead of what it spends has enough. */
export const MAX_CREDITS = 64;
/** Five minutes of solving without a pause are far fewer. */
export const MAX_REDEEMED = 500;
/** Of paid ones nobody has too many before the row does: some 600 KB of the 2 MB that it can have. */
const MAX_PAID_CREDITS = 5_000;
/** A call that runs for longer than this before it is settled cannot be given back. */
export const PAID_CALL_KEPT_MS = 900_000;
/** Sold only while all that can still be paid for has room as well. */
const ROOM_FOR_SALES = 16;

export interface Credit {
  left: number;
  /** Epoch milliseconds. */
  expiresAt: number;
  /** The call that is served first: 32 bits of its fingerprint, and what it costs; 0 for none. */
  readonly keptFor: number;
  keptUnits: number;
  keptUntil: number;
  /** Bought with money, not won by work. */
  readonly isPaid: boolean;
  /** Spent only by whoever shows what bought it: neighbours share an address, and money is not theirs. */
  readonly isForHolder: boolean;
  /** The credit that paid for a call that may be sent again, the one that this is kept for, and always: see paid-calls.ts. */
  readonly resendOf?: string;
}

/** A call that credits have paid for: see paid-calls.ts. */
export interface PaidCall {
  /** Names the question that it was the answer to. */
  readonly attempt: number;
  readonly ticket: number;
  readonly at: number;
  /** 32 bits of the call's fingerprint; 0 for none. */
  readonly tag: number;
  readonly spent: Spent;
}

export interface Credits {
  /** By the id of what won it. */
  readonly open: Map<string, Credit>;
  /** What has been handed in, and until when it could be again. */
  readonly redeemed: Map<string, number>;
  /** The latest such time that has been forgotten: what ran out by then may have been handed in before, for all that is known. */
  forgottenUntil: number;
  /** The plan's rate when something was last redeemed, for spending where the plan itself is not asked about. */
  rate: CreditRate | null;
  solves: Solves;
  /** The latest, the oldest of them first. */
  paidCalls: readonly PaidCall[];
  /** Rises with every change: what tells that the row must be written. Never stored. */
  version: number;
}

export function createCredits(): Credits {
  return { open: new Map(), redeemed: new Map(), forgottenUntil: 0, rate: null, solves: NO_SOLVES, paidCalls: [], version: 0 };
}

/** How fast credits may be spent: a bucket's numbers. */
export interface CreditRate {
  readonly burst: number;
  readonly perMinute: number;
}

/** What a solved challenge, or a payment, is redeemed for. */
export interface Redemption {
  readonly id: string;
  /** Until when the same could be handed in again. */
  readonly redeemableUntil: number;
  /** For a proof of work: the account's solves when the challenge was made. */
  readonly solvesAtIssue?: number;
  /** For a payment, whose id is the payment hash: whether only whoever shows the payment's proof may spend it. */
  readonly payment?: { readonly isForHolder: boolean };
  readonly calls: number;
  readonly expiresAt: number;
  /** The call whose refusal earned it; tag 0 for none. */
  readonly keptFor: { readonly tag: number; readonly cost: number };
  /** The plan's own rate: credits are spent no faster. */
  readonly rate: CreditRate;
}

export type Redeemed =
  /** `isFirst`: of a payment that has been redeemed before, the rest is told. */
  | { readonly ok: true; readonly isFirst: boolean; readonly calls: number; readonly expiresAt: number }
  | { readonly ok: false; readonly why: "replayed" | "expired" | "too-old" | "too-many" };

/**
 * Turns a solved challenge into a credit, once. Whether it is still in time is looked at here again: on its way here it may have
 * run out, and with that have been forgotten. That a payment has not been redeemed before is for the caller to know.
 */
export function redeem(credits: Credits, redemption: Redemption, now: number): Redeemed {
  forgetOver(credits, now);
  const { id, redeemableUntil, solvesAtIssue, payment, calls, expiresAt, keptFor, rate } = redemption;
  if (credits.redeemed.has(id)) return { ok: false, why: "replayed" };
  if (redeemableUntil <= Math.max(now, payment ? 0 : credits.forgottenUntil)) return { ok: false, why: "expired" };
  if (solvesAtIssue !== undefined && isTooOld(credits.solves, solvesAtIssue)) return { ok: false, why: "too-old" };
  const hasRoom = payment ? paidCredits(credits) < MAX_PAID_CREDITS : hasRoomToEarn(credits, now);
  if (!hasRoom) return { ok: false, why: "too-many" };
  credits.open.set(id, {
    left: calls,
    expiresAt,
    keptFor: keptFor.tag,
    keptUnits: Math.min(keptFor.cost, calls),
    keptUntil: keptFor.tag === 0 ? 0 : now + KEPT_FOR_MS,
    isPaid: payment !== undefined,
    isForHolder: payment?.isForHolder ?? false,
  });
  if (!payment) credits.redeemed.set(id, redeemableUntil);
  credits.rate = rate;
  if (solvesAtIssue !== undefined) credits.solves = recordSolve(credits.solves, now);
  credits.version++;
  return { ok: true, isFirst: true, calls, expiresAt };
}

/** Whether one more solution could be redeemed. */
export function hasRoomToEarn(credits: Credits, now: number): boolean {
  forgetOver(credits, now);
  return credits.open.size - paidCredits(credits) < MAX_CREDITS && credits.redeemed.size < MAX_REDEEMED;
}

/** Whether one more may be sold, so that it can be redeemed however much of what is for sale is paid for first. */
export function hasRoomToBuy(credits: Credits, now: number): boolean {
  forgetOver(credits, now);
  return paidCredits(credits) < MAX_PAID_CREDITS - ROOM_FOR_SALES;
}

function paidCredits({ open }: Credits): number {
  let count = 0;
  for (const { isPaid } of open.values()) if (isPaid) count++;
  return count;
}

/** What was taken of a credit, and what else is needed to open it again after its last unit. */
export type Spent = readonly (Pick<Credit, "expiresAt" | "isPaid" | "isForHolder" | "resendOf"> & {
  readonly id: string;
  readonly units: number;
})[];

/** The call that is to be paid for, and what was shown with it. */
export interface Spending {
  readonly units: number;
  /** As in `Credit.keptFor`. */
  readonly tag: number;
  /** The credit whose proof was shown; empty for none. */
  readonly shown: string;
}

/**
 * Which credits would pay for a call; null when there are not enough. Nothing is taken.
 * @param onlyShown the one that was shown is the only one to pay from
 */
export function findCredit({ open }: Credits, { units, tag, shown }: Spending, now: number, onlyShown = false): Spent | null {
  if (open.size === 0 || units === 0) return null;
  const usable = [...open].filter(([id, { expiresAt, isForHolder, keptFor, resendOf = id }]) => {
    const isShown = resendOf === shown;
    const isOfOther = resendOf !== id && keptFor !== tag;
    return expiresAt > now && !isOfOther && (isShown || !(isForHolder || onlyShown));
  });
  const isOwn = ([, credit]: [string, Credit]): boolean => credit.keptFor === tag && isKept(credit, now);
  // What was earned for this very call first, then what runs out first.
  const sorted = usable.toSorted((a, b) => Number(isOwn(b)) - Number(isOwn(a)) || a[1].expiresAt - b[1].expiresAt);
  const spent: Spent[number][] = [];
  let missing = units;
  for (const [id, credit] of sorted) {
    const isKeptFromIt = isKept(credit, now) && credit.keptFor !== tag && !(credit.isPaid && id === shown);
    const free = credit.left - (isKeptFromIt ? credit.keptUnits : 0);
    const taken = Math.min(missing, free);
    if (taken <= 0) continue;
    spent.push(spentOf(id, taken, credit));
    missing -= taken;
    if (missing === 0) return spent;
  }
  return null;
}

function spentOf(id: string, units: number, { expiresAt, isPaid, isForHolder, resendOf }: Credit): Spent[number] {
  return { id, units, expiresAt, isPaid, isForHolder, ...(resendOf === undefined ? {} : { resendOf }) };
}

/**
 * The earliest time from `from` on at which the credits there are would pay for a call; Infinity when they never
 * will. What is kept for another call comes free, and until then something else may run out.
 */
export function payableFrom(credits: Credits, spending: Spending, from: number): number {
  const times = [from];
  for (const { keptUntil } of credits.open.values()) if (keptUntil > from) times.push(keptUntil);
  return times.toSorted((a, b) => a - b).find((time) => findCredit(credits, spending, time) !== null) ?? Number.POSITIVE_INFINITY;
}

function isKept({ keptFor, keptUntil, resendOf }: Credit, now: number): boolean {
  return keptFor !== 0 && (keptUntil > now || resendOf !== undefined);
}

/** @param tag of the call: what was kept for it is kept no longer */
export function spendCredit(credits: Credits, spent: Spent, tag: number): void {
  for (const { id, units } of spent) {
    const credit = credits.open.get(id);
    if (!credit) continue;
    credit.left -= units;
    if (credit.keptFor === tag || credit.left < credit.keptUnits) credit.keptUntil = 0;
    if (credit.left <= 0) credits.open.delete(id);
  }
  if (spent.length > 0) credits.version++;
}

/**
 * Puts units back on their credits, opening those again that were used up.
 * @param tag of the call
 */
export function returnCredit(credits: Credits, spent: Spent, tag: number, now: number): void {
  for (const { id, units, ...rest } of spent) {
    if (rest.expiresAt <= now) continue;
    const credit = credits.open.get(id);
    const keptFor = rest.resendOf === undefined ? 0 : tag;
    if (credit) credit.left += units;
    else credits.open.set(id, { left: units, keptFor, keptUnits: 0, keptUntil: 0, ...rest });
    credits.version++;
  }
}

/**
 * Prepaid calls that are left.
 * @param shown the credit whose proof was shown: what is for its holder counts for nobody else
 */
export function creditLeft({ open }: Credits, shown: string, now: number): number {
  let left = 0;
  for (const [id, { left: units, expiresAt, isForHolder, resendOf }] of open) {
    if (expiresAt > now && resendOf === undefined && (!isForHolder || id === shown)) left += units;
  }
  return left;
}

export function creditsForgettableAt({ open, redeemed, solves, paidCalls }: Credits): number {
  let at = solves.easedAt;
  for (const credit of open.values()) at = Math.max(at, credit.expiresAt);
  for (const until of redeemed.values()) at = Math.max(at, until);
  for (const call of paidCalls) at = Math.max(at, call.at + PAID_CALL_KEPT_MS);
  return at;
}

/** Moves every time back with a clock that was set back by `byMs`: a credit lasts as long as it said, by that clock. */
export function shiftCredits(credits: Credits, byMs: number): void {
  for (const credit of credits.open.values()) {
    credit.expiresAt -= byMs;
    credit.keptUntil -= byMs;
  }
  const shiftSpent = (spent: Spent): Spent => spent.map((each) => ({ ...each, expiresAt: each.expiresAt - byMs }));
  credits.paidCalls = credits.paidCalls.map((call) => ({ ...call, at: call.at - byMs, spent: shiftSpent(call.spent) }));
  // What was redeemed is remembered until the challenge's own, signed, time.
  credits.solves = shiftSolves(credits.solves, byMs);
}

/** What can no longer matter is let go of. */
export function forgetOver(credits: Credits, now: number): void {
  if (credits.paidCalls.length > 0) credits.paidCalls = credits.paidCalls.filter(({ at }) => at + PAID_CALL_KEPT_MS > now);
  for (const [id, { expiresAt }] of credits.open) if (expiresAt <= now) credits.open.delete(id);
  for (const [id, until] of credits.redeemed) {
    if (until > now) continue;
    credits.redeemed.delete(id);
    // The clock may be set back to before that time.
    credits.forgottenUntil = Math.max(credits.forgottenUntil, until);
  }
}
