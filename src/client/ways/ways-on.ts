/**
 * The ways on after a refusal. Each says whether it is open, how long it would take and what it would cost; the best is tried
 * first, and the next one when it fails.
 */

import type { Outgoing } from "../outgoing.ts";
import type { Progress } from "../progress.ts";
import type { Refusal } from "../refusal.ts";
import type { Obstacle } from "./obstacle.ts";
import { inOrder, type OpenWay, type Valuation } from "./preference.ts";

/** A call that was sent, and what came back. */
export interface Sent {
  readonly response: Response;
  readonly sentWith: Headers;
}

/** A call that was refused, and what there is to get it on. */
export interface Refused extends Sent {
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
  /** `credit`: what was earned already. */
  readonly kind: "credit" | "pow" | "l402" | "wait";
  /** @returns null when the refusal says nothing of this way */
  consider(refused: Refused): Considered | null;
  take(refused: Refused): Promise<Taken>;
}

export type Considered =
  /** For each of the calls that it would help on. */
  | { readonly isOpen: true; readonly expectedMs: number; readonly priceSats: number }
  | { readonly isOpen: false; readonly obstacle: Obstacle };

export type Taken =
  | {
      readonly ok: true;
      /** How long the call was made to wait for the gate's limits; work is not waiting. */
      readonly waitedMs: number;
      /** To be sent with the call, besides what was sent with it before. */
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly ok: false; readonly obstacle: Obstacle };

interface Survey {
  /** The best one first. */
  readonly open: readonly OpenWay[];
  readonly obstacles: readonly Obstacle[];
}

export function survey(ways: readonly WayOn[], refused: Refused, valuation: Valuation): Survey {
  const open: OpenWay[] = [];
  const obstacles: Obstacle[] = [];
  for (const way of ways) {
    const considered = way.consider(refused);
    if (considered?.isOpen) open.push({ way, expectedMs: considered.expectedMs, priceSats: considered.priceSats });
    else if (considered) obstacles.push(considered.obstacle);
  }
  return { open: inOrder(open, valuation), obstacles };
}

/** Goes the best way that is open, and the next when it fails; when none is left, says why. */
export async function takeWayOn(
  ways: readonly WayOn[],
  refused: Refused,
  valuation: Valuation,
): Promise<Extract<Taken, { ok: true }> | { readonly ok: false; readonly obstacles: readonly Obstacle[] }> {
  const failed: Obstacle[] = [];
  let left = ways;
  for (;;) {
    // Anew each time: a way before may have taken its time.
    const { open, obstacles } = survey(left, refused, valuation);
    const [best] = open;
    if (!best) return { ok: false, obstacles: [...obstacles, ...failed] };
    const taken = await best.way.take(refused);
    if (taken.ok) return taken;
    failed.push(taken.obstacle);
    refused.signal?.throwIfAborted();
    left = left.filter((way) => way !== best.way);
  }
}
