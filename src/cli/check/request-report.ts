/**
 * What a request would be charged, as `turnpike check --request --json` prints it: priced, watched and decided by the gate's
 * own functions, against plans of which nothing has been used. docs/policy.md describes the shape; members may be added to it.
 */

import type { Policy } from "../../define-policy.ts";
import { createAccount } from "../../limits/account.ts";
import { ask } from "../../limits/ask.ts";
import { type ConcurrencyLimit, costFor, loopsIn } from "../../limits/limit.ts";
import { findNamed, NAMED_KINDS, type NamedBook, type NamedTerms, namesIn } from "../../limits/named.ts";
import { callsIn, costOf, maskOf, type Price, price, watchCharges } from "../../limits/price.ts";
import { limitsIn, type Terms } from "../../limits/terms.ts";
import { watchingFor } from "../../limits/watches.ts";
import { type Lane, laneOf, strictestLane } from "../../mcp/lanes.ts";
import type { Envelope, Message } from "../../mcp/message.ts";
import { subjectOf } from "../../mcp/subject.ts";
import { askOrigin, createOriginAccount } from "../../origin/quota-account.ts";
import { NOBODY } from "../../refusals/answer.ts";
import { impossibleAnswer, whyImpossible } from "../../refusals/gate-errors.ts";
import { rateLimitFields } from "../../refusals/ratelimit-fields.ts";
import { type ResolvedPolicy, resolvePolicy } from "../../resolve-policy.ts";
import { type LimitReport, type LoopReport, reportLimit, reportLoops } from "./limit-report.ts";
import { entryWords, termsFor } from "./plan-report.ts";
import { namesWatched } from "./policy-report.ts";

export interface MessageReport {
  readonly kind: Message["kind"];
  /** Null for an answer. */
  readonly method: string | null;
  /** A tool's or prompt's name, or a resource's URI; empty for others. */
  readonly subject: string;
  readonly lane: Lane;
  /** What the loop breaker looks for, and the entry of `repeats.tools` that says so; null for the general rules. */
  readonly loops: readonly LoopReport[];
  readonly loopsOf: string | null;
}

export interface ChargeReport {
  readonly cost: number;
  /** The limits it falls under, as in `RateLimit`. */
  readonly limits: readonly string[];
  /** The entry that names its cost or limits, such as `tools "search"`; null when there is none. */
  readonly entry: string | null;
  /** True when the policy's function gave no cost, so that it costs 1. */
  readonly isCostMissing: boolean;
}

export interface PricedLimit {
  readonly limit: LimitReport;
  readonly takes: number;
  /** What is left afterwards, of a limit of which nothing was used before. */
  readonly remaining: number;
}

export interface PricedPlan {
  readonly plan: string;
  /** Null when it passes; else how it is refused however long one waits. */
  readonly refused: { readonly status: 400 | 429; readonly why: string } | null;
  readonly cost: number;
  /** In the order of the messages; null for what the plan does not count. */
  readonly messages: readonly (ChargeReport | null)[];
  /** Empty when it is refused. */
  readonly limits: readonly PricedLimit[];
  /** The limits and loop rules in `observe` mode that it would break. */
  readonly observed: readonly string[];
  /** The two fields that the caller would read, when it is let through. */
  readonly rateLimitPolicy: string | null;
  readonly rateLimit: string | null;
}

export interface RequestReport {
  readonly ok: true;
  /** The lane as which it waits and is refused, whole. */
  readonly lane: Lane;
  readonly isBatch: boolean;
  readonly messages: readonly MessageReport[];
  readonly plans: readonly PricedPlan[];
}

/**
 * @param onlyPlan the one plan to price it against, or undefined for all
 * @param now epoch milliseconds
 */
export async function reportRequest(policy: Policy, envelope: Envelope, onlyPlan: string | undefined, now: number): Promise<RequestReport> {
  const resolved = resolvePolicy(policy);
  const { messages, isBatch } = envelope;
  const plans: PricedPlan[] = [];
  for (const name of resolved.plans.keys()) {
    if (onlyPlan === undefined || name === onlyPlan) plans.push(await pricePlan(policy, resolved, name, messages, now));
  }
  return {
    ok: true,
    lane: strictestLane(messages.map(laneOf)),
    isBatch,
    messages: messages.map((message) => reportMessage(policy, resolved, message)),
    plans,
  };
}

function reportMessage(policy: Policy, { watches }: ResolvedPolicy, message: Message): MessageReport {
  const lane = laneOf(message);
  const isWatched = lane === "work";
  const watching = watchingFor(message, watches);
  return {
    kind: message.kind,
    method: message.kind === "response" ? null : message.method,
    subject: subjectOf(message),
    lane,
    loops: isWatched ? reportLoops(watching) : [],
    loopsOf: isWatched ? (namesWatched(policy).find((name) => watches.named(name) === watching) ?? null) : null,
  };
}

