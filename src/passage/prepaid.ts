/**
 * What a request shows pays for its call: a payment, or a pass. It identifies nobody, and stands in for what can be paid for and
 * for nothing else. On the caller's own account it is spent by the question that is asked there anyway; on any other by a
 * second question, once the caller's own limits have refused. What is bad, foreign to this gate or spent changes nothing: the
 * refusal stays what it was.
 */

import { accountOf, consumerOfAccount, refundConsumer, spendCredit, undoConsumer } from "../../durable-objects/ask-consumer.ts";
import { readPass } from "../challenges/pass.ts";
import { presentedPass } from "../challenges/presented-pass.ts";
import type { Caller } from "../consumers/caller.ts";
import type { AskOptions } from "./ask.ts";
import type { Decision, Pass } from "./decision.ts";
import { signingKeys } from "./offer.ts";
import type { Passage } from "./passage.ts";

export interface ShownCredit {
  readonly consumer: string;
  readonly creditId: string;
  /** It is on the caller's own account. */
  readonly isOwn: boolean;
}

/** The credit that a request shows; null when it shows none that is good. */
export async function shownCredit(passage: Passage, caller: Caller): Promise<ShownCredit | null> {
  const { gate, env, request, messages, payment } = passage;
  if (payment) {
    const isOwn = isOwnPayment(passage, caller);
    return { consumer: isOwn ? caller.id : consumerOfAccount(payment.account), creditId: payment.paymentHash, isOwn };
  }
  const token = presentedPass(request.headers, messages);
  if (token === null) return null;
  const keys = await signingKeys(gate, env);
  const read = keys ? await readPass(token, keys, Date.now()) : null;
  if (!read?.ok) return null;
  const { consumer, creditId } = read.pass;
  return { consumer, creditId, isOwn: consumer === caller.id };
}

/** The credit of the caller's own account that a payment shows, known without a further look; empty for none. */
export function ownPaymentShown(passage: Passage, caller: Caller): string {
  return passage.payment && isOwnPayment(passage, caller) ? passage.payment.paymentHash : "";
}

function isOwnPayment({ env, payment }: Passage, caller: Caller): boolean {
  return payment?.account === accountOf(env.CONSUMERS, caller.id);
}

/**
 * Once the caller's own limits have refused what could be paid for.
 * @param bill `cost` in units of credit; `tag`: see `tagOf`
 * @param asked how it was asked before
 * @param askAgain asks once more, as is said
 * @returns null when what is shown does not pay
 */
export async function payByShown(
  passage: Passage,
  caller: Caller,
  { cost: units, tag }: { readonly cost: number; readonly tag: number },
  asked: AskOptions,
  askAgain: (options: AskOptions) => Promise<Decision>,
): Promise<Pass | null> {
  const { env, ctx } = passage;
  const shown = await shownCredit(passage, caller);
  if (!shown) return null;
  const { consumer, creditId, isOwn } = shown;
  if (isOwn) {
    if (asked.shown === creditId) return null;
    const again = await askAgain({ ...asked, shown: creditId });
    return again.kind === "pass" ? again : null;
  }
  const attempt = newAttempt();
  const spent = await spendCredit(env.CONSUMERS, consumer, { creditId, units, tag, attempt });
  if (!spent) ctx.waitUntil(undoConsumer(env.CONSUMERS, consumer, attempt));
  if (!spent || spent.ticket === null) return null;
  const again = await askAgain({ ...asked, isPrepaid: true });
  if (again.kind === "pass") return { ...again, payer: { consumer, ticket: spent.ticket } };
  ctx.waitUntil(refundConsumer(env.CONSUMERS, consumer, spent.ticket));
  return null;
}

const ATTEMPTS = 2 ** 48;

/** Names a question, among those of a consumer and of some minutes. */
export function newAttempt(): number {
  return Math.floor(Math.random() * ATTEMPTS);
}
