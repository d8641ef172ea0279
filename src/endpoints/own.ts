/** The gate's own HTTP endpoints under the policy's prefix, but for the operator's and `limits`. */

import { spendCredit } from "../../durable-objects/ask-consumer.ts";
import { readPass } from "../challenges/pass.ts";
import { readProof } from "../challenges/proof-input.ts";
import { chargeGuess } from "../consumers/guesses.ts";
import { addressCaller } from "../consumers/identify.ts";
import { signingKeys } from "../passage/offer.ts";
import { newAttempt } from "../passage/prepaid.ts";
import { tooManyRequestsAnswer, unavailableAnswer } from "../refusals/gate-errors.ts";
import { type Visit, visitorOf } from "./caller.ts";
import { CHALLENGE_TYPES, type ChallengeType, makeChallenge } from "./make-challenge.ts";
import { endpointProblem } from "./problems.ts";
import { readStatus } from "./read-status.ts";
import { redeemProof } from "./redeem.ts";
import { ownJson, readSmallBody } from "./small-body.ts";

/** `GET /status`: what the caller has of each limit, and of prepaid calls. */
export async function status(visit: Visit): Promise<Response> {
  const visitor = await visitorOf(visit);
  if (!visitor.ok) return visitor.response;
  const read = await readStatus(visit, visitor);
  return read.ok ? ownJson(read.value) : read.response;
}

/** `POST /challenge`: a fresh challenge, of the type that the body asks for. */
export async function challenge(visit: Visit): Promise<Response> {
  const visitor = await visitorOf(visit);
  if (!visitor.ok) return visitor.response;
  const read = await readSmallBody(visit.request, "may be empty");
  if (!read.ok) return read.response;
  const { type = null } = read.body;
  if (!isChallengeType(type)) return endpointProblem("malformed-challenge-request");
  const made = await makeChallenge(visit, visitor, type);
  return made.ok ? ownJson(made.value) : made.response;
}

/** `POST /verify`: a solution, or a payment, becomes prepaid calls. */
export async function verify(visit: Visit): Promise<Response> {
  const read = await readSmallBody(visit.request);
  if (!read.ok) return read.response;
  const handedIn = readProof(read.body, visit.gate.shop?.readPayment ?? null);
  if (!handedIn.ok) return endpointProblem("malformed-solution", handedIn.problems.join("; "));
  const redeemed = await redeemProof(visit, handedIn.proof, () => visitorOf(visit));
  return redeemed.ok ? ownJson(redeemed.value) : redeemed.response;
}

function isChallengeType(type: unknown): type is ChallengeType | null {
  return type === null || CHALLENGE_TYPES.some((known) => known === type);
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
  const credit = await spendCredit(env.CONSUMERS, consumer, { creditId, units: spend, tag: null, attempt: newAttempt() });
  if (!credit) return unavailableAnswer();
  const shared = { consumer, plan, calls: credit.left, expiresAt: new Date(expiresAt).toISOString() };
  if (spend > 0 && credit.ticket === null) return ownJson({ valid: false, why: "spent", ...shared });
  return ownJson(spend === 0 && credit.left === 0 ? { valid: false, why: "spent", ...shared } : { valid: true, ...shared });
}

const MAX_SPEND = 10_000;

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= MAX_SPEND;
}
