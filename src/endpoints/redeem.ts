/** A proof that something was done for calls becomes prepaid calls: the solution of a proof of work, or a payment. */

import type { Proof } from "../challenges/proof-input.ts";
import { MEMO_MS } from "../limits/refusal-memo.ts";
import type { Visit, Visitor } from "./caller.ts";
import { type Done, failed } from "./done.ts";
import { endpointProblem } from "./problems.ts";
import { redeemSolution } from "./redeem-solution.ts";

export interface Prepaid {
  /** A pass: whoever shows it within its time spends the credit. */
  readonly token: string;
  readonly calls: number;
  /** Until when the pass is good: ISO 8601. */
  readonly expiresAt: string;
  /** Until when the calls are, where that is longer: ISO 8601. */
  readonly callsExpireAt?: string;
  /** The account is an address, which others share: only calls that show the token, or the payment, are paid for. */
  readonly mustBeShown?: true;
}

/** @param visitor finds out who it is; called only for a proof that is worth it */
export async function redeemProof(visit: Visit, proof: Proof, visitor: () => Promise<Visitor>): Promise<Done<Prepaid>> {
  const redeemed = await (proof.kind === "solution"
    ? redeemSolution(visit, proof.solution, visitor)
    : (visit.gate.shop?.handIn(visit, proof.credential, visitor) ?? failed(endpointProblem("not-offered"))));
  // Whoever is told "done" must not be met by a refusal that an isolate still remembers.
  if (redeemed.ok) await new Promise((resolve) => setTimeout(resolve, MEMO_MS));
  return redeemed;
}
