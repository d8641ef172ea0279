/** A refusal, before it is put on the wire: everything that is said of a POST that may not pass now. */

import type { Challenge } from "../challenges/challenge.ts";
import type { AnyLimit, LoopKind } from "../limits/limit.ts";
import type { Lane } from "../mcp/lanes.ts";
import type { MeteredLimit } from "./ratelimit-fields.ts";

export type RefusalCause = "rate" | "quota" | "repeat" | "concurrency" | "origin" | "capacity";

/** The rule of the loop breaker that refuses. */
export interface Loop {
  readonly kind: LoopKind;
  readonly calls: number;
  readonly windowMs: number;
}

/** For the cause `origin`: how the origin's own limit stands in the way. */
export interface OriginLimit {
  /** It said so itself, its known quota is used up, or the rest of it is for the other consumers. */
  readonly why: "closed" | "quota" | "share";
  /** What the origin answered to this very call, for the reader; absent when it was not asked. */
  readonly answer?: { readonly status: number; readonly body: string };
}

export interface Refusal {
  readonly cause: RefusalCause;
  /** The lane as which the POST is refused: the handshake is told 503, never 429. */
  readonly lane: Lane;
  readonly plan: string;
  /** The limits that refuse. */
  readonly violated: readonly AnyLimit[];
  readonly retryAfterMs: number;
  /** The same as a time, in epoch milliseconds. */
  readonly passesAt: number;
  /** True where the time cannot be known. */
  readonly isEstimated: boolean;
  readonly loop?: Loop;
  readonly origin?: OriginLimit;
  /** Ways on: signed instances of what the caller's plan offers. */
  readonly challenges?: readonly Challenge[];
  /** The plan sells, and nothing can be paid at the moment. */
  readonly isPaymentAway?: boolean;
  /** What the POST costs, when that is not one for each call. */
  readonly cost?: number;
  /** What remains of each limit that was asked about; empty when the object was not asked. */
  readonly meters: readonly MeteredLimit[];
  readonly requestId: string;
}

/** 429 when waiting is the only way on, 402 when there are offers; 503 for the handshake, and when the gate itself cannot decide. */
export function statusOf(refusal: Refusal): 402 | 429 | 503 {
  if (refusal.challenges && refusal.challenges.length > 0) return 402;
  return refusal.cause === "capacity" || refusal.lane === "handshake" ? 503 : 429;
}

/** Whose limit it was. */
export function limiterOf(refusal: Refusal): "edge" | "origin" {
  return refusal.cause === "origin" ? "origin" : "edge";
}
