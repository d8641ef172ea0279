/** What a gate keeps in the isolate from one request to the next. Everything in it has a bound, and all of it may be lost. */

import { BoundedCache } from "./bounded-cache.ts";
import { Acceptances } from "./consumers/acceptance.ts";
import { ApiKeys } from "./consumers/api-keys.ts";
import { Bearers } from "./consumers/bearers.ts";
import { TermsBook } from "./consumers/terms-book.ts";
import { Tokens } from "./consumers/tokens.ts";
import type { Policy } from "./define-policy.ts";
import { Holds } from "./passage/hold.ts";
import type { Shop } from "./passage/shop.ts";
import type { Bucket } from "./limits/bucket.ts";
import { createRefusalMemo, type RefusalMemo } from "./limits/refusal-memo.ts";
import type { LogLine } from "./refusals/log.ts";
import { type ResolvedPolicy, resolvePolicy } from "./resolve-policy.ts";
import { OriginKnowledge } from "./origin/quota-knowledge.ts";
import type { ConsumerNamespace } from "../durable-objects/ask-consumer.ts";
import type { OriginQuotaNamespace } from "../durable-objects/ask-origin-quota.ts";

/** The bindings and secrets of the Worker, as wrangler.toml has them. */
export interface GateEnv {
  readonly KEYS: KVNamespace;
  readonly CONSUMERS: ConsumerNamespace;
  /** Without it, the origin's own quota is known to each isolate by itself, and not shared out. */
  readonly ORIGIN_QUOTAS?: OriginQuotaNamespace;
  /** The admin API is off without it. */
  readonly ADMIN_TOKEN?: string;
  /** Signs challenges and passes; the one before it is still accepted while it is being replaced. */
  readonly CHALLENGE_SECRET?: string;
  readonly CHALLENGE_SECRET_PREVIOUS?: string;
  /** The credential of the policy's Lightning node: enough to make invoices and to look them up. */
  readonly LIGHTNING_SECRET?: string;
  /** Signs the consumer headers. */
  readonly ORIGIN_SIGNING_SECRET?: string;
}

export interface Gate {
  readonly policy: ResolvedPolicy;
  readonly apiKeys: ApiKeys;
  readonly tokens: Tokens;
  readonly bearers: Bearers;
  readonly acceptances: Acceptances;
  readonly terms: TermsBook;
  readonly memo: RefusalMemo;
  readonly origin: OriginKnowledge;
  readonly holds: Holds;
  /** What is for sale, and what was paid; null where the policy names no Lightning node. */
  readonly shop: Shop | null;
  /** Names of the gate's own tools that the origin was seen to use itself. */
  readonly takenNames: Set<string>;
  /** Bounds that hold in this isolate only: for traffic that no object is asked about, and while none can be asked. */
  readonly localBuckets: BoundedCache<Bucket>;
  readonly log: (line: LogLine) => void;
  /** What would otherwise be said with every request. The line's own text tells whether it has been said. */
  readonly logOnce: (line: LogLine) => void;
}

const MAX_LOCAL_BUCKETS = 20_000;

/** @throws PolicyError */
export function openGate(policy: Policy): Gate {
  const resolved = resolvePolicy(policy);
  return {
    policy: resolved,
    apiKeys: new ApiKeys(),
    tokens: new Tokens(resolved.jwt, resolved.plans.keys()),
    bearers: new Bearers(),
    acceptances: new Acceptances(),
    terms: new TermsBook(resolved, log),
    memo: createRefusalMemo(),
    origin: new OriginKnowledge(resolved.originQuota, resolved.lightning !== null),
    holds: new Holds(),
    shop: (resolved.lightning?.openShop() as Shop | undefined) ?? null,
    takenNames: new Set(),
    localBuckets: new BoundedCache(MAX_LOCAL_BUCKETS),
    log,
    logOnce: createLogOnce(),
  };
}

/** There are as many different lines as there are places in the code that say one. */
function createLogOnce(): (line: LogLine) => void {
  const said = new Set<string>();
  return (line) => {
    const text = JSON.stringify(line);
    if (said.has(text)) return;
    said.add(text);
    console.log(text);
  };
}

/** A line of JSON: Workers Logs indexes its members, and a terminal shows it whole. */
function log(line: LogLine): void {
  console.log(JSON.stringify(line));
}
