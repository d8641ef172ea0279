/**
 * A pass pays for a call of whoever shows it: once the caller's own limits have refused, its credit is spent in the account that
 * it names, by a second question there. It identifies nobody, and stands in for what can be paid for and for nothing else.
 * A pass that is bad, foreign to this gate or spent changes nothing: the refusal stays what it was.
 */

import { refundConsumer, spendCredit } from "../../durable-objects/ask-consumer.ts";
import { type Pass as CreditPass, readPass } from "../challenges/pass.ts";
import { presentedPass } from "../challenges/presented-pass.ts";
import type { Caller } from "../consumers/caller.ts";
import type { Decision, Pass } from "./decision.ts";
import { signingKeys } from "./offer.ts";
import type { Passage } from "./passage.ts";

/** The credit that a request's pass names; null when there is none with it, or a bad one, or one on the caller's own account. */
export async function shownCredit({ gate, env, request, messages }: Passage, caller: Caller): Promise<ShownCredit | null> {
  const token = presentedPass(request.headers, messages);
  if (token === null) return null;
  const keys = await signingKeys(gate, env);
  const read = keys ? await readPass(token, keys, Date.now()) : null;
  // The caller's own credits are looked at by its own object.
  return read?.ok && read.pass.consumer !== caller.id ? read.pass : null;
}

export type ShownCredit = Pick<CreditPass, "consumer" | "creditId">;

/**
 * @param units of credit that the call takes
 * @param tag see `tagOf`
 * @param askAgain asks once more, with what is payable paid
 * @returns null when the pass does not pay
 */
export async function payByPass(
  passage: Passage,
  caller: Caller,
  { cost: units, tag }: { readonly cost: number; readonly tag: number },
  askAgain: () => Promise<Decision>,
): Promise<Pass | null> {
  const { env, ctx } = passage;
  const shown = await shownCredit(passage, caller);
  if (!shown) return null;
  const { consumer, creditId } = shown;
  const spent = await spendCredit(env.CONSUMERS, consumer, creditId, units, tag);
  if (!spent || spent.ticket === null) return null;
  const again = await askAgain();
  if (again.kind === "pass") return { ...again, payer: { consumer, ticket: spent.ticket } };
  ctx.waitUntil(refundConsumer(env.CONSUMERS, consumer, spent.ticket));
  return null;
}
