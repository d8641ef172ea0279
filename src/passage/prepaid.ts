/**
 * A pass pays for a call of whoever shows it: once the caller's own limits have refused, its credit is spent in the account that
 * it names, by a second question there. It identifies nobody, and stands in for what can be paid for and for nothing else.
 * A pass that is bad, foreign to this gate or spent changes nothing: the refusal stays what it was.
 */

import { refundConsumer, spendCredit } from "../../durable-objects/ask-consumer.ts";
import { readPass } from "../challenges/pass.ts";
import { presentedPass } from "../challenges/presented-pass.ts";
import type { Caller } from "../consumers/caller.ts";
import type { Decision, Pass } from "./decision.ts";
import { signingKeys, tagOf } from "./offer.ts";
import type { Passage } from "./passage.ts";

/**
 * @param units what the call costs
 * @param askAgain asks once more, with what is payable paid
 * @returns null when the pass does not pay
 */
export async function payByPass(passage: Passage, caller: Caller, units: number, askAgain: () => Promise<Decision>): Promise<Pass | null> {
  const { gate, env, ctx, messages, request } = passage;
  const token = presentedPass(request.headers, messages);
  if (token === null) return null;
  const keys = await signingKeys(gate, env);
  const read = keys ? await readPass(token, keys, Date.now()) : null;
  // The caller's own credits have been looked at by its own object.
  if (!read?.ok || read.pass.consumer === caller.id) return null;
  const { consumer, creditId } = read.pass;
  const spent = await spendCredit(env.CONSUMERS, consumer, creditId, units, tagOf(messages, []));
  if (!spent || spent.ticket === null) return null;
  const again = await askAgain();
  if (again.kind === "pass") return { ...again, payer: { consumer, ticket: spent.ticket } };
  ctx.waitUntil(refundConsumer(env.CONSUMERS, consumer, spent.ticket));
  return null;
}
