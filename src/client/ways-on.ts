/**
 * The ways on after a refusal. Each says whether it is open and how long it would take; the quickest is tried first, and
 * the next one when it fails. A way that pays would be one more in the list.
 */

import type { Outgoing } from "./outgoing.ts";
import type { Progress } from "./progress.ts";
import type { Refusal } from "./refusal.ts";

/** A call that was refused, and what there is to get it on. */
export interface Refused {
  readonly call: Outgoing;
  readonly refusal: Refusal;
  /** When the refusal was read, in epoch milliseconds. */
  readonly refusedAt: number;
  /** How long the call may still wait, in all. */
  readonly maxWaitMs: number;
  /** Ends every way at once. */
  readonly signal: AbortSignal | undefined;
  readonly tell: (progress: Progress) => void;
}

export interface WayOn {
  /** @returns null when the refusal says nothing of this way */
  consider(refused: Refused): Considered | null;
  take(refused: Refused): Promise<Taken>;
}

export type Considered =
  | { readonly isOpen: true; readonly expectedMs: number }
  /** A clause that completes a sentence, such as "waiting takes too long". */
  | { readonly isOpen: false; readonly why: string };

export type Taken =
  | {
      readonly ok: true;
      /** How long the call was made to wait for the gate's limits; work is not waiting. */
      readonly waitedMs: number;
      /** To be sent with the call. */
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly ok: false; readonly why: string };

/** Goes the quickest way that is open; when none is, or all fail, says why in clauses. */
export async function takeWayOn(ways: readonly WayOn[], refused: Refused): Promise<Taken> {
  const open: { readonly way: WayOn; readonly expectedMs: number }[] = [];
  const reasons: string[] = [];
  for (const way of ways) {
    const considered = way.consider(refused);
    if (considered?.isOpen) open.push({ way, expectedMs: considered.expectedMs });
    else if (considered) reasons.push(considered.why);
  }
  for (const { way } of open.toSorted((a, b) => a.expectedMs - b.expectedMs)) {
    // A way before may have taken its time.
    if (way.consider(refused)?.isOpen !== true) continue;
    const taken = await way.take(refused);
    if (taken.ok) return taken;
    reasons.push(taken.why);
    refused.signal?.throwIfAborted();
  }
  return { ok: false, why: reasons.join(", and ") };
}
