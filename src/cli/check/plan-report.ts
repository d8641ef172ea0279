/** What one plan of a policy comes to, as `turnpike check` reports it. Every number is the gate's own: resolved terms, asked as a call would ask. */

import { MAX_RAISE_BITS } from "../../challenges/difficulty.ts";
import type { Policy } from "../../define-policy.ts";
import { createAccount } from "../../limits/account.ts";
import { ask } from "../../limits/ask.ts";
import { refillMs } from "../../limits/bucket.ts";
import { findNamed, NAMED_KINDS, type NamedKind, namesIn } from "../../limits/named.ts";
import { price } from "../../limits/price.ts";
import { limitsIn, type Terms } from "../../limits/terms.ts";
import type { Message } from "../../mcp/message.ts";
import { wordLimit } from "../../refusals/wording.ts";
import { addressPlanOf, type ResolvedPolicy, termsOf } from "../../resolve-policy.ts";
import { type LimitReport, reportLimit } from "./limit-report.ts";

/** Who is on a plan. */
export type CallersReport =
  /** Keys whose record names the plan: they can be put on any. */
  | { readonly kind: "key" }
  /** Callers without a key or a token. */
  | { readonly kind: "address" }
  | { readonly kind: "range"; readonly range: string }
  /** Tokens of an issuer: whose claim names the plan, or, without `claim`, all whose claim names none. */
  | { readonly kind: "token"; readonly issuer: string; readonly claim?: string };

export const DEPENDS = "depends on the arguments";

/** What is said of one tool, prompt or resource, or of a pattern of them. */
export interface NamedReport {
  readonly kind: NamedKind;
  readonly name: string;
  readonly cost: number | typeof DEPENDS;
  /** Of its own, beside the plan's. */
  readonly limits: readonly LimitReport[];
  /** The pattern before it that matches all that it does, so that it never applies. */
  readonly shadowedBy: string | null;
  /** In words, the limits that can never give as much at once as a call costs: it is answered with 400. */
  readonly neverPasses: readonly string[];
}

export type OfferReport = PowReport | L402Report;

export interface PowReport {
  readonly type: "pow";
  /** Zero bits: after a pause, and however much is solved. */
  readonly difficulty: number;
  readonly maxDifficulty: number;
  readonly calls: number;
  readonly forSeconds: number;
  /** Whether what is bought also stands in for the plan's quotas. */
  readonly quotas: boolean;
}

export interface L402Report {
  readonly type: "l402";
  readonly priceSats: number;
  readonly calls: number;
  readonly forSeconds: number;
  readonly quotas: boolean;
  /** False where the policy names no Lightning node: nothing is offered then. */
  readonly isSold: boolean;
}

export interface PlanReport {
  readonly name: string;
  readonly callers: readonly CallersReport[];
  /** The rate, then the quotas. */
  readonly limits: readonly LimitReport[];
  /** Null where calls at once are not limited. */
  readonly concurrency: LimitReport | null;
  readonly streams: LimitReport;
  /** As the policy has it: how long a call waits at the most for tokens, or for its turn where calls at once are limited. */
  readonly maxWaitSeconds: number;
  /** How long it waits at the most for tokens of the plan's rate: never longer than a whole refill. */
  readonly heldSeconds: number;
  readonly refuse: "error" | "result";
  /** Ways on for a caller whose rate is empty. */
  readonly offers: readonly OfferReport[];
  readonly weight: number;
  readonly named: readonly NamedReport[];
}

/** @param now epoch milliseconds */
export function reportPlan(policy: Policy, resolved: ResolvedPolicy, name: string, now: number): PlanReport {
  const terms = termsFor(policy, resolved, name);
  return {
    name,
    callers: callersOn(policy, name),
    limits: limitsIn(terms, terms.workMask).map(reportLimit),
    concurrency: terms.concurrency && reportLimit(terms.concurrency),
    streams: reportLimit(terms.streams),
    maxWaitSeconds: terms.maxWaitMs / 1_000,
    heldSeconds: heldMs(terms) / 1_000,
    refuse: terms.refuse,
    offers: reportOffers(terms, resolved.lightning !== null),
    weight: terms.weight,
    named: reportNamed(resolved, name, terms, now),
  };
}

