/**
 * The account as it is stored: one small row, written ahead. A row written costs more than the rest of a call
 * (Cloudflare bills rows, not requests, at a dollar a million), so what is stored runs ahead of what is in memory by
 * what was taken in the last two seconds (and by those two seconds of refill), at most an eighth of the burst, and the next
 * calls are paid from that without a write. After a crash the object
 * starts from what is stored, and a superseded instance can only hand out what is already written off: a crash may
 * refuse up to one chunk too many, or forget as much of the repeat windows, and nothing ever admits one too many.
 */

import type { Account } from "./account.ts";
import { lastHeld, takenSince } from "./admissions.ts";
import { refillMs } from "./bucket.ts";
import { creditsForgettableAt } from "./credits.ts";
import { restoreCredits, storeCredits, type StoredCredits } from "./stored-credits.ts";
import { windowEmptyAt, type Window } from "./window.ts";

/** A chunk is what was taken in this time: a lone call stores the exact value, a busy consumer many calls at once. */
const CHUNK_MS = 2_000;
/** At most this part of a burst or quota is written off in advance, and so lost to a crash. */
const CHUNK_SHARE = 1 / 8;

/** The row. Tuples, because it is written and read as a whole and its size is a part of its cost. */
export interface StoredAccount {
  readonly v: 1;
  readonly seenAt: number;
  /** slot, fullAt, burst, perMinute, heldUntil */
  readonly buckets: readonly (readonly [string, number, number, number, number])[];
  /** slot, calls, per, period, count, then [first, last, count] of each cell */
  readonly windows: readonly (readonly [string, number, Window["per"], number, number, readonly (readonly [number, number, number])[]])[];
  /** fingerprint, window, then the times */
  readonly repeats: readonly (readonly number[])[];
  /** fingerprint, time, window; absent where no rule looks at the order of calls */
  readonly trail?: readonly (readonly [number, number, number])[];
  /** Exact, always: what is prepaid is neither lost nor given twice. */
  readonly credits?: StoredCredits;
}

/** What is stored, as far as the next decision to write needs it. */
export interface Ahead {
  readonly seenAt: number;
  /** Nothing was written off in advance: the row says what memory says. */
  readonly isExact: boolean;
  readonly creditsVersion: number;
  readonly buckets: Map<string, { fullAt: number; burst: number; perMinute: number }>;
  /** `taken` as in `Window`: how far it may run, and until when, before the row must be written again. */
  readonly windows: Map<string, { period: number; taken: number; until: number }>;
}

/**
 * True when what is stored does not cover memory: more has been handed out, or the numbers or the clock have changed. The row
 * must then be written before the answer leaves, also when it is a refusal.
 */
export function isBeyond(account: Account, ahead: Ahead): boolean {
  // The stored times move with the clock too, once they are read again: what they cover is then no longer known.
  if (account.seenAt < ahead.seenAt) return true;
  if (account.credits.version !== ahead.creditsVersion) return true;
  for (const [slot, bucket] of account.buckets) {
    const stored = ahead.buckets.get(slot);
    if (!stored || bucket.fullAt > stored.fullAt) return true;
    if (bucket.burst !== stored.burst || bucket.perMinute !== stored.perMinute) return true;
  }
  for (const [slot, window] of account.windows) {
    const stored = ahead.windows.get(slot);
    if (!stored || window.period !== stored.period || window.taken > stored.taken) return true;
    if ((window.cells.at(-1)?.last ?? 0) > stored.until) return true;
  }
  return false;
}

/**
 * The row to write now, and what it covers.
 * @param latest the ticket of the admission that is being written: a chunk is what was taken before it. Left out, the
 * row says exactly what memory says.
 */
