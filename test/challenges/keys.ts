/** Signing keys, challenges and solvers for tests. */

import { createHash, hkdfSync, randomBytes } from "node:crypto";
import { NO_CALL } from "../../src/challenges/challenge-id.ts";
import {
  CHALLENGE_RANDOM_BYTES,
  checkGenuine,
  type GenuineCheck,
  issueChallenge,
  type PowChallenge,
  type Solution,
  type Solved,
} from "../../src/challenges/proof-of-work.ts";
import { openSecrets, type SigningKeys } from "../../src/challenges/secrets.ts";

export const NOW = Date.UTC(2026, 10, 21, 12);
export const SECRET = "first-secret-of-these-tests-0123456789";
export const NEXT_SECRET = "second-secret-of-these-tests-0123456789";
export const VERIFY = "https://gate.example/turnpike/verify";

export async function keysOf(current: string, previous?: string): Promise<SigningKeys> {
  const opened = await openSecrets(current, previous);
  if (!opened.ok) throw new Error(opened.why);
  return opened.keys;
}

/** HKDF-SHA256, as src/challenges/secrets.ts documents it. */
export function derivedKey(secret: string, use: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, "turnpike", use, bytes));
}

interface Order {
  readonly consumer?: string;
  readonly difficulty?: number;
  readonly solves?: number;
  readonly now?: number;
}

export async function challengeFor(order: Order = {}, keys?: SigningKeys): Promise<PowChallenge> {
  const { consumer = "key:acme", difficulty = 4, solves = 0, now = NOW } = order;
  return issueChallenge(
    { consumer, difficulty, solves, call: NO_CALL, verify: VERIFY },
    keys ?? (await keysOf(SECRET)),
    randomBytes(CHALLENGE_RANDOM_BYTES),
    now,
  );
}

/** Tries numbers, as a client does that knows only what is written about challenges. */
export function solve({ id, salt, difficulty, signature }: PowChallenge): Solution {
  for (let nonce = 0; nonce < 1_000_000; nonce++) {
    if (zeroBits(salt + nonce) >= difficulty) return { id, salt, nonce: String(nonce), signature };
  }
  throw new Error("not solved");
}

/** A nonce that does not solve it. */
export function fail({ id, salt, difficulty, signature }: PowChallenge): Solution {
  for (let nonce = 0; nonce < 1_000; nonce++) {
    if (zeroBits(salt + nonce) < difficulty) return { id, salt, nonce: String(nonce), signature };
  }
  throw new Error("every nonce solves it");
}

/** Zero bits at the start of the hash, counted as they are defined. */
export function zeroBits(text: string): number {
  const hash = createHash("sha256").update(text).digest();
  const bits = Array.from(hash, (byte) => byte.toString(2).padStart(8, "0")).join("");
  return /^0*/.exec(bits)![0].length;
}

/** The same text with one character exchanged for another of its alphabet. */
export function withOtherCharacter(text: string, at: number): string {
  const i = at % text.length;
  return text.slice(0, i) + (text[i] === "A" ? "B" : "A") + text.slice(i + 1);
}

type Check = ({ readonly ok: true } & Solved) | (GenuineCheck & { readonly ok: false }) | { readonly ok: false; readonly why: "foreign" };

/** Whether a solution is good for this consumer: both of the questions that the gate asks. */
export async function checkSolution(solution: Solution, consumer: string, keys: SigningKeys, now: number): Promise<Check> {
  const genuine = await checkGenuine(solution, keys, now);
  if (!genuine.ok) return genuine;
  return (await genuine.isFor(consumer, now)) ? { ok: true, ...genuine.solved } : { ok: false, why: "foreign" };
}