/** A plan's terms for those who are on it: the handshake of an address has other numbers than a key's. */
export function termsFor(policy: Policy, resolved: ResolvedPolicy, name: string): Terms {
  const isForAddresses = callersOn(policy, name).some(({ kind }) => kind === "address" || kind === "range");
  return termsOf(resolved, name, resolved.plans.get(name)!, isForAddresses ? "address" : "key");
}

/**
 * The pattern that decides in place of `name`, if any: a pattern that matches another one's text matches all that the other does.
 * @param names in the order in which patterns are tried
 * @param find the value that holds for a name: each entry has one of its own
 */
export function shadowOf(name: string, names: readonly string[], find: (name: string) => unknown): string | null {
  const decides = names.find((other) => find(other) === find(name));
  return decides === undefined || decides === name ? null : decides;
}

/** How a name is written under its setting, for a reader: `tools "search"`. */
export function entryWords(kind: NamedKind, name: string): string {
  return `${kind} ${JSON.stringify(name)}`;
}

/** A message that is about this name, and nothing else. */
export function messageAbout(kind: NamedKind, name: string): Message {
  const method = NAMED_KINDS.find(([known]) => known === kind)![2];
  return { kind: "request", id: 0, method, params: kind === "resources" ? { uri: name } : { name } };
}

function callersOn(policy: Policy, plan: string): CallersReport[] {
  const { jwt: issuers = [], addresses } = policy.identity ?? {};
  return [
    ...(addressPlanOf(policy) === plan ? [{ kind: "address" } as const] : []),
    ...(addresses?.shared ?? []).filter((shared) => shared.plan === plan).map(({ range }): CallersReport => ({ kind: "range", range })),
    ...issuers.filter((issuer) => issuer.plan === plan).map(({ issuer }): CallersReport => ({ kind: "token", issuer })),
    ...issuers.flatMap(({ issuer, planClaim }): CallersReport[] =>
      planClaim === undefined ? [] : [{ kind: "token", issuer, claim: planClaim }],
    ),
    { kind: "key" },
  ];
}

function reportOffers({ offers: { pow, l402 }, payableMask, workMask }: Terms, isSold: boolean): OfferReport[] {
  const quotas = payableMask === workMask && workMask > 1;
  const reports: OfferReport[] = [];
  if (l402) {
    const { satsPerCall, calls, lifeMs } = l402;
    reports.push({ type: "l402", priceSats: satsPerCall * calls, calls, forSeconds: lifeMs / 1_000, quotas, isSold });
  }
  if (pow) {
    const { base, calls, lifeMs } = pow;
    const maxDifficulty = Math.min(pow.max, base + MAX_RAISE_BITS);
    reports.push({ type: "pow", difficulty: base, maxDifficulty, calls, forSeconds: lifeMs / 1_000, quotas });
  }
  return reports;
}

function heldMs({ limits, maxWaitMs }: Terms): number {
  const [rate] = limits;
  return rate?.kind === "rate" && rate.mode === "enforce" ? Math.min(maxWaitMs, refillMs(rate.burst, rate.perMinute)) : maxWaitMs;
}

function reportNamed(resolved: ResolvedPolicy, plan: string, terms: Terms, now: number): NamedReport[] {
  const { named } = terms;
  if (!named) return [];
  return NAMED_KINDS.flatMap(([kind]) => {
    const names = namesIn(kind, resolved.named, resolved.plans.get(plan)!);
    return names.map((name): NamedReport => {
      const shadowedBy = shadowOf(name, names, named[kind]);
      const { cost, ownLimits } = findNamed(named, messageAbout(kind, name))!;
      return {
        kind,
        name,
        cost: typeof cost === "function" ? DEPENDS : cost,
        limits: ownLimits.map(reportLimit),
        shadowedBy,
        neverPasses: typeof cost === "function" || shadowedBy !== null ? [] : neverPasses(kind, name, terms, now),
      };
    });
  });
}

/** Asked of an account of which nothing has been used. */
function neverPasses(kind: NamedKind, name: string, terms: Terms, now: number): string[] {
  const { set, charges } = price([messageAbout(kind, name)], terms);
  if (!set) return [];
  const verdict = ask(createAccount(0), set.limits, charges, 0, now);
  return verdict.kind === "impossible" ? limitsIn(set, verdict.violated).map(wordLimit) : [];
}
