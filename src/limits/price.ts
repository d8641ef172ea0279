/** From what a POST is to what it asks of the limits: one charge for each of its requests. */

import { type Lane, laneOf, strictestLane } from "../mcp/lanes.ts";
import type { Message } from "../mcp/message.ts";
import { type Charge, MAX_LIMITS } from "./limit.ts";
import { costOfCall, findNamed, type NamedTerms } from "./named.ts";
import { limitSet, type LimitSet, type Terms } from "./terms.ts";
import { type WatchRules, watchesFor } from "./watches.ts";

export interface Price {
  /** The lane as which the whole POST waits and is refused. */
  readonly lane: Lane;
  /** Empty when nothing in the POST is counted by the consumer's object. */
  readonly charges: readonly Charge[];
  /** What the bits of the charges stand for. Null for a batch of so many names that their limits do not fit together. */
  readonly set: LimitSet | null;
  /** The lane of each message, in the order of the POST. */
  readonly lanes: readonly Lane[];
  /** Calls for which the policy's own function gave no cost: they cost 1. */
  readonly uncosted: readonly Message[];
}

const NONE: readonly never[] = [];

/** Requests in the work and handshake lanes; the rest is bounded elsewhere. Does no hashing: see `watchCharges`. */
export function price(messages: readonly Message[], terms: Terms): Price {
  const lanes = messages.map(laneOf);
  const lane = strictestLane(lanes);
  if (terms.named && lane === "work") return priceByName(messages, lanes, terms, findNamed.bind(null, terms.named));
  const charges: Charge[] = [];
  for (const lane of lanes) {
    if (lane === "work") charges.push(chargeOf(terms.workMask, 1, 0));
    else if (lane === "handshake") charges.push(chargeOf(terms.handshakeMask, 1, 0));
  }
  return { lane, charges, set: terms, lanes, uncosted: NONE };
}

function priceByName(
  messages: readonly Message[],
  lanes: readonly Lane[],
  terms: Terms,
  find: (message: Message) => NamedTerms | undefined,
): Price {
  const uncosted: Message[] = [];
  const names = messages.map((message, i) => (lanes[i] === "work" ? find(message) : undefined));
  const set = setOf(names, terms);
  const charges: Charge[] = [];
  for (const [i, lane] of lanes.entries()) {
    if (lane === "handshake") charges.push(chargeOf(terms.handshakeMask, 1, 0));
    if (lane !== "work") continue;
    const named = names[i];
    const cost = named ? costOfCall(named.cost, messages[i]!) : 1;
    if (cost === null) uncosted.push(messages[i]!);
    charges.push(chargeOf(terms.workMask, cost ?? 1, named && set ? maskIn(set, named) : 0));
  }
  return { lane: strictestLane(lanes), charges, set, lanes, uncosted };
}

/** The plan's limits with those of every name in the POST behind them: nearly always one name, whose set is ready. */
function setOf(names: readonly (NamedTerms | undefined)[], terms: Terms): LimitSet | null {
  const distinct = new Set(names.filter((named): named is NamedTerms => (named?.ownLimits.length ?? 0) > 0));
  if (distinct.size === 0) return terms;
  if (distinct.size === 1) return terms.setFor([...distinct][0]!);
  const limits = [...terms.limits, ...[...distinct].flatMap((named) => named.ownLimits)];
  return limits.length > MAX_LIMITS ? null : limitSet(limits);
}

function maskIn({ limits }: LimitSet, { ownLimits }: NamedTerms): number {
  if (ownLimits.length === 0) return 0;
  const first = limits.indexOf(ownLimits[0]!);
  return ((1 << ownLimits.length) - 1) << first;
}

function chargeOf(limits: number, cost: number, countedBy: number): Charge {
  return { limits, cost, countedBy, watches: NONE };
}

/** The same charges with what the loop breaker looks for in each of them. */
export function watchCharges(price: Price, messages: readonly Message[], rules: WatchRules): readonly Charge[] {
  let next = 0;
  const charges: Charge[] = [];
  for (const [i, lane] of price.lanes.entries()) {
    if (lane !== "work" && lane !== "handshake") continue;
    const charge = price.charges[next++]!;
    charges.push(lane === "work" ? { ...charge, watches: watchesFor(messages[i]!, rules) } : charge);
  }
  return charges;
}

/** All limits that a POST falls under, as bits. */
export function maskOf({ charges }: Price): number {
  let mask = 0;
  for (const charge of charges) mask |= charge.limits | charge.countedBy;
  return mask;
}

export function costOf({ charges }: Price): number {
  let cost = 0;
  for (const charge of charges) cost += charge.cost;
  return cost;
}

/** What of it a credit can pay for: handshakes in a batch are not bought. */
export function payableCost({ charges }: Price, { payableMask }: Terms): number {
  let cost = 0;
  for (const charge of charges) if (charge.limits & payableMask) cost += charge.cost;
  return cost;
}

/** Calls in the work lane. */
export function callsIn({ lanes }: Price): number {
  let calls = 0;
  for (const lane of lanes) if (lane === "work") calls++;
  return calls;
}
