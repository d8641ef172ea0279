/**
 * Prepaid calls: what a solved challenge has won. A credit is spent only when the plan's own rate is empty, one for each unit
 * of cost, as often as it says and until it runs out, the one that runs out first before the others. What has won a credit is
 * remembered for as long as it could be handed in again, so that it counts once in the world.
 *
 * Parallel agents of one consumer earn credits for calls of their own. The first call of a fresh credit is therefore kept
 * for a while for the very call whose refusal earned it.
 */

import { isTooOld, NO_SOLVES, recordSolve, shiftSolves, type Solves } from "../challenges/difficulty.ts";

/** Long enough for a client to send its call again. */
const KEPT_FOR_MS = 10_000;
/** A consumer that solves ten minutes ahead of what it spends has enough. */
export const MAX_CREDITS = 64;
/** Five minutes of solving without a pause are far fewer. */
export const MAX_REDEEMED = 500;

export interface Credit {
  left: number;
  /** Epoch milliseconds. */
  expiresAt: number;
  /** The call that is served first: 32 bits of its fingerprint, and what it costs; 0 for none. */
  readonly keptFor: number;
  keptUnits: number;
  keptUntil: number;
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
  /** Rises with every change: what tells that the row must be written. Never stored. */
  version: number;
}

export function createCredits(): Credits {
  return { open: new Map(), redeemed: new Map(), forgottenUntil: 0, rate: null, solves: NO_SOLVES, version: 0 };
}

/** How fast credits may be spent: a bucket's numbers. */
export interface CreditRate {
  readonly burst: number;
  readonly perMinute: number;
}

/** What a solved challenge is redeemed for. */
export interface Redemption {
  readonly id: string;
  /** Until when the same could be handed in again. */
  readonly redeemableUntil: number;
  /** For a proof of work: the account's solves when the challenge was made. */
  readonly solvesAtIssue?: number;
  readonly calls: number;
  readonly expiresAt: number;
  /** The call whose refusal earned it; tag 0 for none. */
  readonly keptFor: { readonly tag: number; readonly cost: number };
  /** The plan's own rate: credits are spent no faster. */
  readonly rate: CreditRate;
}

export type Redeemed =
  | { readonly ok: true; readonly calls: number; readonly expiresAt: number }
  | { readonly ok: false; readonly why: "replayed" | "expired" | "too-old" | "too-many" };

/**
 * Turns a solved challenge into a credit, once. Whether it is still in time is looked at here again: on its way here it may have
 * run out, and with that have been forgotten.
 */
export function redeem(credits: Credits, redemption: Redemption, now: number): Redeemed {
  const hasRoom = hasRoomForCredit(credits, now);
  const { id, redeemableUntil, solvesAtIssue, calls, expiresAt, keptFor, rate } = redemption;
  if (credits.redeemed.has(id)) return { ok: false, why: "replayed" };
  if (redeemableUntil <= Math.max(now, credits.forgottenUntil)) return { ok: false, why: "expired" };
  if (solvesAtIssue !== undefined && isTooOld(credits.solves, solvesAtIssue)) return { ok: false, why: "too-old" };
  if (!hasRoom) return { ok: false, why: "too-many" };
  const keptUntil = keptFor.tag === 0 ? 0 : now + KEPT_FOR_MS;
  credits.open.set(id, { left: calls, expiresAt, keptFor: keptFor.tag, keptUnits: Math.min(keptFor.cost, calls), keptUntil });
  credits.redeemed.set(id, redeemableUntil);
  credits.rate = rate;
  if (solvesAtIssue !== undefined) credits.solves = recordSolve(credits.solves, now);
  credits.version++;
  return { ok: true, calls, expiresAt };
}

/** Whether one more could be redeemed. */
export function hasRoomForCredit(credits: Credits, now: number): boolean {
  forgetOver(credits, now);
  return credits.open.size < MAX_CREDITS && credits.redeemed.size < MAX_REDEEMED;
}

/** What was taken of which credit, and until when that one lasts: it may be needed again after its last unit. */
export type Spent = readonly (readonly [id: string, units: number, expiresAt: number])[];

/**
 * Which credits would pay for `units` of a call; null when there are not enough. Nothing is taken.
 * @param tag of the call, as in `Credit.keptFor`
 * @param only the one credit to pay from; any when it is left out
 */
export function findCredit({ open }: Credits, units: number, tag: number, now: number, only?: string): Spent | null {
  if (open.size === 0 || units === 0) return null;
  const usable = [...open].filter(([id, credit]) => credit.expiresAt > now && (only === undefined || id === only));
  const isOwn = ([, credit]: [string, Credit]): boolean => credit.keptFor === tag && isKept(credit, now);
  // What was earned for this very call first, then what runs out first.
  const sorted = usable.toSorted((a, b) => Number(isOwn(b)) - Number(isOwn(a)) || a[1].expiresAt - b[1].expiresAt);
  const spent: [string, number, number][] = [];
  let missing = units;
  for (const [id, credit] of sorted) {
    const free = credit.left - (isKept(credit, now) && credit.keptFor !== tag ? credit.keptUnits : 0);
    const taken = Math.min(missing, free);
    if (taken <= 0) continue;
    spent.push([id, taken, credit.expiresAt]);
    missing -= taken;
    if (missing === 0) return spent;
  }
  return null;
}

