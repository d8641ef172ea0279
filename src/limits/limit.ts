/**
 * What a plan comes to in numbers, once everything that can change it (the policy file, an override in KV, the
 * policy's own function of the key's metadata) has been applied. The consumer's object sees nothing else of a plan.
 */

/** `observe` counts and reports what it would have refused, and refuses nothing. */
export type Mode = "enforce" | "observe";

interface NamedLimit {
  /** Where the object keeps the state. Never the plan's name, so that a change of plan finds what was spent. */
  readonly slot: string;
  /** What the caller reads in `RateLimit` and in refusals. */
  readonly name: string;
  readonly mode: Mode;
  /** In words, what the limit is about when it is not all of a consumer's calls: `tool "search"`. */
  readonly scope?: string;
}

/** A token bucket: `burst` calls at once, refilled at `perMinute`. */
export interface RateLimit extends NamedLimit {
  readonly kind: "rate";
  readonly burst: number;
  readonly perMinute: number;
}

/** A true count: never more than `calls` in a period. */
export interface QuotaLimit extends NamedLimit {
  readonly kind: "quota";
  readonly calls: number;
  /** A calendar period in UTC, or the length in milliseconds of a window that slides. */
  readonly per: "day" | "month" | number;
}

/** Limits that count calls as they leave. */
export type Limit = RateLimit | QuotaLimit;

/** How many calls may be on their way at once: `calls` is their number. Kept apart from the others (slots.ts). */
export interface ConcurrencyLimit extends NamedLimit {
  readonly kind: "concurrency";
  readonly calls: number;
}

/** Everything that can refuse a call by a number, as a caller is told of it. */
export type AnyLimit = Limit | ConcurrencyLimit;

/** The ways of circling that the loop breaker knows. */
export const LOOP_KINDS = ["identical", "same-tool", "in-a-row", "taking-turns"] as const;
export type LoopKind = (typeof LOOP_KINDS)[number];

/** What the loop breaker looks for in one call. */
export interface Watch {
  readonly kind: LoopKind;
  /** Never 0. See mcp/fingerprint.ts; for `same-tool` it is of the method and the name alone. */
  readonly fingerprint: number;
  /** How many such calls may pass within `windowMs`. */
  readonly calls: number;
  readonly windowMs: number;
  readonly mode: Mode;
}

/** What one call asks of the limits. */
export interface Charge {
  /** Bit i is set when the call falls under `limits[i]`, and costs it `cost`. */
  readonly limits: number;
  readonly cost: number;
  /** Limits that count calls and not what they cost: those of one tool. */
  readonly countedBy: number;
  readonly watches: readonly Watch[];
}

/** What a charge takes of the limit with this bit. */
export function costFor({ limits, cost, countedBy }: Charge, bit: number): number {
  if (limits & bit) return cost;
  return countedBy & bit ? 1 : 0;
}

/** How a POST may be paid for when its limits are empty. */
export interface Payment {
  /** The limits that a credit stands in for, as bits: the plan's rate, and its quotas where the policy says so. */
  readonly payable: number;
  /** 32 bits that tell the POST from others (passage/offer.ts): a fresh credit is kept for the one that earned it. */
  readonly tag: number;
  /** Another account has paid already: what is payable is not asked at all. */
  readonly isPrepaid: boolean;
  /** Names this question: what it spends can be given back by it when the answer is lost. */
  readonly attempt: number;
  /** The credit of this account whose proof came with the call; empty for none. */
  readonly shown: string;
}

export const UNPAYABLE: Payment = { payable: 0, tag: 0, isPrepaid: false, attempt: 0, shown: "" };

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
      /** What limits in `observe` mode would have refused: bits as in `Charge.limits`, and loop bits. */
      readonly observed: number;
      /** Units of credit that it was paid with; 0 when the plan itself let it through. */
      readonly paidUnits: number;
    }
  | {
      readonly kind: "refuse";
      readonly cause: Cause;
      /** All limits that refuse, as bits; loop bits alone when the cause is `repeat`. */
      readonly violated: number;
      /** When the same POST would pass without being held, all limits and the loop breaker together. */
      readonly retryAfterMs: number;
      /** The same as a time, by the object's clock: what is told of a long wait. */
      readonly passesAt: number;
      readonly meters: readonly Meter[];
      readonly observed: number;
      /** Whether a credit would have let it through. */
      readonly isPayable: boolean;
      /** Whether one more may be earned. */
      readonly mayEarn: boolean;
      /** What the difficulty of a challenge depends on: solves so far, and for how long the latest still make it harder. */
      readonly solves: number;
      readonly easeMs: number;
      /** Whether there are credits, though not for this call now: another call may pass. */
      readonly hasCredit: boolean;
    }
  /** The POST asks for more than a limit can ever give at once: waiting will not help. */
  | { readonly kind: "impossible"; readonly violated: number };

/** The most limits that one POST can fall under: bits of a number, with some kept for the kinds of loops. */
export const MAX_LIMITS = 24;

/** The bit of a kind of loop beside those of the limits. */
export function loopBit(kind: LoopKind): number {
  return 1 << (MAX_LIMITS + LOOP_KINDS.indexOf(kind));
}

/** The kinds of loops whose bits are set. */
export function loopsIn(mask: number): LoopKind[] {
  return LOOP_KINDS.filter((kind) => mask & loopBit(kind));
}
