/**
 * Windows count; a bucket lets up to twice its number through in its first period, a window never more than its
 * number. Calendar windows start anew at midnight UTC (of the first, for a month). A sliding window holds its
 * number in any interval of its length, kept in at most some 60 cells: a cell counts until its last
 * call has left the window, so the count is never too low, and exact for calls further apart than a cell is long.
 */

import type { QuotaLimit } from "./limit.ts";

/** Cells per window: the most by which a call may count too long is 1/60 of the window. */
const CELLS = 60;

export interface Cell {
  first: number;
  last: number;
  count: number;
}

export interface Window {
  /** The number and the period that the window was last asked about. */
  calls: number;
  per: "day" | "month" | number;
  /** Calendar: the start of the period that `count` is about. Sliding: unused. */
  period: number;
  count: number;
  /** Sliding: oldest first. Calendar: empty. */
  cells: Cell[];
  /** Everything ever counted by this instance: what tells how much of a stored row has been used. Never stored. */
  taken: number;
}

export function createWindow(limit: QuotaLimit): Window {
  return { calls: limit.calls, per: limit.per, period: 0, count: 0, cells: [], taken: 0 };
}

/** The calendar period around `now`: its start and its end, in epoch milliseconds. */
export function periodAt(per: "day" | "month", now: number): { start: number; end: number } {
  const date = new Date(now);
  const year = date.getUTCFullYear();
  const month = date.getUTCMonth();
  if (per === "month") return { start: Date.UTC(year, month), end: Date.UTC(year, month + 1) };
  const day = date.getUTCDate();
  return { start: Date.UTC(year, month, day), end: Date.UTC(year, month, day + 1) };
}

/** Forgets what has left the window. When the clock was set back over a boundary, the later period stays in force. */
function advance(window: Window, now: number): void {
  if (window.per === "day" || window.per === "month") {
    const { start } = periodAt(window.per, now);
    if (start > window.period) {
      window.period = start;
      window.count = 0;
    }
    return;
  }
  let gone = 0;
  while (gone < window.cells.length && window.cells[gone]!.last + window.per <= now) gone++;
  if (gone > 0) window.cells.splice(0, gone);
}

/** What counts, as of the last time the window was looked at. */
function counted(window: Window): number {
  let sum = window.count;
  for (const cell of window.cells) sum += cell.count;
  return sum;
}

/** Milliseconds until `cost` more may be counted; 0 when they may be now. `cost` must not exceed the limit's number. */
export function waitForWindow(window: Window, cost: number, now: number): number {
  advance(window, now);
  let over = counted(window) + cost - window.calls;
  if (over <= 0) return 0;
  if (window.per === "day" || window.per === "month") return periodAt(window.per, Math.max(now, window.period)).end - now;
  for (const cell of window.cells) {
    over -= cell.count;
    if (over <= 0) return cell.last + window.per - now;
  }
  return window.per;
}

/** A call must not be counted in one period and leave in the next: this is the latest it may be due. */
export function latestDue(per: QuotaLimit["per"], now: number): number {
  return per === "day" || per === "month" ? periodAt(per, now).end - 1 : Infinity;
}

/** Counts `cost` for a call that leaves at `due`. */
export function count(window: Window, cost: number, now: number, due: number): void {
  advance(window, now);
  window.taken += cost;
  if (window.per === "day" || window.per === "month") {
    window.count += cost;
    return;
  }
  const newest = window.cells.at(-1);
  const last = Math.max(newest?.last ?? due, due);
  if (newest && now - newest.first < window.per / CELLS) {
    newest.count += cost;
    newest.last = last;
  } else {
    window.cells.push({ first: now, last, count: cost });
  }
}

/** Takes back what `count` did, if the window still knows of it. */
export function uncount(window: Window, cost: number, at: number): void {
  if (window.per === "day" || window.per === "month") {
    if (at >= window.period) window.count = Math.max(0, window.count - cost);
    return;
  }
  const cell = window.cells.findLast((candidate) => candidate.first <= at);
  if (cell && cell.count >= cost) cell.count -= cost;
}

/** Moves a sliding window back with a clock that was set back by `byMs`. Calendar periods stay where they are. */
export function shiftWindow(window: Window, byMs: number): void {
  for (const cell of window.cells) {
    cell.first -= byMs;
    cell.last -= byMs;
  }
}

export function readWindow(window: Window, now: number): { remaining: number; resetMs: number } {
  advance(window, now);
  const used = counted(window);
  const remaining = Math.max(0, window.calls - used);
  if (used === 0) return { remaining, resetMs: 0 };
  if (window.per === "day" || window.per === "month") {
    return { remaining, resetMs: periodAt(window.per, Math.max(now, window.period)).end - now };
  }
  const oldest = window.cells[0];
  return { remaining, resetMs: oldest ? Math.ceil(oldest.last + window.per - now) : window.per };
}

/**
 * When the window has nothing left to remember. A calendar period is remembered to its end, empty or not: a clock that goes
 * back over its beginning must not find the period before it new.
 */
export function windowEmptyAt(window: Window, now: number): number {
  if (window.per === "day" || window.per === "month") {
    return window.period === 0 ? 0 : periodAt(window.per, Math.max(now, window.period)).end;
  }
  const newest = window.cells.at(-1);
  return newest ? newest.last + window.per : 0;
}