async function pricePlan(
  policy: Policy,
  resolved: ResolvedPolicy,
  plan: string,
  messages: readonly Message[],
  now: number,
): Promise<PricedPlan> {
  const terms = termsFor(policy, resolved, plan);
  const priced = price(messages, terms);
  const shared = { plan, cost: costOf(priced), messages: reportCharges(resolved, plan, terms, priced, messages) };
  const refused = (status: 400 | 429, why: string): PricedPlan => ({
    ...shared,
    refused: { status, why },
    limits: [],
    observed: [],
    rateLimitPolicy: null,
    rateLimit: null,
  });
  const { set } = priced;
  if (!set) return refused(400, "Its names have more limits of their own than one request can fall under. Send it in parts.");

  const slots = takeSlots(terms, priced);
  const full = slots.find(({ limit, takes }) => limit.mode === "enforce" && takes > limit.calls);
  if (full)
    return refused(429, `It takes ${full.takes} slots at once, and there are never more than ${full.limit.calls}. Send it in parts.`);

  const charges = watchCharges(priced, messages, resolved.watches);
  const verdict = ask(createAccount(0), set.limits, charges, 0, now);
  if (verdict.kind === "impossible") {
    const answer = impossibleAnswer(plan, whyImpossible(set, verdict.violated), { ...NOBODY, isBatch: messages.length > 1 });
    return refused(400, ((await answer.json()) as { detail: string }).detail);
  }
  if (verdict.kind === "refuse") throw new Error("An account of which nothing was used refuses only what it can never give.");

  const ofOrigin = takeOfOrigin(resolved, terms, priced, now);
  if (!ofOrigin) return refused(429, "It costs more than the whole quota of the MCP server behind the gate.");

  const metered = [
    ...limitsIn(set, maskOf(priced)).map((limit, i) => ({
      limit,
      meter: verdict.meters[i]!,
      takes: charges.reduce((sum, charge) => sum + costFor(charge, 1 << set.limits.indexOf(limit)), 0),
    })),
    ...slots.map(({ limit, takes }) => ({ limit, meter: { remaining: Math.max(0, limit.calls - takes), resetMs: 0 }, takes })),
    ...ofOrigin,
  ];
  const fields = rateLimitFields(metered, now);
  return {
    ...shared,
    refused: null,
    limits: metered.map(({ limit, meter, takes }) => ({ limit: reportLimit(limit), takes, remaining: meter.remaining })),
    observed: [
      ...limitsIn(set, verdict.observed).map(({ name }) => name),
      ...loopsIn(verdict.observed),
      ...slots.filter(({ limit, takes }) => takes > limit.calls).map(({ limit }) => limit.name),
    ],
    rateLimitPolicy: fields?.policy ?? null,
    rateLimit: fields?.remaining ?? null,
  };
}

/** As the gate takes them: one for each call where calls at once are limited, one for each stream. */
function takeSlots(terms: Terms, priced: Price): { readonly limit: ConcurrencyLimit; readonly takes: number }[] {
  const streams = priced.lanes.filter((lane) => lane === "stream").length;
  const calls = callsIn(priced);
  return [
    ...(streams > 0 ? [{ limit: terms.streams, takes: streams }] : []),
    ...(terms.concurrency && calls > 0 ? [{ limit: terms.concurrency, takes: calls }] : []),
  ];
}

/** Of the origin's configured quota, if there is one: the call costs it what it costs the plan. Null when it can never give as much. */
function takeOfOrigin({ originQuota: { limit } }: ResolvedPolicy, { weight }: Terms, priced: Price, now: number) {
  const cost = costOf(priced);
  if (!limit || priced.lane !== "work" || cost === 0) return [];
  const verdict = askOrigin(createOriginAccount(), createAccount(0), limit, { consumer: "", weight, cost }, now, () => undefined);
  if (verdict.kind === "refuse") return null;
  return [{ limit, meter: { remaining: verdict.remaining, resetMs: verdict.resetMs }, takes: cost }];
}

function reportCharges(
  resolved: ResolvedPolicy,
  plan: string,
  terms: Terms,
  { lanes, charges, set, uncosted }: Price,
  messages: readonly Message[],
): (ChargeReport | null)[] {
  let next = 0;
  return messages.map((message, i): ChargeReport | null => {
    if (lanes[i] !== "work" && lanes[i] !== "handshake") return null;
    const { cost, limits, countedBy } = charges[next++]!;
    const named = terms.named && lanes[i] === "work" ? findNamed(terms.named, message) : undefined;
    return {
      cost,
      limits: limitsIn(set ?? terms, limits | countedBy).map(({ name }) => name),
      entry: terms.named && named ? entryOf(terms.named, named, resolved, plan) : null,
      isCostMissing: uncosted.includes(message),
    };
  });
}

/** Which entry of the policy has these settings: each entry has its own. */
function entryOf(book: NamedBook, named: NamedTerms, resolved: ResolvedPolicy, plan: string): string | null {
  for (const [kind] of NAMED_KINDS) {
    const name = namesIn(kind, resolved.named, resolved.plans.get(plan)!).find((name) => book[kind](name) === named);
    if (name !== undefined) return entryWords(kind, name);
  }
  return null;
}
