/** A challenge that somebody asks for, by HTTP or by the gate's tools. */

import { readConsumerStatus } from "../../durable-objects/ask-consumer.ts";
import { NO_CALL } from "../challenges/challenge-id.ts";
import type { SigningKeys } from "../challenges/secrets.ts";
import type { PowOffer } from "../limits/terms.ts";
import type { Challenge } from "../challenges/challenge.ts";
import { freshChallenge, signingKeys } from "../passage/offer.ts";
import { verifyUrl } from "../passage/verify-url.ts";
import { unavailableAnswer } from "../refusals/gate-errors.ts";
import type { Known, Visit } from "./caller.ts";
import { type Done, failed } from "./done.ts";
import { endpointProblem } from "./problems.ts";

export const CHALLENGE_TYPES = ["pow", "l402"] as const;
export type ChallengeType = (typeof CHALLENGE_TYPES)[number];

/**
 * A challenge for nobody's call in particular.
 * @param type null for what the plan offers, a proof of work before a payment
 */
export async function makeChallenge(visit: Visit, known: Known, type: ChallengeType | null): Promise<Done<Challenge>> {
  const { env, gate } = visit;
  const { pow, l402 } = known.terms.offers;
  const keys = await signingKeys(gate, env);
  if (!keys) return failed(endpointProblem("not-offered"));
  const chosen = type ?? (pow ? "pow" : "l402");
  if (chosen === "pow") return pow ? makeProofOfWork(visit, known, pow, keys) : failed(endpointProblem("not-offered"));
  return l402 && gate.shop ? gate.shop.makeChallenge(visit, known, l402, keys) : failed(endpointProblem("not-offered"));
}

async function makeProofOfWork(
  { url, env, gate }: Visit,
  { caller, terms }: Known,
  offer: PowOffer,
  keys: SigningKeys,
): Promise<Done<Challenge>> {
  const status = await readConsumerStatus(env.CONSUMERS, caller.id, terms.limitsText);
  if (!status) return failed(unavailableAnswer());
  return { ok: true, value: await freshChallenge(caller.id, offer, status, NO_CALL, verifyUrl(url, gate), keys, Date.now()) };
}
