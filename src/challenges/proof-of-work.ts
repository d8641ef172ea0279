/**
 * Proof of work: a challenge that costs one signature to make, processor time to solve, and one signature and one hash to
 * check. Nothing is stored until it is solved: all that must be known again is in the id, and signed. The id is
 * also what a solved challenge is counted under, so it has exactly one spelling.
 *
 * A nonce solves a challenge when SHA-256(salt + nonce), both as they are written, starts with `difficulty` zero bits. SHA-256
 * works on blocks of 64 bytes, of which 9 are its own: the 22 characters of a salt leave 33 for a nonce before a second block
 * doubles the work of each try.
 */

import { base64url } from "jose";
import { isoTime } from "../iso-time.ts";
import { consumerTag } from "./consumer-tag.ts";
import { type ChallengedCall, decodeId, encodeId, ID_LENGTH, ID_RANDOM_BYTES } from "./challenge-id.ts";
import { findKey, type SigningKeys } from "./secrets.ts";

/** The hardest challenge takes a slow core some 15 seconds in the mean, and five times that in one case of a hundred. */
export const CHALLENGE_LIFE_MS = 300_000;
/** 128 bits: nobody has tried nonces for a salt before it was given out. */
const SALT_BYTES = 16;
/** What a challenge needs of randomness. */
export const CHALLENGE_RANDOM_BYTES = ID_RANDOM_BYTES + SALT_BYTES;
const MAX_NONCE_LENGTH = 64;

export interface PowChallenge {
  readonly type: "pow";
  readonly algorithm: "SHA-256";
  /** 48 characters of base64url. */
  readonly id: string;
  /** 22 characters of base64url. */
  readonly salt: string;
  /** Zero bits at the start of the hash. Each doubles the work. */
  readonly difficulty: number;
  /** ISO 8601, a whole second. */
  readonly expiresAt: string;
  /** HMAC-SHA256 over id and salt; 43 characters of base64url. */
  readonly signature: string;
  /** The URL that takes the solution. */
  readonly verify: string;
}

/** What comes back: the challenge's own three texts, and the nonce that was found. */
export interface Solution {
  readonly id: string;
  readonly salt: string;
  readonly nonce: string;
  readonly signature: string;
}

/** What each text of a solution looks like. A nonce is of visible ASCII and spaces, so that its bytes are beyond doubt. */
export const SOLUTION_FORMS: Readonly<Record<keyof Solution, RegExp>> = {
  id: new RegExp(`^[\\w-]{${ID_LENGTH}}$`),
  salt: /^[\w-]{22}$/,
  nonce: new RegExp(`^[\\x20-\\x7e]{1,${MAX_NONCE_LENGTH}}$`),
  signature: /^[\w-]{43}$/,
};
const PARTS = ["id", "salt", "nonce", "signature"] as const satisfies readonly (keyof Solution)[];

export interface Solved {
  /** What the credit is counted under: once in the world. */
  readonly id: string;
  readonly difficulty: number;
  /** The account's solves when the challenge was made: see difficulty.ts for when that is too long ago. */
  readonly solvesAtIssue: number;
  readonly call: ChallengedCall;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

export type SolutionFault =
  /** Signed with a secret that is not, or no longer, in use. */
  | "unknown-key"
  /** Id, salt and signature do not belong together. */
  | "altered"
  | "expired"
  /** All is as it was issued, and the nonce does not solve it. */
  | "wrong-nonce";

export interface PowOrder {
  /** The consumer id of the account that the credit will be on. */
  readonly consumer: string;
  /** 0 to 255 bits: see difficulty.ts. */
  readonly difficulty: number;
  /** The account's solves so far. */
  readonly solves: number;
  readonly call: ChallengedCall;
  readonly verify: string;
}

/**
 * A fresh challenge.
 * @param random `CHALLENGE_RANDOM_BYTES` random bytes, used for nothing else
 * @param now epoch milliseconds
 */
export async function issueChallenge(
  { consumer, difficulty, solves, call, verify }: PowOrder,
  { current }: SigningKeys,
  random: Uint8Array,
  now: number,
): Promise<PowChallenge> {
  if (random.length !== CHALLENGE_RANDOM_BYTES) throw new RangeError(`needs ${CHALLENGE_RANDOM_BYTES} random bytes`);
  const expiresAt = Math.ceil((now + CHALLENGE_LIFE_MS) / 1_000) * 1_000;
  const id = encodeId({
    keyId: current.id,
    difficulty,
    expiresAt,
    solves,
    consumerTag: await consumerTag(consumer, current, now),
    call,
    random: random.subarray(0, ID_RANDOM_BYTES),
  });
  const salt = base64url.encode(random.subarray(ID_RANDOM_BYTES));
  const signature = base64url.encode(new Uint8Array(await crypto.subtle.sign("HMAC", current.pow, encoder.encode(signedText(id, salt)))));
  return { type: "pow", algorithm: "SHA-256", id, salt, difficulty, expiresAt: isoTime(expiresAt), signature, verify };
}

/** A solution of a challenge of this gate's, whoever it was issued to. */
export interface GenuineSolution {
  readonly ok: true;
  readonly solved: Solved;
  readonly isFor: (consumer: string, now: number) => Promise<boolean>;
}

export type GenuineCheck =
  | GenuineSolution
  /** Not the form of such a text at all. */
  | { readonly ok: false; readonly why: "malformed"; readonly part: keyof Solution }
  | { readonly ok: false; readonly why: SolutionFault };

/**
 * Whether a solution is genuine, for which nobody has to be known: one signature and one hash. `isFor` then tells whose it is. Says
 * nothing of whether it has been counted before: only the account knows that.
 * @param now epoch milliseconds
 */
export async function checkGenuine(solution: Solution, keys: SigningKeys, now: number): Promise<GenuineCheck> {
  for (const part of PARTS) if (!SOLUTION_FORMS[part].test(solution[part])) return { ok: false, why: "malformed", part };
  const { id, salt, nonce, signature } = solution;
  const issued = decodeId(id);
  if (!issued) return { ok: false, why: "malformed", part: "id" };
  const key = findKey(keys, issued.keyId);
  if (!key) return { ok: false, why: "unknown-key" };

  const isSigned = await crypto.subtle.verify(
    "HMAC",
    key.pow,
    new Uint8Array(base64url.decode(signature)),
    encoder.encode(signedText(id, salt)),
  );
  if (!isSigned) return { ok: false, why: "altered" };
  const { difficulty, expiresAt, solves, call } = issued;
  if (expiresAt <= now) return { ok: false, why: "expired" };
  const hash = await crypto.subtle.digest("SHA-256", encoder.encode(salt + nonce));
  if (leadingZeroBits(new Uint8Array(hash)) < difficulty) return { ok: false, why: "wrong-nonce" };
  return {
    ok: true,
    solved: { id, difficulty, solvesAtIssue: solves, call, expiresAt },
    async isFor(consumer, at) {
      // The tag is signed and was given out: comparing it in constant time would hide nothing.
      const tag = await consumerTag(consumer, key, at);
      return tag.every((byte, i) => byte === issued.consumerTag[i]);
    },
  };
}

const encoder = new TextEncoder();

/** Both have one length only, and no dot in them. The consumer is in the id. */
function signedText(id: string, salt: string): string {
  return `${id}.${salt}`;
}

function leadingZeroBits(hash: Uint8Array): number {
  let bits = 0;
  for (const byte of hash) {
    if (byte !== 0) return bits + Math.clz32(byte) - 24;
    bits += 8;
  }
  return bits;
}
