/**
 * Who has used how much of a quota that many share. While others are active, a consumer gets at most its part of the whole
 * (by the weight of its plan); alone, it may use everything. What it had alone counts when the others come.
 * In memory only: after a restart everybody starts from nothing used, and the quota itself still holds.
 */

import { count, createWindow, readWindow, shiftWindow, uncount, waitForWindow, type Window } from "./window.ts";

/** Who has asked within this time is active: long enough for a person to think between two prompts. */
const ACTIVE_MS = 300_000;
/** The least recent is forgotten, and starts from nothing used. */
const MAX_SHARERS = 2_000;

interface Sharer {
  weight: number;
  seenAt: number;
  readonly used: Window;
}

/** By consumer, the least recently seen first. */
export type Sharers = Map<string, Sharer>;

/** The whole: so many calls in a window of this kind. */
export interface Pool {
  readonly calls: number;
  readonly per: Window["per"];
}

export interface Share {
  /** What this consumer may still have of its part, and 0 or how long until `cost` more is within it. */
  readonly remaining: number;
  readonly waitMs: number;
}

/** Looks at a consumer's part, and notes that it is active. */
export function shareOf(sharers: Sharers, consumer: string, weight: number, pool: Pool, cost: number, now: number): Share {
  const sharer = touch(sharers, consumer, weight, pool, now);
  let weights = 0;
  let lastSeen = 0;
  for (const [id, other] of sharers) {
    if (other.seenAt + ACTIVE_MS <= now) continue;
    weights += other.weight;
    if (id !== consumer) lastSeen = Math.max(lastSeen, other.seenAt);
  }
  if (lastSeen === 0) return { remaining: Infinity, waitMs: 0 };
  const part = Math.max(1, Math.floor((pool.calls * weight) / weights));
  const { used } = sharer;
  used.calls = part;
  const { remaining } = readWindow(used, now);
  const untilAlone = lastSeen + ACTIVE_MS - now;
  const waitMs = cost > part ? untilAlone : Math.min(waitForWindow(used, cost, now), untilAlone);
  return { remaining, waitMs };
}

export function countShare(sharers: Sharers, consumer: string, cost: number, now: number): void {
  const sharer = sharers.get(consumer);
  if (sharer) count(sharer.used, cost, now, now);
}

/** Takes back what `countShare` did at `at`. */
export function uncountShare(sharers: Sharers, consumer: string, cost: number, at: number): void {
  const sharer = sharers.get(consumer);
  if (sharer) uncount(sharer.used, cost, at);
}

/** When a quota in windows of this kind has begun anew: nobody has used anything of it. */
export function forgetUse(sharers: Sharers, per: Pool["per"]): void {
  for (const { used } of sharers.values()) {
    if (used.per !== per) continue;
    used.count = 0;
    used.cells.length = 0;
  }
}

/** Moves every time back with a clock that was set back by `byMs`. */
export function shiftSharers(sharers: Sharers, byMs: number): void {
  for (const sharer of sharers.values()) {
    sharer.seenAt -= byMs;
    shiftWindow(sharer.used, byMs);
  }
}

function touch(sharers: Sharers, consumer: string, weight: number, { calls, per }: Pool, now: number): Sharer {
  let sharer = sharers.get(consumer);
  if (!sharer || sharer.used.per !== per) {
    sharer = { weight, seenAt: now, used: createWindow({ kind: "quota", slot: "", name: "", mode: "enforce", calls, per }) };
  }
  sharer.weight = weight;
  sharer.seenAt = now;
  // Last in the map: the first is then the one to forget.
  sharers.delete(consumer);
  sharers.set(consumer, sharer);
  if (sharers.size > MAX_SHARERS) {
    const [leastRecent] = sharers.keys();
    sharers.delete(leastRecent!);
  }
  return sharer;
}
