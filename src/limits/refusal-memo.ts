/**
 * What the isolate remembers of refusals, so that a flood does not reach the consumer's object: a POST that asks for as
 * much as one that was just refused is refused with the same true time. For a quarter of a second at the most, never past
 * the moment at which the call could be held instead, and within a bound. Loops are not remembered here: to know
 * one, the arguments would have to be hashed.
 */

import { BoundedCache } from "../bounded-cache.ts";
import type { Meter } from "./limit.ts";
import type { LimitSet } from "./terms.ts";

export const MEMO_MS = 250;
const MAX_ENTRIES = 10_000;

export interface RememberedRefusal {
  readonly cause: "rate" | "quota";
  readonly violated: number;
  /** When it was refused, and for how long, by the gate's clock; until when, by the object's. */
  readonly refusedAt: number;
  readonly retryAfterMs: number;
  readonly passesAt: number;
  readonly meters: readonly Meter[];
  /** As in the verdict: what a challenge is made of. */
  readonly isPayable: boolean;
  readonly mayEarn: boolean;
  readonly solves: number;
  readonly easeMs: number;
  /** What the POST would have cost, and how many calls it had. */
  readonly cost: number;
  readonly calls: number;
  /** Other terms, or another tool's own limits, make another refusal. */
  readonly set: LimitSet;
}

export type RefusalMemo = BoundedCache<RememberedRefusal>;

export function createRefusalMemo(): RefusalMemo {
  return new BoundedCache(MAX_ENTRIES);
}

/** @param mask the limits that the POST falls under, as bits */
export function rememberRefusal(memo: RefusalMemo, consumer: string, mask: number, refusal: RememberedRefusal): void {
  memo.set(keyOf(consumer, mask), refusal, refusal.refusedAt + MEMO_MS);
}

/** The refusal that still holds for a POST that asks for as much and could be held for `maxWaitMs`, or undefined. */
export function recallRefusal(
  memo: RefusalMemo,
  consumer: string,
  mask: number,
  ask: { readonly cost: number; readonly calls: number; readonly set: LimitSet; readonly maxWaitMs: number },
  now: number,
): RememberedRefusal | undefined {
  const refusal = memo.get(keyOf(consumer, mask), now);
  if (!refusal || refusal.set !== ask.set || now < refusal.refusedAt) return undefined;
  const asksForAsMuch = ask.cost >= refusal.cost && ask.calls >= refusal.calls;
  return asksForAsMuch && now < refusal.refusedAt + refusal.retryAfterMs - ask.maxWaitMs ? refusal : undefined;
}

/** A credit is there that the refusal did not know of. */
export function forgetRefusal(memo: RefusalMemo, consumer: string, mask: number): void {
  memo.delete(keyOf(consumer, mask));
}

function keyOf(consumer: string, mask: number): string {
  return `${mask} ${consumer}`;
}
