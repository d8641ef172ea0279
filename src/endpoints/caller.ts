/** Who asks one of the gate's own endpoints: as on an MCP path, and bounded in the isolate, since no limit of the plan is charged. */

import type { Caller } from "../consumers/caller.ts";
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

export type Visitor =
  | { readonly ok: true; readonly caller: Caller; readonly terms: Terms }
  | { readonly ok: false; readonly response: Response };

export async function visitorOf({ request, env, gate }: Visit): Promise<Visitor> {
  const identified = await identifyOrTurnAway(request, env, gate);
  if (!identified.ok) return identified;
  const { caller } = identified;
  const now = Date.now();
  const numbers = { burst: UNMETERED_PER_MINUTE, perMinute: UNMETERED_PER_MINUTE };
  const waitMs = takeLocally(gate.localBuckets, `endpoint ${caller.id}`, numbers, 1, now);
  if (waitMs > 0) return { ok: false, response: tooManyRequestsAnswer(waitMs) };
  const terms = await gate.terms.for(caller, env.KEYS, now);
  return terms ? { ok: true, caller, terms } : { ok: false, response: unknownPlanAnswer(caller.plan, NOBODY) };
}
