/**
 * What the isolate remembers of refusals, so that a flood does not reach the consumer's object: a POST that asks for as
 * much as one that was just refused is refused with the same true time. For a quarter of a second at the most, never past
 * the moment at which the call could be held instead, and within a bound. Loops are not remembered here: to know
 * one, the arguments would have to be hashed.
 */

import { BoundedCache } from "../bounded-cache.ts";
import type { Meter } from "./limit.ts";
import type { Terms } from "./terms.ts";

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
  readonly cost: number;
  /** Other terms make another refusal. */
  readonly terms: Terms;
}

export type RefusalMemo = BoundedCache<RememberedRefusal>;

export function createRefusalMemo(): RefusalMemo {
  return new BoundedCache(MAX_ENTRIES);
}

/** @param mask the limits that the POST falls under, as bits */
export function rememberRefusal(memo: RefusalMemo, consumer: string, mask: number, refusal: RememberedRefusal): void {
  memo.set(keyOf(consumer, mask), refusal, refusal.refusedAt + MEMO_MS);
}

/** The refusal that still holds for a POST of this cost that could be held for `maxWaitMs`, or undefined. */
export function recallRefusal(
  memo: RefusalMemo,
  consumer: string,
  mask: number,
  ask: { readonly cost: number; readonly terms: Terms; readonly maxWaitMs: number },
  now: number,
): RememberedRefusal | undefined {
  const refusal = memo.get(keyOf(consumer, mask), now);
  if (!refusal || refusal.terms !== ask.terms || now < refusal.refusedAt) return undefined;
  return ask.cost >= refusal.cost && now < refusal.refusedAt + refusal.retryAfterMs - ask.maxWaitMs ? refusal : undefined;
}

function keyOf(consumer: string, mask: number): string {
  return `${mask} ${consumer}`;
}
