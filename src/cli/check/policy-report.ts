/**
 * A whole policy as `turnpike check --json` prints it: each plan, what holds on every plan, and what is allowed and yet is
 * hardly meant. docs/policy.md describes the shape; members may be added to it.
 */

import type { Policy } from "../../define-policy.ts";
import { HANDSHAKE_SLOT } from "../../limits/terms.ts";
import { addressPlanOf, type OriginTarget, type ResolvedPolicy, resolvePolicy, termsOf } from "../../resolve-policy.ts";
import { type LimitReport, type LoopReport, reportLimit, reportLoops } from "./limit-report.ts";
import { type PlanReport, reportPlan, shadowOf } from "./plan-report.ts";

export interface PolicyReport {
  readonly ok: true;
  /** The policy file. */
  readonly policy: string;
  /** The MCP server behind the gate, in words where it is no URL. */
  readonly origin: string;
  readonly plans: readonly PlanReport[];
  /** Null where a key is demanded. */
  readonly addressPlan: string | null;
  /** Whether the policy computes limits from metadata: a consumer's numbers may then be others than its plan's. */
  readonly hasLimitsFor: boolean;
  readonly handshake: { readonly key: LimitReport; readonly address: LimitReport };
  readonly loopBreaker: {
    readonly general: readonly LoopReport[];
    /** By name or pattern, in place of the general rules; no rules where repeating is no loop. */
    readonly named: readonly { readonly name: string; readonly rules: readonly LoopReport[]; readonly shadowedBy: string | null }[];
  };
  readonly originQuota: {
    /** Null when it is only learned. */
    readonly limit: LimitReport | null;
    readonly of: "shared" | "consumer";
    readonly learn: boolean;
    readonly readAnswers: boolean;
  };
  /** The node that makes invoices; null where nothing is sold. */
  readonly lightning: {
    readonly kind: "lnd" | "lnbits" | "phoenixd";
    readonly host: string;
    readonly network: string;
    readonly invoiceSeconds: number;
    readonly confirmsPayments: boolean;
  } | null;
  readonly whenUnavailable: ResolvedPolicy["whenUnavailable"];
  /** What is worth a look, each with its path. */
  readonly warnings: readonly string[];
}

/**
 * @param policy a good one: see `loadPolicy`
 * @param onlyPlan the one plan to report, or undefined for all
 * @param now epoch milliseconds
 */
export function reportPolicy(path: string, policy: Policy, onlyPlan: string | undefined, now: number): PolicyReport {
  const resolved = resolvePolicy(policy);
  const plans = [...resolved.plans.keys()]
    .filter((name) => onlyPlan === undefined || name === onlyPlan)
    .map((name) => reportPlan(policy, resolved, name, now));
  const { originQuota } = resolved;
  const report = {
    ok: true as const,
    policy: path,
    origin: describeOrigin(resolved.origin),
    plans,
    addressPlan: addressPlanOf(policy),
    hasLimitsFor: resolved.limitsFor !== undefined,
    handshake: { key: handshakeOf(resolved, "key"), address: handshakeOf(resolved, "address") },
    loopBreaker: reportLoopBreaker(policy, resolved),
    originQuota: {
      limit: originQuota.limit && reportLimit(originQuota.limit),
      of: originQuota.of,
      learn: originQuota.isLearned,
      readAnswers: originQuota.readsAnswers,
    },
    lightning: reportLightning(resolved),
    whenUnavailable: resolved.whenUnavailable,
  };
  return { ...report, warnings: warningsFor(policy, report) };
}

/** The names and patterns for which the loop breaker has rules of their own, in the order in which patterns are tried. */
export function namesWatched({ repeats }: Policy): string[] {
  return Object.keys(repeats?.tools ?? {});
}

function describeOrigin(origin: OriginTarget): string {
  switch (origin.kind) {
    case "url":
      return origin.origin + origin.path + origin.search;
    case "service":
      return `the Worker bound as ${origin.binding}`;
    case "same-host":
      return "the host of the gate's own route";
  }
}

function reportLightning({ lightning }: ResolvedPolicy): PolicyReport["lightning"] {
  if (!lightning) return null;
  const { node, invoiceSeconds, confirmsPayments } = lightning.terms;
  const { kind, url, network } = node;
  return { kind, host: new URL(url).host, network, invoiceSeconds, confirmsPayments };
}

/** The same on every plan. */
function handshakeOf(policy: ResolvedPolicy, kind: "key" | "address"): LimitReport {
  const [[name, plan]] = [...policy.plans] as [[string, Parameters<typeof termsOf>[2]]];
  return reportLimit(termsOf(policy, name, plan, kind).limits.find(({ slot }) => slot === HANDSHAKE_SLOT)!);
}

function reportLoopBreaker(policy: Policy, { watches }: ResolvedPolicy): PolicyReport["loopBreaker"] {
  const names = namesWatched(policy);
  return {
    general: reportLoops(watches.general),
    named: names.map((name) => {
      const shadowedBy = shadowOf(name, names, watches.named);
      return { name, rules: shadowedBy === null ? reportLoops(watches.named(name)!) : [], shadowedBy };
    }),
  };
}

function warningsFor(policy: Policy, { plans, loopBreaker }: Pick<PolicyReport, "plans" | "loopBreaker">): string[] {
  const warnings: string[] = [];
  for (const { name, shadowedBy } of loopBreaker.named) {
    if (shadowedBy !== null) warnings.push(shadowed(`repeats.tools.${name}`, shadowedBy));
  }
  for (const plan of plans) {
    const ofPlan = policy.plans[plan.name]!;
    for (const { kind, name, cost, shadowedBy, neverPasses } of plan.named) {
      const isOfPlan = ofPlan[kind]?.[name] !== undefined;
      const path = isOfPlan ? `plans.${plan.name}.${kind}.${name}` : `${kind}.${name}`;
      if (neverPasses.length > 0) {
        warnings.push(`${path}: costs ${cost} on plan "${plan.name}", which can never pass at once (${neverPasses.join("; ")})`);
      }
      // A plan's pattern in front of a general one is how a plan says something else.
      if (shadowedBy !== null && (isOfPlan || ofPlan[kind]?.[shadowedBy] === undefined)) warnings.push(shadowed(path, shadowedBy));
    }
  }
  // What is said for every plan is wrong on every plan.
  return [...new Set(warnings)];
}

function shadowed(path: string, by: string): string {
  return `${path}: never applies, for "${by}" stands before it and matches all that it does`;
}
