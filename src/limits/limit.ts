/**
 * What a plan comes to in numbers, once everything that can change it (the policy file, an override in KV, the
 * policy's own function of the key's metadata) has been applied. The consumer's object sees nothing else of a plan.
 */

/** `observe` counts and reports what it would have refused, and refuses nothing. */
export type Mode = "enforce" | "observe";

/** A token bucket: `burst` calls at once, refilled at `perMinute`. */
export interface RateLimit {
  readonly kind: "rate";
  /** Where the object keeps the state. Never the plan's name, so that a change of plan finds what was spent. */
  readonly slot: string;
  /** What the caller reads in `RateLimit` and in refusals. */
  readonly name: string;
  readonly burst: number;
  readonly perMinute: number;
  readonly mode: Mode;
}

/** A true count: never more than `calls` in a period. */
export interface QuotaLimit {
  readonly kind: "quota";
  readonly slot: string;
  readonly name: string;
  readonly calls: number;
  /** A calendar period in UTC, or the length in milliseconds of a window that slides. */
  readonly per: "day" | "month" | number;
  readonly mode: Mode;
}

export type Limit = RateLimit | QuotaLimit;

/** What one call asks of the limits. */
export interface Charge {
  /** Bit i is set when the call falls under `limits[i]`. */
  readonly limits: number;
  readonly cost: number;
  /** See mcp/fingerprint.ts; 0 for a call that no repeat window watches. */
  readonly fingerprint: number;
  /** How many identical calls may pass within `repeatWindowMs`. */
  readonly repeatsAllowed: number;
  readonly repeatWindowMs: number;
  readonly repeatMode: Mode;
}

/** What remains of a limit: the two numbers of a `RateLimit` field. */
export interface Meter {
  /** Whole units left now. */
  readonly remaining: number;
  /** Milliseconds until there is more; 0 when there is nothing to wait for. */
  readonly resetMs: number;
}

export type Cause = "rate" | "quota" | "repeat";

export type Verdict =
  | {
      readonly kind: "admit";
      /** How long the gate holds the call before it forwards it. 0 for most. */
      readonly waitMs: number;
      /** Names this admission in a later refund. */
      readonly ticket: number;
      /** One for each limit asked about, in the order of the limits. */
      readonly meters: readonly Meter[];
      /** What limits in `observe` mode would have refused: bits as in `Charge.limits`, and `REPEAT_BIT`. */
      readonly observed: number;
    }
  | {
      readonly kind: "refuse";
      readonly cause: Cause;
      /** All limits that refuse, as bits. 0 when the cause is `repeat`. */
      readonly violated: number;
      /** When the same POST would pass without being held, all limits and the repeat window together. */
      readonly retryAfterMs: number;
      /** The same as a time, by the object's clock: what is told of a long wait. */
      readonly passesAt: number;
      readonly meters: readonly Meter[];
      readonly observed: number;
    }
  /** The POST asks for more than a limit can ever give at once: waiting will not help. */
  | { readonly kind: "impossible"; readonly violated: number };

/** The most limits that one consumer can have: bits of a number, with one kept for the repeat window. */
export const MAX_LIMITS = 24;
export const REPEAT_BIT = 1 << MAX_LIMITS;
