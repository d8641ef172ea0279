/**
 * The operator's file: its types, and what makes an object literal one. What each setting does is in docs/policy.md; the
 * checks are in check-policy.ts, the defaults in resolve-policy.ts.
 */

import type { Lightning } from "./selling/lightning-policy.ts";
import type { NamedByKind } from "./limits/named.ts";
import type { Plan } from "./limits/plan.ts";
import type { OriginQuotaPolicy } from "./origin/quota-policy.ts";

/** The consumer as the policy's own function sees it. */
export interface ConsumerInfo {
  readonly id: string;
  readonly plan: string;
  /** What the key's record holds under `metadata`; empty for other callers. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** A way of circling that is looked for only when it is asked for. */
export interface LoopPolicy {
  readonly calls: number;
  readonly withinSeconds: number;
  readonly mode?: "enforce" | "observe";
}

export interface RepeatPolicy {
  /** Identical calls that may pass within the window. Default 10. */
  readonly identical?: number;
  /** Default 60. */
  readonly withinSeconds?: number;
  readonly mode?: "enforce" | "observe";
  /** Calls of one tool within a time, whatever their arguments. */
  readonly sameTool?: LoopPolicy;
  /** Identical calls with no other in between, for circles that are slower than the window: at most 100. */
  readonly inARow?: LoopPolicy;
  /** Two calls that take turns: so many of the two together, 4 to 100. */
  readonly takingTurns?: LoopPolicy;
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

/** `tools`, `prompts` and `resources`: what single ones cost, and limits of their own, on every plan. */
export interface Policy<PlanName extends string = string> extends NamedByKind {
  /**
   * The MCP server behind the gate: its URL, `{ service: "BINDING" }` for a Worker bound in wrangler.toml, or
   * `"same-host"` when the gate runs on a route of the origin's own host.
   */
  readonly origin: string | { readonly service: string };
  readonly plans: Readonly<Record<PlanName, Plan>>;
  /** Limits of one consumer, computed from its key's metadata. Must be pure: it runs once for each key and isolate. */
  readonly limitsFor?: (consumer: ConsumerInfo) => Partial<Plan> | undefined;
  readonly identity?: {
    readonly jwt?: readonly JwtIssuer<NoInfer<PlanName>>[];
    /**
     * Bearer tokens that only the origin can check: each is a consumer of its own on this plan. Without it, whoever brings one
     * is known by the address alone.
     */
    readonly bearer?: { readonly plan: NoInfer<PlanName> };
    readonly addresses?: {
      /** The plan of callers without a key. `null` demands a key. Default "anonymous". */
      readonly plan?: NoInfer<PlanName> | null;
      /** Ranges that many strangers share (hosted clients, NATs), in CIDR form, with a plan of their own. */
      readonly shared?: readonly { readonly range: string; readonly plan: NoInfer<PlanName> }[];
    };
  };
  /** The loop breaker. `tools` by name or pattern (`get_job_*`): other numbers, or `false` where repeating is no loop. */
  readonly repeats?: RepeatPolicy & { readonly tools?: Readonly<Record<string, RepeatPolicy | false>> };
  /** The quota of the API behind the MCP server, which all consumers share. Learned from the origin's answers; more can be said here. */
  readonly originQuota?: OriginQuotaPolicy;
  /** Puts the gate's tools (`challenge`, `verify`, `status`) at the end of the origin's own tool list, under this prefix. */
  readonly ownTools?: { readonly prefix: string };
  /** The node that makes the invoices of `offers.l402`: `lightning({ kind, url })` of "mcp-turnpike/lightning". */
  readonly lightning?: Lightning;
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

/** The plan of callers without a key, when the policy names none. */
export const DEFAULT_ADDRESS_PLAN = "anonymous";

/** Gives an object literal the policy's types: a plan that is named anywhere must be one of `plans`. */
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
