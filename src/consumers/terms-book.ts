/**
 * What a caller's plan means for it: the policy file, overridden by `plan:<name>` in KV, overridden by the policy's own
 * function of the caller's metadata. Kept in the isolate, so that a call costs a look, and the same terms stay the same
 * object for as long as nothing has changed.
 */

import type { KVNamespace } from "@cloudflare/workers-types";
import * as v from "valibot";
import { BoundedCache } from "../bounded-cache.ts";
import { type ResolvedPolicy, termsOf } from "../resolve-policy.ts";
import { type Plan, planOverrideSchema, planSchema } from "../limits/plan.ts";
import type { Terms } from "../limits/terms.ts";
import type { Caller } from "./caller.ts";

/** How long an override may go unnoticed, beside what KV itself takes. */
const OVERRIDE_REMEMBERED_MS = 30_000;
const KV_CACHE_TTL_S = 30;
const MAX_COMPUTED = 10_000;
const COMPUTED_REMEMBERED_MS = 60_000;

interface PlanInForce {
  readonly overrideText: string | null;
  readonly plan: Plan;
  readonly byKind: Map<Caller["kind"], Terms>;
}

export class TermsBook {
  readonly #policy: ResolvedPolicy;
  readonly #log: (line: Record<string, unknown>) => void;
  /** Plans in force, by name: a name that the policy does not have never gets in. */
  readonly #plans = new Map<string, PlanInForce & { checkedAt: number }>();
  readonly #computed = new BoundedCache<{ readonly base: PlanInForce; readonly terms: Terms }>(MAX_COMPUTED);

  constructor(policy: ResolvedPolicy, log: (line: Record<string, unknown>) => void) {
    this.#policy = policy;
    this.#log = log;
  }

  /** @returns null when the caller's record names a plan that the policy does not have */
  async for(caller: Caller, kv: KVNamespace, now: number): Promise<Terms | null> {
    const inForce = await this.#inForce(caller.plan, kv, now);
    if (!inForce) return null;
    const isComputed = this.#policy.limitsFor && caller.kind !== "addr";
    return isComputed ? this.#compute(caller, inForce, now) : this.#termsFor(caller.plan, caller.kind, inForce);
  }

  /** A plan as it is in force for whoever is on it, before anything is computed for a consumer. Null when there is no such plan. */
  async ofPlan(name: string, kv: KVNamespace, now: number): Promise<{ readonly plan: Plan; readonly terms: Terms } | null> {
    const inForce = await this.#inForce(name, kv, now);
    return inForce && { plan: inForce.plan, terms: this.#termsFor(name, name === this.#policy.addressPlan ? "addr" : "key", inForce) };
  }

  async #inForce(name: string, kv: KVNamespace, now: number): Promise<PlanInForce | null> {
    const inForce = this.#plans.get(name);
    if (inForce && now - inForce.checkedAt < OVERRIDE_REMEMBERED_MS && now >= inForce.checkedAt) return inForce;
    return this.#readPlan(name, inForce, kv, now);
  }

  async #readPlan(name: string, known: PlanInForce | undefined, kv: KVNamespace, now: number) {
    const base = this.#policy.plans.get(name);
    if (!base) return null;
    const overrideText = await this.#readOverride(name, kv, known?.overrideText ?? null);
    const inForce =
      known && known.overrideText === overrideText
        ? { ...known, checkedAt: now }
        : { overrideText, plan: this.#merge(base, parseJson(overrideText), `plan:${name} in KV`), byKind: new Map(), checkedAt: now };
    this.#plans.set(name, inForce);
    return inForce;
  }

  /** When KV does not answer, what it said before still holds. */
  async #readOverride(name: string, kv: KVNamespace, known: string | null): Promise<string | null> {
    try {
      return await kv.get(`plan:${name}`, { cacheTtl: KV_CACHE_TTL_S });
    } catch (error) {
      this.#log({ event: "kv-unavailable", key: `plan:${name}`, problem: String(error) });
      return known;
    }
  }

  #termsFor(name: string, kind: Caller["kind"], { plan, byKind }: PlanInForce): Terms {
    let terms = byKind.get(kind);
    if (!terms) {
      terms = termsOf(this.#policy, name, plan, kind === "addr" ? "address" : "key");
      byKind.set(kind, terms);
    }
    return terms;
  }

  #compute(caller: Caller, inForce: PlanInForce, now: number): Terms {
    const key = `${caller.id} ${caller.keyId} ${caller.keyVersion}`;
    const known = this.#computed.get(key, now);
    if (known && known.base.byKind === inForce.byKind) return known.terms;
    let computed: unknown;
    try {
      computed = this.#policy.limitsFor?.({ id: caller.id, plan: caller.plan, metadata: caller.metadata });
    } catch (error) {
      this.#log({ event: "policy-error", where: "limitsFor", consumer: caller.id, problem: String(error) });
    }
    const plan = computed === undefined ? inForce.plan : this.#merge(inForce.plan, computed, `limitsFor(${caller.id})`);
    const terms =
      plan === inForce.plan ? this.#termsFor(caller.plan, caller.kind, inForce) : termsOf(this.#policy, caller.plan, plan, "key");
    this.#computed.set(key, { base: inForce, terms }, now + COMPUTED_REMEMBERED_MS);
    return terms;
  }

  /** The plan with the override, or the plan alone when the override is not good: a typo must not open or close the gate. */
  #merge(plan: Plan, override: unknown, where: string): Plan {
    if (override === null || override === undefined) return plan;
    const checked = v.safeParse(planOverrideSchema, override);
    const merged = checked.success ? v.safeParse(planSchema, { ...plan, ...(override as Partial<Plan>) }) : checked;
    if (merged.success) return { ...plan, ...(override as Partial<Plan>) };
    const problem = merged.issues.map((issue) => `${v.getDotPath(issue) ?? "value"}: ${issue.message}`).join("; ");
    this.#log({ event: "policy-error", where, problem });
    return plan;
  }
}

function parseJson(text: string | null): unknown {
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    return "not JSON";
  }
}
