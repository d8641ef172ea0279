/** The solution of a proof of work, handed in for prepaid calls. */

import { redeemCredit } from "../../durable-objects/ask-consumer.ts";
import { signPass } from "../challenges/pass.ts";
import { checkGenuine, type GenuineSolution, type Solution } from "../challenges/proof-of-work.ts";
import { addressBehind } from "../consumers/address-behind.ts";
import { chargeGuess } from "../consumers/guesses.ts";
import { addressCaller } from "../consumers/identify.ts";
import { DEFAULT_POW } from "../limits/terms.ts";
import { signingKeys } from "../passage/offer.ts";
import { tooManyRequestsAnswer, unavailableAnswer } from "../refusals/gate-errors.ts";
import type { Known, Visit, Visitor } from "./caller.ts";
import { type Done, failed } from "./done.ts";
import { endpointProblem } from "./problems.ts";
import type { Prepaid } from "./redeem.ts";

const WHY = {
  malformed: "malformed-solution",
  "unknown-key": "unknown-challenge",
  altered: "altered-challenge",
  expired: "expired-challenge",
  "wrong-nonce": "wrong-nonce",
} as const;

const NOT_REDEEMED = {
  replayed: "spent-challenge",
  expired: "expired-challenge",
  "too-old": "superseded-challenge",
  "too-many": "enough-credits",
} as const;

/**
 * Puts what a solution has won on the caller's account. One signature and one hash are checked before anything else is touched,
 * and attempts that fail there are limited by address.
 * @param visitor finds out who it is; called only for a solution that is good
 */
export async function redeemSolution(visit: Visit, solution: Solution, visitor: () => Promise<Visitor>): Promise<Done<Prepaid>> {
  const { request, env, gate } = visit;
  const keys = await signingKeys(gate, env);
  if (!keys) return failed(endpointProblem("not-offered"));
  const genuine = await checkGenuine(solution, keys, Date.now());
  if (!genuine.ok) {
    const waitMs = await chargeGuess(env.CONSUMERS, addressCaller(request.headers, "").id);
    return failed(waitMs === null ? endpointProblem(WHY[genuine.why]) : tooManyRequestsAnswer(waitMs));
  }
  const who = await visitor();
  if (!who.ok) return who;
  const now = Date.now();
  const owner = await ownerAmong(genuine, visit, who, now);
  if (!owner) return failed(endpointProblem("foreign-challenge"));
  const { caller, terms } = owner;

  const { id, solvesAtIssue, call, expiresAt: redeemableUntil } = genuine.solved;
  // A plan that has stopped offering keeps its word to those who are at it.
  const { calls, lifeMs } = terms.offers.pow ?? DEFAULT_POW;
  const { burst, perMinute } = terms.rate;
  const rate = { burst, perMinute };
  const redemption = { id, redeemableUntil, solvesAtIssue, calls, expiresAt: now + lifeMs, keptFor: call, rate };
  const redeemed = await redeemCredit(env.CONSUMERS, caller.id, redemption);
  if (!redeemed) return failed(unavailableAnswer());
  if (!redeemed.ok) return failed(endpointProblem(NOT_REDEEMED[redeemed.why]));
  gate.log({ event: "redeemed", consumer: caller.id, plan: terms.plan, offer: "pow", difficulty: genuine.solved.difficulty, calls });
  const credit = { consumer: caller.id, plan: terms.plan, creditId: id, calls, expiresAt: redeemed.expiresAt };
  const { token, expiresAt } = await signPass(credit, keys, Date.now());
  return { ok: true, value: { token, calls, expiresAt: new Date(expiresAt).toISOString() } };
}

/**
 * Whom the challenge was issued to: the visitor, or the address of a bearer that the origin has accepted meanwhile.
 * @returns null for anybody else
 */
async function ownerAmong(genuine: GenuineSolution, { request, gate, env }: Visit, who: Known, now: number): Promise<Known | null> {
  if (await genuine.isFor(who.caller.id, now)) return who;
  if (who.caller.kind !== "bearer") return null;
  const address = await addressBehind(request.headers, gate, env, now);
  return (await genuine.isFor(address.caller.id, now)) ? { ok: true, ...address } : null;
}
