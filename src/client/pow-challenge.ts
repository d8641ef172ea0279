/**
 * A proof-of-work challenge as a gate sends it, and what solves it. What comes over the network is parsed here once, into
 * exact types: from the `challenges` of a refusal, or from a `WWW-Authenticate: PowChallenge` header.
 */

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

/** Far more than any gate sends: what is longer is not for us. */
const MAX_FIELD_CHARS = 4_096;
/** A refusal offers a few ways on, never many. */
const MAX_CHALLENGES = 16;

/** The challenges of a list that are proofs of work and well formed; others are left out. */
export function readPowChallenges(list: unknown): PowChallenge[] {
  if (!Array.isArray(list)) return [];
  return list.slice(0, MAX_CHALLENGES).flatMap((item: unknown) => readPowChallenge(item) ?? []);
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
    ...(isField(expiresAt) && !Number.isNaN(Date.parse(expiresAt)) ? { expiresAt } : {}),
    ...(isField(verify) ? { verify } : {}),
  };
}

/** The solution to post for a nonce. */
export function solutionOf({ id, salt, signature }: PowChallenge, nonce: string): PowSolution {
  return { id, salt, nonce, signature };
}

/**
 * The challenge of a `WWW-Authenticate` header (RFC 9110, 11.6.1), for bodies that cannot be read. The header may carry
 * several challenges of several schemes in one line, which `Headers` joins with commas.
 */
export function readPowHeader(header: string): PowChallenge | null {
  const scheme = /(?:^|,)\s*PowChallenge\s+/i.exec(header);
  if (!scheme) return null;
  const parameters = new Map<string, string>();
  let rest = header.slice(scheme.index + scheme[0].length);
  for (;;) {
    const found = /^([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,\s*|$)/.exec(rest);
    // A word with no `=` begins the next challenge.
    if (!found) break;
    parameters.set(found[1]!.toLowerCase(), found[2]?.replaceAll(/\\(.)/g, "$1") ?? found[3]!);
    rest = rest.slice(found[0].length);
  }
  const { difficulty, expiresat: expiresAt, ...others } = Object.fromEntries(parameters);
  return readPowChallenge({
    type: "pow",
    ...others,
    expiresAt,
    difficulty: /^\d{1,3}$/.test(difficulty ?? "") ? Number(difficulty) : null,
  });
}

function isField(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= MAX_FIELD_CHARS;
}