/**
 * The earliest time from `from` on at which the credits there are would pay for `units` of a call; Infinity when they never
 * will. What is kept for another call comes free, and until then something else may run out.
 */
export function payableFrom(credits: Credits, units: number, tag: number, from: number): number {
  const times = [from];
  for (const { keptUntil } of credits.open.values()) if (keptUntil > from) times.push(keptUntil);
  return times.toSorted((a, b) => a - b).find((time) => findCredit(credits, units, tag, time) !== null) ?? Number.POSITIVE_INFINITY;
}

function isKept({ keptFor, keptUntil }: Credit, now: number): boolean {
  return keptFor !== 0 && keptUntil > now;
}

/** @param tag of the call: what was kept for it is kept no longer */
export function spendCredit(credits: Credits, spent: Spent, tag: number): void {
  for (const [id, units] of spent) {
    const credit = credits.open.get(id);
    if (!credit) continue;
    credit.left -= units;
    if (credit.keptFor === tag || credit.left < credit.keptUnits) credit.keptUntil = 0;
    if (credit.left <= 0) credits.open.delete(id);
  }
  if (spent.length > 0) credits.version++;
}

/** Gives back what a call that the origin did not get was paid with. */
export function returnCredit(credits: Credits, spent: Spent, now: number): void {
  for (const [id, units, expiresAt] of spent) {
    if (expiresAt <= now) continue;
    const credit = credits.open.get(id);
    if (credit) credit.left += units;
    else credits.open.set(id, { left: units, expiresAt, keptFor: 0, keptUnits: 0, keptUntil: 0 });
    credits.version++;
  }
}

/** Prepaid calls that are left. */
export function creditLeft({ open }: Credits, now: number): number {
  let left = 0;
  for (const credit of open.values()) if (credit.expiresAt > now) left += credit.left;
  return left;
}

export function creditsForgettableAt({ open, redeemed, solves }: Credits): number {
  let at = solves.easedAt;
  for (const credit of open.values()) at = Math.max(at, credit.expiresAt);
  for (const until of redeemed.values()) at = Math.max(at, until);
  return at;
}

/** Moves every time back with a clock that was set back by `byMs`: a credit lasts as long as it said, by that clock. */
export function shiftCredits(credits: Credits, byMs: number): void {
  for (const credit of credits.open.values()) {
    credit.expiresAt -= byMs;
    credit.keptUntil -= byMs;
  }
  // What was redeemed is remembered until the challenge's own, signed, time.
  credits.solves = shiftSolves(credits.solves, byMs);
}

function forgetOver(credits: Credits, now: number): void {
  for (const [id, { expiresAt }] of credits.open) if (expiresAt <= now) credits.open.delete(id);
  for (const [id, until] of credits.redeemed) {
    if (until > now) continue;
    credits.redeemed.delete(id);
    // The clock may be set back to before that time.
    credits.forgottenUntil = Math.max(credits.forgottenUntil, until);
  }
}

/** id, left, expiresAt, keptFor, keptUnits, keptUntil */
type StoredCredit = readonly [string, number, number, number, number, number];

export interface StoredCredits {
  readonly open: readonly StoredCredit[];
  readonly redeemed: readonly (readonly [string, number])[];
  /** Absent in rows from before it was kept. */
  readonly forgottenUntil?: number;
  /** burst, perMinute */
  readonly rate?: readonly [number, number];
  readonly solves: Solves;
}

/** Undefined when there is nothing to remember. */
export function storeCredits(credits: Credits, now: number): StoredCredits | undefined {
  forgetOver(credits, now);
  const { open, redeemed, forgottenUntil, rate, solves } = credits;
  if (open.size === 0 && redeemed.size === 0 && solves.count === 0 && forgottenUntil === 0) return undefined;
  return {
    open: [...open].map(([id, { left, expiresAt, keptFor, keptUnits, keptUntil }]) => [id, left, expiresAt, keptFor, keptUnits, keptUntil]),
    redeemed: [...redeemed],
    forgottenUntil,
    ...(rate ? { rate: [rate.burst, rate.perMinute] as const } : {}),
    solves,
  };
}

export function restoreCredits(credits: Credits, stored: StoredCredits): void {
  for (const [id, left, expiresAt, keptFor, keptUnits, keptUntil] of stored.open) {
    credits.open.set(id, { left, expiresAt, keptFor, keptUnits, keptUntil });
  }
  for (const [id, until] of stored.redeemed) credits.redeemed.set(id, until);
  credits.forgottenUntil = stored.forgottenUntil ?? 0;
  credits.rate = stored.rate ? { burst: stored.rate[0], perMinute: stored.rate[1] } : null;
  credits.solves = stored.solves;
}
