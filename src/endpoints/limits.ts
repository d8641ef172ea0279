/** `GET /limits`: what everybody may know before calling: each plan's limits, what single tools cost, and what is offered. */

import { NAMED_KINDS, type NamedKind, namesIn } from "../limits/named.ts";
import type { AnyLimit } from "../limits/limit.ts";
import type { Terms } from "../limits/terms.ts";
import { quantityOf, windowSecondsOf } from "../refusals/ratelimit-fields.ts";
import { wordLimit } from "../refusals/wording.ts";
import type { Visit } from "./caller.ts";

/** A change of a plan is told within this, beside what KV takes. */
const CACHE_SECONDS = 60;

export async function limits({ env, gate }: Visit): Promise<Response> {
  const now = Date.now();
  const plans: Record<string, object> = {};
  for (const name of gate.policy.plans.keys()) {
    const inForce = await gate.terms.ofPlan(name, env.KEYS, now);
    if (inForce) plans[name] = describePlan(inForce.terms, namesOf(inForce.plan, gate.policy.named), gate.shop !== null, now);
  }
  const body = {
    note: "`quota` is what can be had at once; a bucket (rate) refills steadily, so up to quota + refillPerMinute calls pass in its first minute; a quota never gives more than its number in its window.",
    callersWithoutKey: gate.policy.addressPlan,
    plans,
  };
  // To a page that may call, the same answer has CORS headers: a cache must keep the two apart.
  return Response.json(body, { headers: { "Cache-Control": `public, max-age=${CACHE_SECONDS}`, Vary: "Origin" } });
}

type Names = readonly (readonly [NamedKind, readonly string[]])[];

function namesOf(plan: Parameters<typeof namesIn>[2], general: Parameters<typeof namesIn>[1]): Names {
  return NAMED_KINDS.map(([kind]) => [kind, namesIn(kind, general, plan)] as const);
}

function describePlan(terms: Terms, names: Names, isSelling: boolean, now: number): object {
  const describe = (limit: AnyLimit): object => describeLimit(limit, now);
  const named = names.flatMap(([kind, all]) => {
    const entries = all.map((name) => {
      const { cost, ownLimits } = terms.named![kind](name)!;
      return [name, { cost: typeof cost === "number" ? cost : "depends on the arguments", limits: ownLimits.map(describe) }] as const;
    });
    return entries.length === 0 ? [] : [[kind, Object.fromEntries(entries)] as const];
  });
  return {
    limits: [...terms.limits, ...(terms.concurrency ? [terms.concurrency] : []), terms.streams].map(describe),
    heldForSeconds: terms.maxWaitMs / 1_000,
    ...Object.fromEntries(named),
    offers: describeOffers(terms, isSelling),
  };
}

function describeOffers({ offers: { pow, l402 } }: Terms, isSelling: boolean): object[] {
  const sold =
    l402 && isSelling
      ? [
          {
            type: "l402",
            priceSats: l402.satsPerCall * l402.calls,
            calls: l402.calls,
            satsPerCall: l402.satsPerCall,
            forSeconds: l402.lifeMs / 1_000,
          },
        ]
      : [];
  const earned = pow
    ? [{ type: "pow", difficulty: pow.base, maxDifficulty: pow.max, calls: pow.calls, forSeconds: pow.lifeMs / 1_000 }]
    : [];
  return [...sold, ...earned];
}

function describeLimit(limit: AnyLimit, now: number): object {
  return {
    name: limit.name,
    kind: limit.kind,
    quota: quantityOf(limit),
    ...(limit.kind === "concurrency" ? {} : { windowSeconds: windowSecondsOf(limit, now) }),
    ...(limit.kind === "rate" ? { refillPerMinute: limit.perMinute } : {}),
    ...(limit.mode === "observe" ? { observed: true } : {}),
    words: wordLimit(limit),
  };
}
