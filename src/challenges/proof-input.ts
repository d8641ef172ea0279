/** What a caller hands in for prepaid calls: the solution of a proof of work, or a payment with its macaroon. */

import type { L402Credential } from "./l402.ts";
import type { L402BodyReading } from "./presented-l402.ts";
import type { Solution } from "./proof-of-work.ts";
import { readSolution } from "./solution-input.ts";

export type Proof =
  | { readonly kind: "solution"; readonly solution: Solution }
  | { readonly kind: "payment"; readonly credential: L402Credential };

export type ProofReading =
  | { readonly ok: true; readonly proof: Proof }
  /** One sentence for each mistake. */
  | { readonly ok: false; readonly problems: readonly string[] };

/**
 * @param body parsed JSON
 * @param readPayment null where no payments are taken
 */
export function readProof(body: Readonly<Record<string, unknown>>, readPayment: ((body: unknown) => L402BodyReading) | null): ProofReading {
  if (readPayment && looksLikePayment(body)) {
    const read = readPayment(body);
    return read.ok ? { ok: true, proof: { kind: "payment", credential: read.credential } } : read;
  }
  const read = readSolution(body);
  return read.ok ? { ok: true, proof: { kind: "solution", solution: read.solution } } : read;
}

/** Whether a payment is meant, good or not. */
export function looksLikePayment(body: Readonly<Record<string, unknown>>): boolean {
  return "macaroon" in body || "preimage" in body;
}
