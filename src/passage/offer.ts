/** The way on that comes with a refusal: a fresh challenge for each offer of the caller's plan, when what refuses can be paid for. */

import { callTag } from "../challenges/challenge-id.ts";
import { difficultyFor } from "../challenges/difficulty.ts";
import { CHALLENGE_RANDOM_BYTES, issueChallenge, type PowChallenge } from "../challenges/proof-of-work.ts";
import { openSecrets, type SigningKeys } from "../challenges/secrets.ts";
import type { Caller } from "../consumers/caller.ts";
import type { Gate, GateEnv } from "../gate.ts";
import type { Charge } from "../limits/limit.ts";
import type { PowOffer, Terms } from "../limits/terms.ts";
import { fingerprint } from "../mcp/fingerprint.ts";
import { laneOf } from "../mcp/lanes.ts";
import type { Message } from "../mcp/message.ts";
import type { Passage } from "./passage.ts";

/** What the account says of its solves: see `Verdict`. */
export interface SolveState {
  readonly solves: number;
  readonly easeMs: number;
}

/** The keys that challenges and passes are signed with; null when the operator has set no good secret, which the log says once. */
export async function signingKeys(gate: Gate, env: GateEnv): Promise<SigningKeys | null> {
  const opened = await openSecrets(env.CHALLENGE_SECRET, env.CHALLENGE_SECRET_PREVIOUS);
  if (opened.ok) return opened.keys;
  const problem =
    opened.why === "missing"
      ? "a plan has offers, and the secret CHALLENGE_SECRET is not set: npx wrangler secret put CHALLENGE_SECRET"
      : `the secret CHALLENGE_SECRET${opened.why === "too-short" ? "" : "_PREVIOUS"} is too short: it takes 32 characters or more`;
  gate.logOnce({ event: "policy-error", where: "offers", problem });
  return null;
}

/** A fresh challenge for the first call of the POST, or none when the plan offers none. */
export async function offersFor(passage: Passage, caller: Caller, terms: Terms, state: SolveState, cost: number): Promise<PowChallenge[]> {
  const { gate, env, messages, url } = passage;
  const { pow } = terms.offers;
  if (!pow) return [];
  const keys = await signingKeys(gate, env);
  if (!keys) return [];
  const call = { tag: tagOf(messages, []), cost };
  return [await freshChallenge(caller.id, pow, state, call, verifyUrl(url, gate), keys, Date.now())];
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
 * @param charges with their watches, where they have been made already
 */
export function tagOf(messages: readonly Message[], charges: readonly Charge[]): number {
  for (const { watches } of charges) {
    const whole = watches.find(({ kind }) => kind !== "same-tool");
    if (whole) return callTag(whole.fingerprint);
  }
  const first = messages.find((message) => laneOf(message) === "work");
  return first?.kind === "request" ? callTag(fingerprint(first.method, first.params)) : 0;
}
