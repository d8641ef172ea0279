/** What the gate's MCP tools say of payments, and take, where calls are sold. */

import type { L402Challenge, PaymentTexts, Verified } from "../tools/definitions.ts";
import { MAX_MACAROON_CHARS, MAX_SOLUTION_CHARS, SOLUTION, string } from "../tools/schemas.ts";

/** Where payments are taken as well: either the four of a proof of work, or the two of a payment. */
const VERIFY_INPUT = {
  type: "object",
  properties: {
    ...SOLUTION,
    macaroon: string("Of a payment: the challenge's macaroon, as it was given.", MAX_MACAROON_CHARS),
    preimage: string("Of a payment: what paying the invoice has shown, 64 hexadecimal digits.", MAX_SOLUTION_CHARS),
  },
  additionalProperties: false,
} as const;

const CHALLENGE_INPUT = {
  type: "object",
  properties: {
    type: { enum: ["pow", "l402"], description: "pow: a proof of work. l402: a Lightning invoice. Left out: what your plan offers." },
  },
  additionalProperties: false,
} as const;

/** A proof of work, or a payment. */
const CHALLENGE_OUTPUT = {
  type: "object",
  properties: {
    type: { enum: ["pow", "l402"] },
    expiresAt: { type: "string", description: "ISO 8601. Hand the solution in, or pay, before." },
    id: { type: "string" },
    salt: { type: "string", description: "Put before the nonce when hashing." },
    difficulty: { type: "integer", minimum: 0, description: "How many leading bits of SHA-256(salt + nonce) must be zero." },
    signature: { type: "string" },
    macaroon: { type: "string" },
    invoice: { type: "string", description: "BOLT11: what a Lightning wallet pays." },
    priceSats: { type: "integer", minimum: 1 },
    calls: { type: "integer", minimum: 1, description: "What the price buys." },
  },
  required: ["type", "expiresAt"],
} as const;

function wordInvoice({ priceSats, calls, expiresAt }: L402Challenge, verify: string): string {
  return `Pay the invoice with a Lightning wallet before ${expiresAt}: ${priceSats} sats for ${count(calls)}. Then call ${verify} with the macaroon and the preimage, and send the refused call again.`;
}

function wordToShow({ calls, expiresAt, callsExpireAt = expiresAt }: Verified): string {
  const prepaid = calls === 1 ? "1 prepaid call is" : `${calls} prepaid calls are`;
  return `Accepted: ${prepaid} yours until ${callsExpireAt}. You are known by your address alone, which others may share, so they are spent only by calls that show what paid for them: the header "Authorization: L402 <macaroon>:<preimage>", or until ${expiresAt} the header "Turnpike-Pass" with the token. Now send the refused call again with one of them.`;
}

function count(calls: number): string {
  return calls === 1 ? "1 call" : `${calls} calls`;
}

export const PAYMENT_TEXTS: PaymentTexts = {
  challengeInput: CHALLENGE_INPUT,
  challengeOutput: CHALLENGE_OUTPUT,
  verifyInput: VERIFY_INPUT,
  ofChallenge:
    "With type l402 it is a Lightning invoice instead: pay it only if you have a wallet to pay with and leave to do so, and call verify with the macaroon and the preimage that paying has shown.",
  ofVerify: "Of a paid invoice, hand in macaroon and preimage: the answer says how its calls are spent.",
  remedy: " Of a payment, send the macaroon as it was given, and the preimage.",
  wordInvoice,
  wordToShow,
};
