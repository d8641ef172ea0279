/** What may become of a request once everything has been asked, and the refusals that the gate itself makes up. */

import type { Caller } from "../consumers/caller.ts";
import { type AnyLimit, type Charge, loopsIn, type Meter } from "../limits/limit.ts";
import { costOf, type Price } from "../limits/price.ts";
import { limitsIn, type LimitSet, type Terms } from "../limits/terms.ts";
import type { Lane } from "../mcp/lanes.ts";
import { subjectOf } from "../mcp/subject.ts";
import type { Passage } from "./passage.ts";
import type { MeteredLimit } from "../refusals/ratelimit-fields.ts";
import type { Loop, OriginLimit, Refusal, RefusalCause } from "../refusals/refusal.ts";
import type { Payable } from "./offer.ts";
import type { Slot } from "./slot.ts";

export interface Pass {
  readonly kind: "pass";
  readonly caller: Caller;
  readonly terms: Terms;
  readonly lane: Lane;
  /** How long the call is held before it is forwarded. */
  readonly waitMs: number;
  /** What it costs the plan, and so the origin's quota; 0 when no calls are in it. */
  readonly cost: number;
  /** For a refund; null when no object was asked. */
  readonly ticket: number | null;
  /** Whose word from the origin the call goes by: see origin/quota-knowledge.ts. */
  readonly credential: string;
  /** For a refund to the origin's quota; null where there is none to share. */
  readonly originTicket: { readonly quota: string; readonly ticket: number } | null;
  /** Kept until the answer has ended. */
  readonly slots: readonly Slot[];
  readonly metered: readonly MeteredLimit[];
  /** What was charged to the address as well, for a bearer that the origin has not accepted yet. */
  readonly alongside?: Pass;
  /** The account whose credit has paid for it, and the ticket there: the caller's own ticket when it is its own. */
  readonly payer?: { readonly consumer: string; readonly ticket: number };
}

export interface Refused {
  readonly kind: "refuse";
  readonly caller: Caller;
  readonly terms: Terms;
  readonly refusal: Refusal;
  readonly isRemembered: boolean;
  readonly payable?: Payable;
}

export type Decision =
  | Pass
  | Refused
  /** Nothing to decide: the request cannot be priced. */
  | { readonly kind: "answer"; readonly response: Response };

/** What a refusal says beside what every refusal says. */
export interface Grounds {
  readonly cause: RefusalCause;
  readonly retryAfterMs: number;
  /** By default, the told time from now. */
  readonly passesAt?: number;
  readonly isEstimated?: boolean;
  readonly violated?: readonly AnyLimit[];
  readonly meters?: readonly MeteredLimit[];
  readonly loop?: Loop | undefined;
  readonly origin?: OriginLimit;
  readonly cost?: number | undefined;
}

export function refuse(passage: Passage, caller: Caller, terms: Terms, lane: Lane, grounds: Grounds, isRemembered = false): Refused {
  const retryAfterMs = Math.ceil(grounds.retryAfterMs);
  const { cause, passesAt = Date.now() + retryAfterMs, isEstimated = false, violated = [], meters = [], loop, origin, cost } = grounds;
  const refusal: Refusal = {
    cause,
    lane,
    plan: terms.plan,
    violated,
    retryAfterMs,
    passesAt,
    isEstimated,
    ...(loop ? { loop } : {}),
    ...(origin ? { origin } : {}),
    ...(cost === undefined ? {} : { cost }),
    meters,
    requestId: passage.requestId,
  };
  return { kind: "refuse", caller, terms, refusal, isRemembered };
}

/** The limits whose bits are set, each with its meter. */
export function meteredLimits(set: LimitSet, mask: number, meters: readonly Meter[]): MeteredLimit[] {
  return limitsIn(set, mask).map((limit, i) => ({ limit, meter: meters[i]! }));
}

/** What is said of the cost: nothing where every call counts as one. */
export function unusualCost(priced: Price): number | undefined {
  const cost = costOf(priced);
  return cost === priced.charges.length ? undefined : cost;
}

/** The rule of the loop breaker that a verdict's bits name, with the numbers of the first call that it watches. */
export function loopIn(violated: number, charges: readonly Charge[]): Loop | undefined {
  const [kind] = loopsIn(violated);
  for (const { watches } of charges) {
    const watch = watches.find((watch) => watch.kind === kind);
    if (watch) return { kind: watch.kind, calls: watch.calls, windowMs: watch.windowMs };
  }
  return undefined;
}

/** What a log line says a POST was about: the method and the tool, prompt or resource. */
export function describePassage({ messages, request }: Passage): string {
  const [first] = messages;
  if (!first) return request.method;
  const name = subjectOf(first).slice(0, MAX_LOGGED_CHARS);
  const method = first.kind === "response" ? "response" : first.method.slice(0, MAX_LOGGED_CHARS);
  const more = messages.length > 1 ? ` and ${messages.length - 1} more` : "";
  return (name ? `${method} ${name}` : method) + more;
}

/** Names come from callers; a log line is not theirs to fill. */
const MAX_LOGGED_CHARS = 200;
