/** From what a POST is to what it asks of the limits: one charge for each of its requests. */

import { fingerprint } from "../mcp/fingerprint.ts";
import { type Lane, laneOf, strictestLane } from "../mcp/lanes.ts";
import type { Message } from "../mcp/message.ts";
import type { Charge, Mode } from "./limit.ts";
import { createMatcher, type Matcher } from "./patterns.ts";
import type { Terms } from "./terms.ts";

/** How many identical calls may be forwarded within a window. */
export interface RepeatRule {
  readonly identical: number;
  readonly windowMs: number;
  readonly mode: Mode;
}

export interface RepeatRules {
  readonly general: RepeatRule;
  /** By the name of a tool or prompt, or the URI of a resource; exempt where repeating is no loop, as in polling. */
  readonly named: Matcher<RepeatRule | { readonly exempt: true }>;
}

export function createRepeatRules(
  general: RepeatRule,
  named: Readonly<Record<string, RepeatRule | { readonly exempt: true }>>,
): RepeatRules {
  return { general, named: createMatcher(named) };
}

export interface Price {
  /** The lane as which the whole POST waits and is refused. */
  readonly lane: Lane;
  /** Empty when nothing in the POST is counted by the consumer's object. */
  readonly charges: readonly Charge[];
  /** The lane of each message, in the order of the POST. */
  readonly lanes: readonly Lane[];
}

/** Requests in the work and handshake lanes; the rest is bounded elsewhere. Does no hashing: see `fingerprintCharges`. */
export function price(messages: readonly Message[], terms: Terms): Price {
  const lanes = messages.map(laneOf);
  const charges: Charge[] = [];
  for (const lane of lanes) {
    if (lane === "work") charges.push(plainCharge(terms.workMask));
    else if (lane === "handshake") charges.push(plainCharge(terms.handshakeMask));
  }
  return { lane: strictestLane(lanes), charges, lanes };
}

function plainCharge(limits: number): Charge {
  return { limits, cost: 1, fingerprint: 0, repeatsAllowed: 0, repeatWindowMs: 0, repeatMode: "enforce" };
}

/** The same charges with the fingerprint of each call that a repeat window watches. */
export function fingerprintCharges(price: Price, messages: readonly Message[], rules: RepeatRules): readonly Charge[] {
  let next = 0;
  const charges: Charge[] = [];
  for (const [i, lane] of price.lanes.entries()) {
    if (lane !== "work" && lane !== "handshake") continue;
    const charge = price.charges[next++]!;
    const message = messages[i]!;
    const rule = lane === "work" && message.kind === "request" ? ruleFor(message, rules) : null;
    if (!rule || message.kind !== "request") {
      charges.push(charge);
      continue;
    }
    charges.push({
      ...charge,
      fingerprint: fingerprint(message.method, message.params),
      repeatsAllowed: rule.identical,
      repeatWindowMs: rule.windowMs,
      repeatMode: rule.mode,
    });
  }
  return charges;
}

/** All limits that a POST falls under, as bits. */
export function maskOf({ charges }: Price): number {
  let mask = 0;
  for (const charge of charges) mask |= charge.limits;
  return mask;
}

export function costOf({ charges }: Price): number {
  let cost = 0;
  for (const charge of charges) cost += charge.cost;
  return cost;
}

/** The rule that the first watched call of a POST falls under: what a refusal for repeating tells. */
export function repeatRuleOf(messages: readonly Message[], rules: RepeatRules): RepeatRule | null {
  for (const message of messages) {
    const rule = laneOf(message) === "work" ? ruleFor(message, rules) : null;
    if (rule) return rule;
  }
  return null;
}

/** What a request is about: a tool's or prompt's name, or a resource's URI. Empty for other methods. */
export function subjectOf(message: Message): string {
  if (message.kind !== "request") return "";
  const subject = message.method === "resources/read" ? message.params["uri"] : message.params["name"];
  return typeof subject === "string" ? subject : "";
}

function ruleFor(message: Message, rules: RepeatRules): RepeatRule | null {
  const rule = rules.named(subjectOf(message)) ?? rules.general;
  return "exempt" in rule ? null : rule;
}
