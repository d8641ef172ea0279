/** The gate's own HTTP endpoints under the policy's prefix, but for the operator's and `limits`. */

import { spendCredit } from "../../durable-objects/ask-consumer.ts";
import { readPass } from "../challenges/pass.ts";
import { readSolution } from "../challenges/solution-input.ts";
import { chargeGuess } from "../consumers/guesses.ts";
import { addressCaller } from "../consumers/identify.ts";
import { signingKeys } from "../passage/offer.ts";
import { tooManyRequestsAnswer, unavailableAnswer } from "../refusals/gate-errors.ts";
import { makeChallenge, readStatus, redeemSolution } from "./actions.ts";
import { type Visit, visitorOf } from "./caller.ts";
import { endpointProblem } from "./problems.ts";
import { ownJson, readSmallBody } from "./small-body.ts";

/** `GET /status`: what the caller has of each limit, and of prepaid calls. */
export async function status(visit: Visit): Promise<Response> {
  const visitor = await visitorOf(visit);
  if (!visitor.ok) return visitor.response;
  const read = await readStatus(visit, visitor);
  return read.ok ? ownJson(read.value) : read.response;
}

/** `POST /challenge`: a fresh challenge. */
export async function challenge(visit: Visit): Promise<Response> {
  const visitor = await visitorOf(visit);
  if (!visitor.ok) return visitor.response;
  const made = await makeChallenge(visit, visitor);
  return made.ok ? ownJson(made.value) : made.response;
}

/** `POST /verify`: a solution becomes prepaid calls. */
export async function verify(visit: Visit): Promise<Response> {
  const read = await readSmallBody(visit.request);
  if (!read.ok) return read.response;
  const solution = readSolution(read.body);
  if (!solution.ok) return endpointProblem("malformed-solution", solution.problems.join("; "));
  const redeemed = await redeemSolution(visit, solution.solution, () => visitorOf(visit));
  return redeemed.ok ? ownJson(redeemed.value) : redeemed.response;
}

/** `POST /token/verify`: for a backend that is shown a pass. With `spend`, takes that many calls from its credit, or none. */
export async function verifyToken(visit: Visit): Promise<Response> {
  const { request, env, gate } = visit;
  const read = await readSmallBody(request);
  if (!read.ok) return read.response;
  const { token, spend = 0 } = read.body;
  if (typeof token !== "string" || !isCount(spend)) return endpointProblem("malformed-request");
  const keys = await signingKeys(gate, env);
  const pass = keys ? await readPass(token, keys, Date.now()) : null;
  if (!pass?.ok) {
    // An expired pass was a good one: its holder guesses nothing.
    const isGuess = pass !== null && pass.why !== "expired";
    const waitMs = isGuess ? await chargeGuess(env.CONSUMERS, addressCaller(request.headers, "").id) : null;
    return waitMs === null ? ownJson({ valid: false, why: pass?.why ?? "not-offered" }) : tooManyRequestsAnswer(waitMs);
  }
  const { consumer, plan, creditId, expiresAt } = pass.pass;
  const credit = await spendCredit(env.CONSUMERS, consumer, creditId, spend, null);
  if (!credit) return unavailableAnswer();
  const shared = { consumer, plan, calls: credit.left, expiresAt: new Date(expiresAt).toISOString() };
  if (spend > 0 && credit.ticket === null) return ownJson({ valid: false, why: "spent", ...shared });
  return ownJson(spend === 0 && credit.left === 0 ? { valid: false, why: "spent", ...shared } : { valid: true, ...shared });
}

const MAX_SPEND = 10_000;

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= MAX_SPEND;
}
