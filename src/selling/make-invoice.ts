/** An invoice that somebody asks for, for no call in particular. */

import type { Challenge } from "../challenges/challenge.ts";
import type { SigningKeys } from "../challenges/secrets.ts";
import type { Known, Visit } from "../endpoints/caller.ts";
import { type Done, failed } from "../endpoints/done.ts";
import type { L402Offer } from "../limits/terms.ts";
import { paymentProblem } from "./problems.ts";
import { sell } from "./sell.ts";
import type { Till } from "./till.ts";

export async function makeInvoice(till: Till, visit: Visit, known: Known, offer: L402Offer, keys: SigningKeys): Promise<Done<Challenge>> {
  const { caller, terms } = known;
  const sold = await sell(till, { ...visit, keys }, { caller, plan: terms.plan, cost: offer.calls, isRemembered: false }, offer);
  return sold.kind === "challenge" ? { ok: true, value: sold.challenge } : failed(paymentProblem("payment-unavailable"));
}
