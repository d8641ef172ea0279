/**
 * A proof-of-work challenge as a gate sends it, and what solves it. What comes over the network is parsed here once, into
 * exact types: from the `challenges` of a refusal, or from a `WWW-Authenticate: PowChallenge` header.
 */

import { readAuthParameters } from "./auth-header.ts";
import { isField, isTime, readList } from "./challenge-field.ts";

/** `SHA-256(salt + nonce)`, both as UTF-8, must begin with `difficulty` zero bits. */
export interface PowChallenge {
  readonly type: "pow";
  readonly algorithm: "SHA-256";
  readonly id: string;
  readonly salt: string;
  /** Zero bits. */
  readonly difficulty: number;
  readonly signature: string;
  /** ISO 8601; after it the gate takes no solution. */
  readonly expiresAt?: string;
  /** The URL to which a solution is posted, absolute or relative to the gate. */
  readonly verify?: string;
}

/** What is posted to `verify`. */
export interface PowSolution {
  readonly id: string;
  readonly salt: string;
  readonly nonce: string;
  readonly signature: string;
}

const SCHEME = /(?:^|,)\s*PowChallenge\s+/i;

/** The challenges of a list that are proofs of work and well formed; others are left out. */
export function readPowChallenges(list: unknown): PowChallenge[] {
  return readList(list, readPowChallenge);
}

/** Null when it is no well-formed proof-of-work challenge that this client knows how to solve. */
export function readPowChallenge(value: unknown): PowChallenge | null {
  if (typeof value !== "object" || value === null) return null;
  const { type, algorithm = "SHA-256", id, salt, difficulty, signature, expiresAt, verify } = value as Record<string, unknown>;
  if (type !== "pow" || algorithm !== "SHA-256" || !isField(id) || !isField(salt) || !isField(signature)) return null;
  if (typeof difficulty !== "number" || !Number.isInteger(difficulty) || difficulty < 0) return null;
  return {
    type,
    algorithm,
    id,
    salt,
    difficulty,
    signature,
    ...(isTime(expiresAt) ? { expiresAt } : {}),
    ...(isField(verify) ? { verify } : {}),
  };
}

/** The solution to post for a nonce. */
export function solutionOf({ id, salt, signature }: PowChallenge, nonce: string): PowSolution {
  return { id, salt, nonce, signature };
}

/** The challenge of a `WWW-Authenticate` header, for bodies that cannot be read. */
export function readPowHeader(header: string): PowChallenge | null {
  const parameters = readAuthParameters(header, SCHEME);
  if (parameters === null) return null;
  const { difficulty, expiresat: expiresAt, ...others } = parameters;
  return readPowChallenge({
    type: "pow",
    ...others,
    expiresAt,
    difficulty: /^\d{1,3}$/.test(difficulty ?? "") ? Number(difficulty) : null,
  });
}
