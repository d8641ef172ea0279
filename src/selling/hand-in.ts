/** A payment, handed in for prepaid calls: the macaroon of an L402 challenge with the preimage of its invoice. */

import { accountOf, consumerOfAccount } from "../../durable-objects/ask-consumer.ts";
import type { CredentialCheck, L402Credential } from "../challenges/l402.ts";
import { signPass } from "../challenges/pass.ts";
import type { SigningKeys } from "../challenges/secrets.ts";
import { chargeGuess } from "../consumers/guesses.ts";
import { addressCaller } from "../consumers/identify.ts";
import type { GateEnv } from "../gate.ts";
import { signingKeys } from "../passage/offer.ts";
import { NOBODY } from "../refusals/answer.ts";
import { tooManyRequestsAnswer } from "../refusals/gate-errors.ts";
import type { Known, Visit, Visitor } from "../endpoints/caller.ts";
import { type Done, failed } from "../endpoints/done.ts";
import { endpointProblem } from "../endpoints/problems.ts";
import type { Prepaid } from "../endpoints/redeem.ts";
import { pendingAnswer } from "./pending-answer.ts";
import { paymentProblem } from "./problems.ts";
import { type Redeeming, redeemPayment } from "./redeem.ts";
import type { Till } from "./till.ts";

const FAULTS = {
  "unknown-key": "altered-macaroon",
  altered: "altered-macaroon",
  restricted: "restricted-macaroon",
  expired: "expired-payment",
  "wrong-preimage": "wrong-preimage",
} as const;

const NOT_REDEEMED = {
  replayed: "spent-payment",
  expired: "expired-payment",
  "too-old": "expired-payment",
} as const;

/**
 * Puts what was paid on the account that the macaroon names, whoever hands it in. The same again tells what is left of it, so a
 * payer whose answer was lost loses nothing.
 */
export async function handInPayment(
  till: Till,
  visit: Visit,
  credential: L402Credential,
  visitor: () => Promise<Visitor>,
): Promise<Done<Prepaid>> {
  const { request, env, gate } = visit;
  const keys = await signingKeys(gate, env);
  if (!keys) return failed(endpointProblem("not-offered"));
  const who = await visitor();
  if (!who.ok) return who;
  const taken = await redeemPayment(till, gate, env, credential, []);
  switch (taken.kind) {
    case "bad": {
      const waitMs = await chargeGuess(env.CONSUMERS, addressCaller(request.headers, "").id);
      return failed(waitMs === null ? faultProblem(taken.check.why) : tooManyRequestsAnswer(waitMs));
    }
    case "over":
      return failed(taken.why === "too-many" ? endpointProblem("enough-credits") : paymentProblem(NOT_REDEEMED[taken.why]));
    case "pending":
      return failed(pendingAnswer(taken.why, NOBODY));
    case "redeemed":
      return { ok: true, value: await prepaidBy(taken, who, env, keys) };
  }
}

function faultProblem(why: (CredentialCheck & { readonly ok: false })["why"]): Response {
  return why === "malformed" ? endpointProblem("malformed-solution") : paymentProblem(FAULTS[why]);
}

async function prepaidBy(
  { paid, redeemed }: Redeeming & { kind: "redeemed" },
  { caller }: Known,
  { CONSUMERS }: GateEnv,
  keys: SigningKeys,
): Promise<Prepaid> {
  const { account, isForHolder, plan, paymentHash } = paid;
  const { calls, expiresAt: callsExpireAt } = redeemed;
  const isOwn = accountOf(CONSUMERS, caller.id) === account;
  const consumer = isOwn ? caller.id : consumerOfAccount(account);
  const credit = { consumer, plan, creditId: paymentHash, calls, expiresAt: callsExpireAt };
  const { token, expiresAt } = await signPass(credit, keys, Date.now());
  const prepaid = { token, calls, expiresAt: isoTime(expiresAt), callsExpireAt: isoTime(callsExpireAt) };
  return isForHolder ? { ...prepaid, mustBeShown: true } : prepaid;
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
