/**
 * Who is asked about a POST: the caller's own object, and for a bearer that the origin has not accepted yet, the address before
 * it. The address comes first because whoever makes up tokens is then refused by one object, without a row in each
 * that has a made-up name. It pays only when both let the call through.
 */

import { ask, askOnTerms } from "./ask.ts";
import { addressBehind } from "../consumers/address-behind.ts";
import type { Caller } from "../consumers/caller.ts";
import type { Decision, Refused } from "./decision.ts";
import type { Passage } from "./passage.ts";
import { ownPaymentShown } from "./prepaid.ts";
import { giveBack } from "./settle.ts";

export async function askForCaller(passage: Passage, caller: Caller, now: number): Promise<Decision> {
  if (caller.kind !== "bearer") return ask(passage, caller, now);
  const { gate, env } = passage;
  if (await gate.acceptances.isAccepted(env.CONSUMERS, caller.id, now)) return ask(passage, caller, Date.now());
  const address = await askAddress(passage, Date.now());
  if (address.kind !== "pass") return address;
  const own = await ask(passage, caller, Date.now());
  if (own.kind === "pass")
    return { ...own, waitMs: Math.max(own.waitMs, address.waitMs), slots: [...own.slots, ...address.slots], alongside: address };
  giveBack(passage, address);
  return own.kind === "refuse" ? withoutOffer(own) : own;
}

/** Nothing can be won for an account that is only a made-up token, for all that is known (see endpoints/caller.ts). */
function withoutOffer({ kind, caller, terms, refusal, isRemembered }: Refused): Refused {
  return { kind, caller, terms, refusal, isRemembered };
}

/**
 * The same charges on the address's plan, or where the policy has none for it, on a bucket for this alone. A loop is its
 * caller's own: the first calls of many callers behind one address may well be the same.
 */
async function askAddress(passage: Passage, now: number): Promise<Decision> {
  const { gate, env, request } = passage;
  const { caller, terms } = await addressBehind(request.headers, gate, env, now);
  return askOnTerms(passage, caller, terms, now, {
    mayRenew: false,
    watchesLoops: false,
    isPrepaid: false,
    shown: ownPaymentShown(passage, caller),
  });
}
