/**
 * Who asks one of the gate's own endpoints: as on an MCP path, and bounded in the isolate, since no limit of the plan is charged.
 * A bearer that the origin has not accepted is its address here: that is whose limits refuse it, and who can be offered something.
 */

import { addressBehind } from "../consumers/address-behind.ts";
import type { Caller } from "../consumers/caller.ts";
import { addressCaller } from "../consumers/identify.ts";
import { identifyOrTurnAway } from "../consumers/turn-away.ts";
import type { Gate, GateEnv } from "../gate.ts";
import { takeLocally, UNMETERED_PER_MINUTE } from "../limits/local-bucket.ts";
import type { Terms } from "../limits/terms.ts";
import { tooManyRequestsAnswer, unknownPlanAnswer } from "../refusals/gate-errors.ts";
import { NOBODY } from "../refusals/answer.ts";

/** Everything that an endpoint needs to know of a request. */
export interface Visit {
  readonly request: Request;
  readonly url: URL;
  readonly env: GateEnv;
  readonly ctx: ExecutionContext;
  readonly gate: Gate;
}

export interface Known {
  readonly ok: true;
  readonly caller: Caller;
  readonly terms: Terms;
}

export type Visitor = Known | { readonly ok: false; readonly response: Response };

export async function visitorOf({ request, env, gate }: Visit): Promise<Visitor> {
  const identified = await identifyOrTurnAway(request, env, gate);
  if (!identified.ok) return identified;
  const { caller } = identified;
  const now = Date.now();
  const numbers = { burst: UNMETERED_PER_MINUTE, perMinute: UNMETERED_PER_MINUTE };
  // Tokens can be made up by the thousand, and addresses cannot.
  const bounded = caller.kind === "bearer" ? addressCaller(request.headers, "") : caller;
  const waitMs = takeLocally(gate.localBuckets, `endpoint ${bounded.id}`, numbers, 1, now);
  if (waitMs > 0) return { ok: false, response: tooManyRequestsAnswer(waitMs) };
  if (caller.kind === "bearer" && !(await gate.acceptances.isAccepted(env.CONSUMERS, caller.id, now))) {
    return { ok: true, ...(await addressBehind(request.headers, gate, env, now)) };
  }
  const terms = await gate.terms.for(caller, env.KEYS, now);
  return terms ? { ok: true, caller, terms } : { ok: false, response: unknownPlanAnswer(caller.plan, NOBODY) };
}
