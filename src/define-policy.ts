/**
 * The operator's file: its types, its checks, its defaults. A policy is checked as a whole when the Worker starts, and all
 * that is wrong with it is told at once, each with its path.
 */

import * as v from "valibot";
import { type AddressRange, parseRange } from "./consumers/addresses.ts";
import { type Plan, planSchema } from "./limits/plan.ts";
import { createRepeatRules, type RepeatRule, type RepeatRules } from "./limits/price.ts";
import { resolveTerms, type Terms } from "./limits/terms.ts";

/** The consumer as the policy's own function sees it. */
export interface ConsumerInfo {
  readonly id: string;
  readonly plan: string;
  /** What the key's record holds under `metadata`; empty for other callers. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface RepeatPolicy {
  /** Identical calls that may pass within the window. Default 10. */
  readonly identical?: number;
  /** Default 60. */
  readonly withinSeconds?: number;
  readonly mode?: "enforce" | "observe";
}

export interface JwtIssuer<PlanName extends string = string> {
  /** The token's `iss`, exactly. */
  readonly issuer: string;
  readonly audience?: string | readonly string[];
  /** Where the issuer publishes its keys. Default: `<issuer>/.well-known/jwks.json`. */
  readonly jwksUrl?: string;
  /** The claim that names the plan. Without it, or when it names none, `plan` applies. */
  readonly planClaim?: string;
  readonly plan: PlanName;
}

export interface Policy<PlanName extends string = string> {
  /**
   * The MCP server behind the gate: its URL, `{ service: "BINDING" }` for a Worker bound in wrangler.toml, or
   * `"same-host"` when the gate runs on a route of the origin's own host.
   */
  readonly origin: string | { readonly service: string };
  readonly plans: Readonly<Record<PlanName, Plan>>;
  /** Limits of one consumer, computed from its key's metadata. Must be pure: it runs once for each key and isolate. */
  readonly limitsFor?: (consumer: ConsumerInfo) => Partial<Plan> | undefined;
  readonly identity?: {
    readonly jwt?: readonly JwtIssuer<PlanName>[];
    readonly addresses?: {
      /** The plan of callers without a key. `null` demands a key. Default "anonymous". */
      readonly plan?: PlanName | null;
      /** Ranges that many strangers share (hosted clients, NATs), in CIDR form, with a plan of their own. */
      readonly shared?: readonly { readonly range: string; readonly plan: PlanName }[];
    };
  };
  /** The loop breaker. `tools` by name or pattern (`get_job_*`): other numbers, or `false` where repeating is no loop. */
  readonly repeats?: RepeatPolicy & { readonly tools?: Readonly<Record<string, RepeatPolicy | false>> };
  /** Handshake requests a minute, and at once. Default 60 for a key, 300 for an address. */
  readonly handshake?: { readonly key?: number; readonly address?: number };
  /** When the consumer's object cannot be asked: pass at a tenth of the plan's rate, or answer 503. */
  readonly whenUnavailable?: { readonly keys?: "open" | "closed"; readonly others?: "open" | "closed" };
  /** Where MCP is spoken. Default /mcp, /sse, /message, /messages. */
  readonly mcpPaths?: readonly string[];
  /** The path under which the gate's own endpoints are. Default /turnpike. */
  readonly prefix?: string;
  /** Browser origins that may call, such as "https://app.example.com". The gate's own host always may. */
  readonly allowedOrigins?: readonly string[];
  /** When set, requests for any other host are refused. Cloudflare delivers only your own hosts, so it is for local use. */
  readonly allowedHosts?: readonly string[];
}

/** Gives an object literal the policy's types: a plan that is named must be one that is defined. */
export function definePolicy<const PlanName extends string>(policy: Policy<PlanName>): Policy<PlanName> {
  return policy;
}

/** Everything that is wrong with a policy, each with its path. */
export class PolicyError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(
      `The policy has ${problems.length === 1 ? "an error" : `${problems.length} errors`}:\n${problems.map((problem) => `  ${problem}`).join("\n")}`,
    );
    this.name = "PolicyError";
    this.problems = problems;
  }
}

export type OriginTarget =
  | { readonly kind: "url"; readonly url: URL }
  | { readonly kind: "service"; readonly binding: string }
  | { readonly kind: "same-host" };

