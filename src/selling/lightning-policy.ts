/** The Lightning node as an operator names it in the policy, and the same with every default filled in. */

import * as v from "valibot";
import { messageOf } from "../check-policy.ts";
import { type Network, NETWORKS } from "../lightning/bolt11-prefix.ts";
import type { NodeConfig } from "../lightning/open-node.ts";

export interface LightningPolicy extends NodeConfig {
  /** How long an invoice can be paid. Default 900. */
  readonly invoiceSeconds?: number;
  /** Also ask the node whether an invoice is settled before its preimage counts. Default false: the preimage is the proof. */
  readonly confirmPayments?: boolean;
}

export interface LightningTerms {
  readonly node: NodeConfig & { readonly network: Network };
  readonly invoiceSeconds: number;
  readonly confirmsPayments: boolean;
}

/** What stands under `lightning` in a policy: made by lightning.ts. */
export interface Lightning {
  readonly policy: LightningPolicy;
  readonly terms: LightningTerms;
  /** Everything that is wrong with it, each with its path. */
  findProblems(): string[];
  /** A `Shop` (passage/shop.ts), for the gate alone: who only reads a policy has no Workers' types. */
  openShop(): unknown;
}

const DEFAULT_INVOICE_SECONDS = 900;
/** With less, an invoice that is offered again would leave no time to pay it. */
const LEAST_INVOICE_SECONDS = 300;
const MAX_INVOICE_SECONDS = 86_400;
const LOOPBACK: ReadonlySet<string> = new Set(["127.0.0.1", "localhost", "[::1]"]);

const lightningSchema = v.strictObject({
  kind: v.picklist(["lnd", "lnbits", "phoenixd"]),
  url: v.pipe(v.string(), v.check(isSafeUrl, "must be an https URL: the node's credential travels with every request")),
  network: v.optional(v.picklist(NETWORKS)),
  invoiceSeconds: v.optional(v.pipe(v.number(), v.integer(), v.minValue(LEAST_INVOICE_SECONDS), v.maxValue(MAX_INVOICE_SECONDS))),
  confirmPayments: v.optional(v.boolean()),
});

/** Everything that is wrong, each with its path under `lightning`; empty for a good one. */
export function findLightningProblems(policy: LightningPolicy): string[] {
  const { issues = [] } = v.safeParse(lightningSchema, policy);
  return issues.map((issue) => `lightning.${v.getDotPath(issue) ?? ""}: ${messageOf(issue)}`);
}

export function resolveLightning(policy: LightningPolicy): LightningTerms {
  const { invoiceSeconds = DEFAULT_INVOICE_SECONDS, confirmPayments = false, network = "bc", ...node } = policy;
  return { node: { ...node, network }, invoiceSeconds, confirmsPayments: confirmPayments };
}

/** On the same machine nobody listens in between. */
function isSafeUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url?.protocol === "https:" || (url?.protocol === "http:" && LOOPBACK.has(url.hostname));
}
