/**
 * The address behind a bearer that the origin has not accepted yet: the only thing known of such a caller that is not for it to
 * choose. It is charged beside the bearer, and what can be won is won for it: else each made-up token would be a fresh account.
 */

import type { Gate, GateEnv } from "../gate.ts";
import type { Terms } from "../limits/terms.ts";
import type { Caller } from "./caller.ts";
import { addressCaller, plannedAddress } from "./identify.ts";

/** The address on its plan, or where the policy has none for it, on terms that are for this alone. */
export async function addressBehind(headers: Headers, gate: Gate, env: GateEnv, now: number): Promise<{ caller: Caller; terms: Terms }> {
  const planned = plannedAddress(headers, gate.policy);
  const terms = (planned && (await gate.terms.for(planned, env.KEYS, now))) ?? gate.policy.newBearerTerms;
  return { caller: planned ?? addressCaller(headers, terms.plan), terms };
}
