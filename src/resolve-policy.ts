/** The policy with every default filled in and everything prepared, once, so that no call has to. */

import { findProblems } from "./check-policy.ts";
import { type AddressRange, parseRange } from "./consumers/addresses.ts";
import { DEFAULT_ADDRESS_PLAN, type JwtIssuer, type LoopPolicy, type Policy, PolicyError, type RepeatPolicy } from "./define-policy.ts";
import type { Lightning } from "./selling/lightning-policy.ts";
import type { Plan } from "./limits/plan.ts";
import type { NamedByKind } from "./limits/named.ts";
import { resolveTerms, type Terms } from "./limits/terms.ts";
import { createWatchRules, type Watching, type WatchRule, type WatchRules } from "./limits/watches.ts";
import { type OriginQuota, resolveOriginQuota } from "./origin/quota-policy.ts";

export type OriginTarget =
  /** The parts of the URL, taken apart once. */
  | { readonly kind: "url"; readonly origin: string; readonly path: string; readonly search: string }
  | { readonly kind: "service"; readonly binding: string }
  | { readonly kind: "same-host" };

/** The policy with every default filled in, as the gate uses it. */
export interface ResolvedPolicy {
  readonly origin: OriginTarget;
  readonly plans: ReadonlyMap<string, Plan>;
  readonly limitsFor: Policy["limitsFor"];
  readonly jwt: readonly JwtIssuer[];
  /** The plan of bearers that only the origin can check; null when these are known by their address alone. */
  readonly bearerPlan: string | null;
  /** For an address without a plan, while the origin has yet to accept a bearer from there. */
  readonly newBearerTerms: Terms;
  readonly addressPlan: string | null;
  readonly sharedRanges: readonly { readonly range: AddressRange; readonly plan: string }[];
  readonly watches: WatchRules;
  /** What is said of single tools, prompts and resources for every plan. */
  readonly named: NamedByKind;
  readonly originQuota: OriginQuota;
  /** Null where nothing is sold. */
  readonly lightning: Lightning | null;
  /** Null where the gate's tools stay at their own endpoint. */
  readonly ownTools: { readonly prefix: string } | null;
  readonly handshakePerMinute: { readonly key: number; readonly address: number };
  readonly whenUnavailable: { readonly keys: "open" | "closed"; readonly others: "open" | "closed" };
  readonly mcpPaths: readonly string[];
  readonly prefix: string;
  readonly allowedOrigins: ReadonlySet<string>;
  readonly allowedHosts: ReadonlySet<string> | null;
}

const DEFAULT_MCP_PATHS = ["/mcp", "/sse", "/message", "/messages"];
const DEFAULT_IDENTICAL = 10;
const DEFAULT_REPEAT_WINDOW_S = 60;
const DEFAULT_HANDSHAKE_KEY = 60;
/** mcp-remote alone sends 14 requests before its first list, and hosted clients share addresses. */
const DEFAULT_HANDSHAKE_ADDRESS = 300;
/** As the plan of strangers is: whose token the origin has not accepted yet is one. */
const NEW_BEARERS = { name: "new-tokens", plan: { rate: 10, maxWaitSeconds: 5 } } as const;

/** @throws PolicyError with everything that is wrong */
export function resolvePolicy(policy: Policy): ResolvedPolicy {
  const problems = findProblems(policy);
  if (problems.length > 0) throw new PolicyError(problems);
  const { identity, repeats } = policy;
  const { tools = {}, ...general } = repeats ?? {};
  return {
    origin: resolveOrigin(policy.origin),
    plans: new Map(Object.entries(policy.plans)),
    limitsFor: policy.limitsFor,
    jwt: identity?.jwt ?? [],
    bearerPlan: identity?.bearer?.plan ?? null,
    newBearerTerms: resolveTerms(NEW_BEARERS.name, NEW_BEARERS.plan, { perMinute: policy.handshake?.address ?? DEFAULT_HANDSHAKE_ADDRESS }),
    addressPlan: addressPlanOf(policy),
    sharedRanges: (identity?.addresses?.shared ?? []).map(({ range, plan }) => ({ range: parseRange(range)!, plan })),
    watches: createWatchRules(
      watching(general),
      Object.fromEntries(Object.entries(tools).map(([name, rule]) => [name, rule === false ? {} : watching({ ...general, ...rule })])),
    ),
    named: { tools: policy.tools, prompts: policy.prompts, resources: policy.resources },
    originQuota: resolveOriginQuota(policy.originQuota),
    lightning: policy.lightning ?? null,
    ownTools: policy.ownTools ?? null,
    handshakePerMinute: {
      key: policy.handshake?.key ?? DEFAULT_HANDSHAKE_KEY,
      address: policy.handshake?.address ?? DEFAULT_HANDSHAKE_ADDRESS,
    },
    whenUnavailable: {
      keys: policy.whenUnavailable?.keys ?? "open",
      others: policy.whenUnavailable?.others ?? "closed",
    },
    mcpPaths: policy.mcpPaths ?? DEFAULT_MCP_PATHS,
    prefix: policy.prefix ?? "/turnpike",
    allowedOrigins: new Set(policy.allowedOrigins),
    allowedHosts: policy.allowedHosts ? new Set(policy.allowedHosts) : null,
  };
}

/** The terms of a plan as the policy file has it, or as `plan` overrides it. */
export function termsOf(policy: ResolvedPolicy, name: string, plan: Plan, kind: "key" | "address"): Terms {
  return resolveTerms(name, plan, { perMinute: policy.handshakePerMinute[kind] }, policy.named);
}

export function addressPlanOf(policy: Policy): string | null {
  const plan = policy.identity?.addresses?.plan;
  return plan === undefined ? DEFAULT_ADDRESS_PLAN : plan;
}

function watching(rules: RepeatPolicy): Watching {
  const { identical = DEFAULT_IDENTICAL, withinSeconds = DEFAULT_REPEAT_WINDOW_S, mode, sameTool, inARow, takingTurns } = rules;
  return {
    identical: watchRule({ calls: identical, withinSeconds, ...(mode ? { mode } : {}) }),
    ...(sameTool ? { "same-tool": watchRule(sameTool) } : {}),
    ...(inARow ? { "in-a-row": watchRule(inARow) } : {}),
    ...(takingTurns ? { "taking-turns": watchRule(takingTurns) } : {}),
  };
}

function watchRule({ calls, withinSeconds, mode = "enforce" }: LoopPolicy): WatchRule {
  return { calls, windowMs: withinSeconds * 1_000, mode };
}

function resolveOrigin(origin: Policy["origin"]): OriginTarget {
  if (typeof origin === "object") return { kind: "service", binding: origin.service };
  if (origin === "same-host") return { kind: "same-host" };
  const url = new URL(origin);
  return { kind: "url", origin: url.origin, path: url.pathname, search: url.search };
}