/** The policy with every default filled in, as the gate uses it. */
export interface ResolvedPolicy {
  readonly origin: OriginTarget;
  readonly plans: ReadonlyMap<string, Plan>;
  readonly limitsFor: Policy["limitsFor"];
  readonly jwt: readonly JwtIssuer[];
  readonly addressPlan: string | null;
  readonly sharedRanges: readonly { readonly range: AddressRange; readonly plan: string }[];
  readonly repeats: RepeatRules;
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

const path = v.pipe(v.string(), v.regex(/^\/[\w./-]*[\w-]$/, 'must be a path like "/mcp"'));
const whole = v.pipe(v.number(), v.integer(), v.minValue(1));
const choice = v.optional(v.picklist(["open", "closed"]));
const originUrl = v.pipe(
  v.string(),
  v.check((text) => text === "same-host" || isHttpUrl(text), 'must be an http(s) URL, {service: "BINDING"} or "same-host"'),
);
const browserOrigin = v.pipe(
  v.string(),
  v.check((text) => isHttpUrl(text) && new URL(text).origin === text, 'must be an origin like "https://app.example.com"'),
);
const cidr = v.pipe(
  v.string(),
  v.check((text) => parseRange(text) !== null, 'must be a range like "192.0.2.0/24" or "2001:db8::/48"'),
);
const repeat = v.strictObject({
  identical: v.optional(whole),
  withinSeconds: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(86_400))),
  mode: v.optional(v.picklist(["enforce", "observe"])),
});
const issuer = v.strictObject({
  issuer: v.pipe(v.string(), v.minLength(1)),
  audience: v.optional(v.union([v.string(), v.array(v.string())])),
  jwksUrl: v.optional(v.pipe(v.string(), v.check(isHttpUrl, "must be an http(s) URL"))),
  planClaim: v.optional(v.string()),
  plan: v.string(),
});

const policySchema = v.strictObject({
  origin: v.union([originUrl, v.strictObject({ service: v.string() })], 'must be an http(s) URL, {service: "BINDING"} or "same-host"'),
  plans: v.pipe(
    v.record(v.pipe(v.string(), v.regex(/^[\w.-]{1,40}$/, "a plan's name is 1 to 40 letters, digits, dots or dashes")), planSchema),
    v.check((plans) => Object.keys(plans).length > 0, "must name at least one plan"),
  ),
  limitsFor: v.optional(v.function()),
  identity: v.optional(
    v.strictObject({
      jwt: v.optional(v.array(issuer)),
      addresses: v.optional(
        v.strictObject({
          plan: v.optional(v.nullable(v.string())),
          shared: v.optional(v.array(v.strictObject({ range: cidr, plan: v.string() }))),
        }),
      ),
    }),
  ),
  repeats: v.optional(v.strictObject({ ...repeat.entries, tools: v.optional(v.record(v.string(), v.union([v.literal(false), repeat]))) })),
  handshake: v.optional(v.strictObject({ key: v.optional(whole), address: v.optional(whole) })),
  whenUnavailable: v.optional(v.strictObject({ keys: choice, others: choice })),
  mcpPaths: v.optional(v.pipe(v.array(path), v.minLength(1))),
  prefix: v.optional(path),
  allowedOrigins: v.optional(v.array(browserOrigin)),
  allowedHosts: v.optional(v.array(v.string())),
});

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
    addressPlan: addressPlanOf(policy),
    sharedRanges: (identity?.addresses?.shared ?? []).map(({ range, plan }) => ({ range: parseRange(range)!, plan })),
    repeats: createRepeatRules(
      repeatRule(general),
      Object.fromEntries(
        Object.entries(tools).map(([name, rule]) => [
          name,
          rule === false ? { exempt: true as const } : repeatRule({ ...general, ...rule }),
        ]),
      ),
    ),
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
  return resolveTerms(name, plan, { perMinute: policy.handshakePerMinute[kind] });
}

function addressPlanOf(policy: Policy): string | null {
  const plan = policy.identity?.addresses?.plan;
  return plan === undefined ? "anonymous" : plan;
}

function repeatRule(rule: RepeatPolicy): RepeatRule {
  return {
    identical: rule.identical ?? DEFAULT_IDENTICAL,
    windowMs: (rule.withinSeconds ?? DEFAULT_REPEAT_WINDOW_S) * 1_000,
    mode: rule.mode ?? "enforce",
  };
}

function resolveOrigin(origin: Policy["origin"]): OriginTarget {
  if (typeof origin === "object") return { kind: "service", binding: origin.service };
  return origin === "same-host" ? { kind: "same-host" } : { kind: "url", url: new URL(origin) };
}

function findProblems(policy: Policy): string[] {
  const checked = v.safeParse(policySchema, policy);
  const problems = (checked.issues ?? []).map((issue) => `${v.getDotPath(issue) ?? "policy"}: ${messageOf(issue)}`);
  if (typeof policy !== "object" || policy === null || typeof policy.plans !== "object" || policy.plans === null) return problems;
  const known = (plan: unknown, where: string): void => {
    if (typeof plan !== "string" || Object.hasOwn(policy.plans, plan)) return;
    problems.push(`${where}: there is no plan "${plan}" (there are: ${Object.keys(policy.plans).join(", ")})`);
  };
  const identity = policy.identity;
  known(addressPlanOf(policy), "identity.addresses.plan");
  for (const [i, shared] of (identity?.addresses?.shared ?? []).entries()) known(shared.plan, `identity.addresses.shared.${i}.plan`);
  for (const [i, jwt] of (identity?.jwt ?? []).entries()) known(jwt.plan, `identity.jwt.${i}.plan`);
  return problems;
}

/** valibot's own words, except where it would print the whole value. */
function messageOf(issue: v.BaseIssue<unknown>): string {
  if (issue.type === "strict_object" && issue.expected === "never") return "unknown setting";
  return issue.message;
}

function isHttpUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url?.protocol === "https:" || url?.protocol === "http:";
}
