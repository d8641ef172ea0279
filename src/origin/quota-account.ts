/**
 * The quota of one upstream credential, which all consumers share: what the operator has configured (a true window), what the
 * origin has told of it, and whether the origin has said that it takes nothing more for now. Plain data and plain functions;
 * the object in durable-objects/origin-quota.ts keeps it.
 */

import { type Account, refund } from "../limits/account.ts";
import { ask } from "../limits/ask.ts";
import { countShare, forgetUse, shareOf, type Sharers, shiftSharers, uncountShare } from "../limits/fair-share.ts";
import type { Charge, QuotaLimit, Verdict } from "../limits/limit.ts";

/** A window whose end nobody has told: asked again after this. */
const UNKNOWN_RESET_MS = 60_000;
/** Two tellings of the same end differ by what the answers took to come. */
const RESET_TOLERANCE_MS = 2_000;
/** A told quota has an end and no length: what was used of it is forgotten when it ends. */
const UNTIL_RESET_MS = 31 * 86_400_000;
/** Calls that can still be given back: those on their way, and then some. */
const MAX_TAKEN = 1_000;

/** What an answer of the origin told, as times from now. */
export interface Told {
  /** 0 when it takes calls. */
  readonly closedForMs: number;
  readonly isEstimated: boolean;
  readonly quota: { readonly limit: number | null; readonly remaining: number; readonly resetMs: number | null } | null;
}

interface ToldQuota {
  /** What there was when the gate began to count. */
  readonly pool: number;
  remaining: number;
  resetAt: number;
  /** When the origin's own number last went before the gate's. */
  heardAt: number;
  readonly isEstimated: boolean;
}

export interface Closed {
  readonly until: number;
  readonly isEstimated: boolean;
}

export interface OriginAccount {
  /** The latest time seen. A clock that goes back moves everything back with it. */
  seenAt: number;
  told: ToldQuota | null;
  closed: Closed | null;
  readonly sharers: Sharers;
  readonly taken: Map<number, { readonly consumer: string; readonly cost: number; readonly at: number }>;
}

export interface OriginAsk {
  readonly consumer: string;
  /** Of the consumer's plan. */
  readonly weight: number;
  readonly cost: number;
}

export type OriginVerdict =
  | { readonly kind: "admit"; readonly ticket: number; readonly remaining: number; readonly resetMs: number }
  | {
      readonly kind: "refuse";
      readonly why: "closed" | "quota" | "share";
      readonly retryAfterMs: number;
      readonly isEstimated: boolean;
    };

export function createOriginAccount(): OriginAccount {
  return { seenAt: 0, told: null, closed: null, sharers: new Map(), taken: new Map() };
}

/**
 * May a call go to the origin now? What it admits is taken.
 * @param counted where the configured quota is counted
 * @param limit the configured quota, if any
 * @param record called with what was taken of the configured quota, to be stored before the answer leaves
 */
export function askOrigin(
  origin: OriginAccount,
  counted: Account,
  limit: QuotaLimit | null,
  { consumer, weight, cost }: OriginAsk,
  now: number,
  record: (verdict: Verdict) => void,
): OriginVerdict {
  keepUpWithClock(origin, now);
  const { closed } = origin;
  if (closed && closed.until > now) {
    return { kind: "refuse", why: "closed", retryAfterMs: Math.ceil(closed.until - now), isEstimated: closed.isEstimated };
  }
  const told = toldAt(origin, now);
  if (told && told.remaining < cost) {
    return { kind: "refuse", why: "quota", retryAfterMs: Math.ceil(told.resetAt - now), isEstimated: told.isEstimated };
  }

  const pool = limit ?? (told ? { calls: told.pool, per: UNTIL_RESET_MS } : null);
  const share = pool ? shareOf(origin.sharers, consumer, weight, pool, cost, now) : { remaining: Infinity, waitMs: 0 };
  if (share.waitMs > 0) {
    const waitMs = limit || !told ? share.waitMs : Math.min(share.waitMs, told.resetAt - now);
    // The others may stop, or more may come: nobody knows.
    return { kind: "refuse", why: "share", retryAfterMs: Math.ceil(waitMs), isEstimated: true };
  }

  let { remaining } = share;
  let resetMs = 0;
  let ticket = counted.nextTicket++;
  if (limit) {
    const charge: Charge = { limits: 1, cost, countedBy: 0, watches: [] };
    const verdict = ask(counted, [limit], [charge], 0, now);
    record(verdict);
    if (verdict.kind === "refuse") return { kind: "refuse", why: "quota", retryAfterMs: verdict.retryAfterMs, isEstimated: false };
    if (verdict.kind === "impossible") return { kind: "refuse", why: "quota", retryAfterMs: UNKNOWN_RESET_MS, isEstimated: true };
    const [meter] = verdict.meters;
    remaining = Math.min(remaining - cost, meter!.remaining);
    ({ resetMs } = meter!);
    ({ ticket } = verdict);
  }
  if (told) {
    told.remaining -= cost;
    remaining = Math.min(remaining, told.remaining);
    resetMs ||= Math.ceil(told.resetAt - now);
  }
  if (pool) countShare(origin.sharers, consumer, cost, now);
  remember(origin, ticket, { consumer, cost, at: now });
  return { kind: "admit", ticket, remaining: Number.isFinite(remaining) ? Math.max(0, Math.floor(remaining)) : -1, resetMs };
}

