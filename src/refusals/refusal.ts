/** A refusal, before it is put on the wire: everything that is said of a POST that may not pass now. */

import type { Limit } from "../limits/limit.ts";
import type { Lane } from "../mcp/lanes.ts";
import type { MeteredLimit } from "./ratelimit-fields.ts";

export type RefusalCause = "rate" | "quota" | "repeat" | "capacity";

export interface Refusal {
  readonly cause: RefusalCause;
  /** The lane as which the POST is refused: the handshake is told 503, never 429. */
  readonly lane: Lane;
  readonly plan: string;
  /** The limits that refuse. */
  readonly violated: readonly Limit[];
  readonly retryAfterMs: number;
  /** The same as a time, in epoch milliseconds. */
  readonly passesAt: number;
  /** True where the time cannot be known. */
  readonly isEstimated: boolean;
  /** For a loop: how many identical calls were let through, and within what time. */
  readonly repeat?: { readonly identical: number; readonly windowMs: number };
  /** What remains of each limit that was asked about; empty when the object was not asked. */
  readonly meters: readonly MeteredLimit[];
  readonly requestId: string;
}

/** 429 when waiting is the only way on; 503 for the handshake, and when the gate itself cannot decide. */
export function statusOf(refusal: Refusal): 429 | 503 {
  return refusal.cause === "capacity" || refusal.lane !== "work" ? 503 : 429;
}