export function store(account: Account, now: number, latest?: number): { row: StoredAccount; ahead: Ahead } {
  let isExact = true;
  const chunk = (slot: string, most: number): number => {
    if (latest === undefined) return 0;
    const units = Math.min(takenSince(account, slot, now - CHUNK_MS, latest), most * CHUNK_SHARE);
    if (units > 0) isExact = false;
    return units;
  };

  const aheadBuckets: Ahead["buckets"] = new Map();
  const buckets: [string, number, number, number, number][] = [];
  for (const [slot, { fullAt, burst, perMinute }] of account.buckets) {
    // In time: a bucket that refills as fast as it is used stands still in tokens, and moves with the clock all the same.
    const units = chunk(slot, burst);
    const ahead = units === 0 ? 0 : Math.min(CHUNK_MS + refillMs(units, perMinute), refillMs(burst * CHUNK_SHARE, perMinute));
    const storedFullAt = fullAt + ahead;
    // What is written off in advance may be held in advance: until the debt is down to a burst.
    const heldUntil = Math.max(lastHeld(account, slot), ahead > 0 ? storedFullAt - refillMs(burst, perMinute) : 0);
    aheadBuckets.set(slot, { fullAt: storedFullAt, burst, perMinute });
    if (storedFullAt > now) buckets.push([slot, storedFullAt, burst, perMinute, heldUntil > now ? heldUntil : 0]);
  }

  const aheadWindows: Ahead["windows"] = new Map();
  const windows: StoredAccount["windows"][number][] = [];
  for (const [slot, window] of account.windows) {
    const isOver = windowEmptyAt(window, now) <= now;
    const extra = isOver ? 0 : Math.floor(chunk(slot, window.calls));
    const cells = window.cells.map((cell): [number, number, number] => [cell.first, cell.last, cell.count]);
    const newest = cells.at(-1);
    if (newest && extra > 0) {
      newest[1] = Math.max(newest[1], now + CHUNK_MS);
      newest[2] += extra;
    }
    aheadWindows.set(slot, { period: window.period, taken: window.taken + extra, until: newest?.[1] ?? 0 });
    if (isOver) continue;
    windows.push([slot, window.calls, window.per, window.period, newest ? 0 : window.count + extra, cells]);
  }

  const repeats: number[][] = [];
  for (const [fingerprint, { windowMs, times }] of account.repeats) {
    const recent = times.filter((time) => time + windowMs > now);
    if (recent.length > 0) repeats.push([fingerprint, windowMs, ...recent]);
  }
  const trail = account.trail.map(({ fingerprint, time, windowMs }) => [fingerprint, time, windowMs] as const);
  const credits = storeCredits(account.credits, now);
  return {
    row: {
      v: 1,
      seenAt: account.seenAt,
      buckets,
      windows,
      repeats,
      ...(trail.length > 0 ? { trail } : {}),
      ...(credits ? { credits } : {}),
    },
    ahead: { seenAt: account.seenAt, isExact, creditsVersion: account.credits.version, buckets: aheadBuckets, windows: aheadWindows },
  };
}

/** Fills a new account from the row. */
export function restore(account: Account, row: StoredAccount): void {
  account.seenAt = row.seenAt;
  for (const [slot, fullAt, burst, perMinute, heldUntil] of row.buckets) account.buckets.set(slot, { fullAt, burst, perMinute, heldUntil });
  for (const [slot, calls, per, period, count, cells] of row.windows) {
    account.windows.set(slot, {
      calls,
      per,
      period,
      count,
      cells: cells.map(([first, last, cellCount]) => ({ first, last, count: cellCount })),
      taken: 0,
    });
  }
  for (const [fingerprint, windowMs, ...times] of row.repeats) account.repeats.set(fingerprint!, { windowMs: windowMs!, times });
  for (const [fingerprint, time, windowMs] of row.trail ?? []) account.trail.push({ fingerprint, time, windowMs });
  if (row.credits) restoreCredits(account.credits, row.credits);
}

/** When nothing in the account matters any more: every bucket full, every window of any kind over. */
export function forgettableAt(account: Account, now: number): number {
  let at = 0;
  for (const bucket of account.buckets.values()) at = Math.max(at, bucket.fullAt);
  for (const window of account.windows.values()) at = Math.max(at, windowEmptyAt(window, now));
  for (const { windowMs, times } of account.repeats.values()) {
    for (const time of times) at = Math.max(at, time + windowMs);
  }
  for (const { time, windowMs } of account.trail) at = Math.max(at, time + windowMs);
  return Math.max(at, creditsForgettableAt(account.credits));
}
