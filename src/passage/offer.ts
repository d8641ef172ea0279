/** The way on that comes with a refusal: a fresh challenge for each offer of the caller's plan, when what refuses can be paid for. */

import { callTag } from "../challenges/challenge-id.ts";
import { difficultyFor } from "../challenges/difficulty.ts";
import { CHALLENGE_RANDOM_BYTES, issueChallenge, type PowChallenge } from "../challenges/proof-of-work.ts";
import { openSecrets, type SigningKeys } from "../challenges/secrets.ts";
import type { Caller } from "../consumers/caller.ts";
import type { Gate, GateEnv } from "../gate.ts";
import type { Charge } from "../limits/limit.ts";
import type { Price } from "../limits/price.ts";
import type { PowOffer, Terms } from "../limits/terms.ts";
import { fingerprint } from "../mcp/fingerprint.ts";
import type { Message } from "../mcp/message.ts";
import type { Passage } from "./passage.ts";

/** What the account says of its solves: see `Verdict`. */
export interface SolveState {
  readonly solves: number;
  readonly easeMs: number;
}

/** What a challenge is made of, where what refuses can be paid for. */
export interface Payable extends SolveState {
  /** The units of credit that the POST takes. */
  readonly cost: number;
  /** Of its first call: see `tagOf`. */
  readonly tag: number;
}

/** The keys that challenges and passes are signed with; null when the operator has set no good secret, which the log says once. */
export async function signingKeys(gate: Gate, env: GateEnv): Promise<SigningKeys | null> {
  const opened = await openSecrets(env.CHALLENGE_SECRET, env.CHALLENGE_SECRET_PREVIOUS);
  if (opened.ok) return opened.keys;
  const problem =
    opened.why === "missing"
      ? "challenges and passes need the secret CHALLENGE_SECRET, which is not set: npx wrangler secret put CHALLENGE_SECRET"
      : `the secret CHALLENGE_SECRET${opened.why === "too-short" ? "" : "_PREVIOUS"} is too short: it takes 32 characters or more`;
  gate.logOnce({ event: "policy-error", where: "offers", problem });
  return null;
}

/** A fresh challenge for the first call of the POST, or none when the plan offers none, or none that would pay for it all. */
export async function offersFor(passage: Passage, caller: Caller, terms: Terms, payable: Payable): Promise<PowChallenge[]> {
  const { gate, env, url } = passage;
  const { pow } = terms.offers;
  if (!pow || payable.cost > pow.calls) return [];
  const keys = await signingKeys(gate, env);
  if (!keys) return [];
  return [await freshChallenge(caller.id, pow, payable, payable, verifyUrl(url, gate), keys, Date.now())];
}

export function freshChallenge(
  consumer: string,
  offer: PowOffer,
  { solves, easeMs }: SolveState,
  call: { readonly tag: number; readonly cost: number },
  verify: string,
  keys: SigningKeys,
  now: number,
): Promise<PowChallenge> {
  const difficulty = difficultyFor({ count: solves, easedAt: now + easeMs }, offer, now);
  const random = crypto.getRandomValues(new Uint8Array(CHALLENGE_RANDOM_BYTES));
  return issueChallenge({ consumer, difficulty, solves, call, verify }, keys, random, now);
}

export function verifyUrl(url: URL, gate: Gate): string {
  return `${url.origin}${gate.policy.prefix}/verify`;
}

/**
 * What tells a call from others when its credit comes: 32 bits of the fingerprint of the first call in a POST.
 * @param charges with their watches, where they have been made already: the call need not be hashed again then
 */
export function tagOf(messages: readonly Message[], { lanes }: Price, charges: readonly Charge[]): number {
  const at = lanes.indexOf("work");
  const first = messages[at];
  if (first?.kind !== "request") return 0;
  // Handshakes in a batch have charges too, and stand before it.
  const before = lanes.slice(0, at).filter((lane) => lane === "handshake").length;
  const whole = charges[before]?.watches.find(({ kind }) => kind !== "same-tool");
  return callTag(whole?.fingerprint ?? fingerprint(first.method, first.params));
}