/** Gives back what an admission took: the origin never had the call. Unknown tickets are ignored. */
export function giveOriginBack(origin: OriginAccount, counted: Account, ticket: number, now: number): void {
  keepUpWithClock(origin, now);
  const taken = origin.taken.get(ticket);
  if (!taken) return;
  origin.taken.delete(ticket);
  refund(counted, ticket, now);
  uncountShare(origin.sharers, taken.consumer, taken.cost, taken.at);
  // What the origin has told since does not count the call, or is of another window.
  if (origin.told && taken.at >= origin.told.heardAt) origin.told.remaining += taken.cost;
}

/** Takes note of what an answer told. Others may use the same credential: what the origin says is less is less. */
export function hearOrigin(origin: OriginAccount, { closedForMs, isEstimated, quota }: Told, now: number): void {
  keepUpWithClock(origin, now);
  if (closedForMs > 0) origin.closed = longerClosed(origin.closed, { until: now + closedForMs, isEstimated }, now);
  if (!quota) return;
  const resetAt = now + (quota.resetMs ?? UNKNOWN_RESET_MS);
  const told = toldAt(origin, now);
  // Answers overtake each other, so within a window only less is news. More, with a later end, is a new window.
  if (told && (quota.remaining <= told.remaining || resetAt <= told.resetAt + RESET_TOLERANCE_MS)) {
    if (quota.remaining <= told.remaining) told.heardAt = now;
    told.remaining = Math.min(told.remaining, quota.remaining);
    told.resetAt = Math.max(told.resetAt, resetAt);
    return;
  }
  // What was used of a configured quota is used: that one begins anew by itself.
  forgetUse(origin.sharers, UNTIL_RESET_MS);
  const { remaining } = quota;
  origin.told = { pool: remaining, remaining, resetAt, heardAt: now, isEstimated: quota.resetMs === null };
}

/**
 * Of two closings the one that holds: a time that the origin told goes before a guess, and of two that it told the longer. A call
 * that was on its way may well have hit another, shorter limit.
 */
export function longerClosed(known: Closed | null, told: Closed, now: number): Closed {
  if (!known || known.until <= now || (known.isEstimated && !told.isEstimated)) return told;
  const isLonger = told.until > known.until && known.isEstimated === told.isEstimated;
  return isLonger ? told : known;
}

function keepUpWithClock(origin: OriginAccount, now: number): void {
  const byMs = origin.seenAt - now;
  origin.seenAt = now;
  if (byMs <= 0) return;
  // What was taken before is not given back: when that was, is no longer certain.
  origin.taken.clear();
  shiftSharers(origin.sharers, byMs);
  if (origin.closed) origin.closed = { ...origin.closed, until: origin.closed.until - byMs };
  if (!origin.told) return;
  origin.told.resetAt -= byMs;
  origin.told.heardAt -= byMs;
}

function toldAt(origin: OriginAccount, now: number): ToldQuota | null {
  if (origin.told && origin.told.resetAt <= now) origin.told = null;
  return origin.told;
}

function remember(origin: OriginAccount, ticket: number, taken: { consumer: string; cost: number; at: number }): void {
  origin.taken.set(ticket, taken);
  if (origin.taken.size <= MAX_TAKEN) return;
  const [oldest] = origin.taken.keys();
  origin.taken.delete(oldest!);
}
