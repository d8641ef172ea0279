/**
 * What the gate knows of selling calls for money. How it is done stands in src/selling/, which comes with the policy: a gate that
 * sells nothing carries nothing of it.
 */

import type { Challenge } from "../challenges/challenge.ts";
import type { L402Challenge, L402Credential, Paid } from "../challenges/l402.ts";
import type { L402BodyReading } from "../challenges/presented-l402.ts";
import type { SigningKeys } from "../challenges/secrets.ts";
import type { Caller } from "../consumers/caller.ts";
import type { Known, Visit, Visitor } from "../endpoints/caller.ts";
import type { Done } from "../endpoints/done.ts";
import type { Prepaid } from "../endpoints/redeem.ts";
import type { Gate, GateEnv } from "../gate.ts";
import type { L402Offer } from "../limits/terms.ts";
import type { Message } from "../mcp/message.ts";
import type { Asked } from "../refusals/answer.ts";
import type { PaymentTexts } from "../tools/definitions.ts";

export interface Shop {
  /** An invoice for whoever has been refused. */
  sell(counter: Counter, buyer: Buyer, offer: L402Offer): Promise<Sold>;
  /** What a request shows: a payment is on its account from then on, whether this call needs it or not. */
  look(request: Request, messages: readonly Message[], gate: Gate, env: GateEnv): Promise<Shown>;
  /** At the gate's own endpoints: an invoice that somebody asks for, and a payment that is handed in. */
  makeChallenge(visit: Visit, known: Known, offer: L402Offer, keys: SigningKeys): Promise<Done<Challenge>>;
  readonly readPayment: (body: unknown) => L402BodyReading;
  handIn(visit: Visit, credential: L402Credential, visitor: () => Promise<Visitor>): Promise<Done<Prepaid>>;
  /** What the gate's MCP tools say of payments. */
  readonly texts: PaymentTexts;
}

export interface Buyer {
  readonly caller: Pick<Caller, "id" | "kind">;
  readonly plan: string;
  /** The units of credit that are needed. */
  readonly cost: number;
  /** Refused from memory: in a flood, which must not reach the object. */
  readonly isRemembered: boolean;
}

/** Where it is sold, and what with. */
export interface Counter {
  readonly gate: Gate;
  readonly env: GateEnv;
  readonly ctx: ExecutionContext;
  readonly keys: SigningKeys;
  readonly url: URL;
}

export type Sold =
  | { readonly kind: "challenge"; readonly challenge: L402Challenge }
  /** Paying is not possible now, and would be else. */
  | { readonly kind: "unavailable" }
  /** Everything that may be open at once is, or is being made. */
  | { readonly kind: "full" };

export type Shown =
  | { readonly kind: "none" }
  | { readonly kind: "paid"; readonly paid: Paid }
  /** It is good, and cannot count yet: it must neither be lost nor asked for again, so the call waits for it. */
  | { readonly kind: "pending"; answer(asked: Asked): Response };

export const NO_PAYMENT: Shown = { kind: "none" };
