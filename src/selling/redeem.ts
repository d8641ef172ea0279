/**
 * A payment that a request shows: an L402 credential. The first time that it is shown it becomes a credit on the account
 * that it names, whether this call needs it or not; whoever shows it spends it from then on (passage/prepaid.ts). It identifies
 * nobody. One that is no good changes nothing: the call is looked at as if it had not been there.
 */

import { consumerOfAccount, isPaymentRedeemed, redeemPaid } from "../../durable-objects/ask-consumer.ts";
import { checkCredential, type CredentialCheck, type L402Credential, type Paid } from "../challenges/l402.ts";
import { presentedL402 } from "../challenges/presented-l402.ts";
import type { Gate, GateEnv } from "../gate.ts";
import type { Redeemed } from "../limits/credits.ts";
import { payableCost, price } from "../limits/price.ts";
import type { Message } from "../mcp/message.ts";
import { signingKeys, tagOf } from "../passage/offer.ts";
import { NO_PAYMENT, type Shown } from "../passage/shop.ts";
import { type Pending, pendingAnswer } from "./pending-answer.ts";
import type { Till } from "./till.ts";

export type Redeeming =
  | { readonly kind: "redeemed"; readonly paid: Paid; readonly redeemed: Redeemed & { readonly ok: true } }
  /** It counted before, and is used up; or it cannot be handed in any more. */
  | { readonly kind: "over"; readonly paid: Paid; readonly why: (Redeemed & { readonly ok: false })["why"] }
  /** It is good, and cannot be put on its account now; or the node does not say yet that the money has come. */
  | { readonly kind: "pending"; readonly why: Pending }
  | { readonly kind: "bad"; readonly check: CredentialCheck & { readonly ok: false } };

/** What a request shows, on its account from now on where it is good. */
export async function lookAtPayment(till: Till, request: Request, messages: readonly Message[], gate: Gate, env: GateEnv): Promise<Shown> {
  const credential = presentedL402(request.headers, messages);
  if (!credential) return NO_PAYMENT;
  const text = `${credential.macaroons.join(",")}:${credential.preimage}`;
  const known = till.redeemed.get(text, Date.now());
  if (known) return { kind: "paid", paid: known };
  const taken = await redeemPayment(till, gate, env, credential, messages);
  if (taken.kind === "pending") return { kind: "pending", answer: (asked) => pendingAnswer(taken.why, asked) };
  // Room on a full account may come yet.
  if (taken.kind === "bad" || (taken.kind === "over" && taken.why === "too-many")) return NO_PAYMENT;
  till.redeemed.set(text, taken.paid, taken.paid.validUntil);
  return { kind: "paid", paid: taken.paid };
}

/** @param messages those that it is shown with: the first of the credit is kept for them */
export async function redeemPayment(
  till: Till,
  gate: Gate,
  env: GateEnv,
  credential: L402Credential,
  messages: readonly Message[],
): Promise<Redeeming> {
  const keys = await signingKeys(gate, env);
  if (!keys) return { kind: "bad", check: { ok: false, why: "unknown-key" } };
  const check = await checkCredential(credential, keys, Date.now());
  if (!check.ok) return { kind: "bad", check };
  const { paid } = check;
  if (paid.network !== till.terms.node.network) return { kind: "bad", check: { ok: false, why: "restricted" } };
  const pending = till.terms.confirmsPayments ? await whyUnconfirmed(till, gate, env, paid) : null;
  if (pending) return { kind: "pending", why: pending };
  const now = Date.now();
  const inForce = await gate.terms.ofPlan(paid.plan, env.KEYS, now);
  const terms = inForce?.terms ?? gate.policy.newBearerTerms;
  const { rate } = terms;
  const priced = price(messages, terms);
  const { paymentHash, account, isForHolder, calls, redeemBy, lifeMs, rememberUntil } = paid;
  const redemption = {
    id: paymentHash,
    redeemableUntil: redeemBy,
    payment: { isForHolder },
    calls,
    expiresAt: Math.min(now + lifeMs, paid.validUntil),
    keptFor: { tag: tagOf(messages, priced, []), cost: payableCost(priced, terms) },
    rate: { burst: rate.burst, perMinute: rate.perMinute },
  };
  const redeemed = await redeemPaid(env.CONSUMERS, consumerOfAccount(account), redemption, rememberUntil);
  if (!redeemed) return { kind: "pending", why: "unavailable" };
  if (!redeemed.ok) return { kind: "over", paid, why: redeemed.why };
  // A copy that its holder has made good for fewer calls, shown when there are more: the account cannot tell who spends how many.
  if (redeemed.calls > calls) return { kind: "bad", check: { ok: false, why: "restricted" } };
  if (redeemed.isFirst) gate.log({ event: "redeemed", account, plan: paid.plan, offer: "l402", paymentHash, calls });
  return { kind: "redeemed", paid, redeemed };
}

/**
 * Asks the node about a payment that has not counted yet and still may. One that has counted may be older than what a node
 * remembers, and comes with each call of its holder.
 * @returns null when there is nothing to ask, or the node says that the money has come
 */
async function whyUnconfirmed({ node }: Till, gate: Gate, env: GateEnv, paid: Paid): Promise<Pending | null> {
  const { account, paymentHash, redeemBy } = paid;
  if (redeemBy <= Date.now()) return null;
  const isRedeemed = await isPaymentRedeemed(env.CONSUMERS, consumerOfAccount(account), paymentHash);
  if (isRedeemed !== false) return isRedeemed ? null : "unavailable";
  const looked = await node.with(env.LIGHTNING_SECRET ?? "").lookupInvoice(paymentHash, Date.now());
  if (looked.ok) return looked.state === "settled" ? null : "unsettled";
  if (looked.problem.kind !== "away") gate.log({ event: "node-unavailable", ...looked.problem });
  return "unavailable";
}
