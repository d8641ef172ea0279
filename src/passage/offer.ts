/** The way on that comes with a refusal: a fresh challenge for each offer of the caller's plan, when what refuses can be paid for. */

import type { Challenge } from "../challenges/challenge.ts";
import { callTag } from "../challenges/challenge-id.ts";
import { difficultyFor } from "../challenges/difficulty.ts";
import { CHALLENGE_RANDOM_BYTES, issueChallenge, type PowChallenge } from "../challenges/proof-of-work.ts";
import { openSecrets, type SigningKeys } from "../challenges/secrets.ts";
import type { Gate, GateEnv } from "../gate.ts";
import type { Charge } from "../limits/limit.ts";
import type { Price } from "../limits/price.ts";
import type { PowOffer } from "../limits/terms.ts";
import { fingerprint } from "../mcp/fingerprint.ts";
import type { Message } from "../mcp/message.ts";
import type { Refused } from "./decision.ts";
import type { Passage } from "./passage.ts";
import { verifyUrl } from "./verify-url.ts";

/** What the account says of its solves: see `Verdict`. */
export interface SolveState {
  readonly solves: number;
  readonly easeMs: number;
}

/** What an offer is made of, where what refuses can be paid for. */
export interface Payable extends SolveState {
  /** Whether one more credit may be earned. */
  readonly mayEarn: boolean;
  /** The units of credit that the POST takes. */
  readonly cost: number;
  /** See `tagOf`. */
  readonly tag: number;
}

export interface Offers {
  readonly challenges: readonly Challenge[];
  /** The plan sells, and the node that makes the invoices is away. */
  readonly isPaymentAway: boolean;
}

const NO_OFFERS: Offers = { challenges: [], isPaymentAway: false };

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

/** What the caller's plan offers for the first call of the POST: a payment first, which most payers look for in the first place. */
export async function offersFor(passage: Passage, { caller, terms, payable, isRemembered }: Refused): Promise<Offers> {
  const { gate, env, url } = passage;
  const { pow, l402 } = terms.offers;
  if (!payable || (!pow && !(l402 && gate.shop))) return NO_OFFERS;
  const keys = await signingKeys(gate, env);
  if (!keys) return NO_OFFERS;
  const verify = verifyUrl(url, gate);
  const isEarnable = pow && payable.mayEarn && payable.cost <= pow.calls;
  const [sold, earned] = await Promise.all([
    l402 && gate.shop ? gate.shop.sell({ ...passage, keys }, { caller, plan: terms.plan, cost: payable.cost, isRemembered }, l402) : null,
    isEarnable ? freshChallenge(caller.id, pow, payable, payable, verify, keys, Date.now()) : null,
  ]);
  const challenges = [...(sold?.kind === "challenge" ? [sold.challenge] : []), ...(earned ? [earned] : [])];
  return { challenges, isPaymentAway: sold?.kind === "unavailable" };
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

/**
 * What tells a POST from others when its credit comes: 32 bits of the fingerprint of its call; of a batch, of all its calls in
 * their order.
 * @param charges with their watches, where they have been made already: the calls need not be hashed again then
 */
export function tagOf(messages: readonly Message[], { lanes }: Price, charges: readonly Charge[]): number {
  const fingerprints: number[] = [];
  let charged = 0;
  for (const [i, lane] of lanes.entries()) {
    if (lane !== "work" && lane !== "handshake") continue;
    const watch = charges[charged++]?.watches.find(({ kind }) => kind !== "same-tool");
    const message = messages[i]!;
    if (lane === "work" && message.kind === "request") {
      fingerprints.push(watch?.fingerprint ?? fingerprint(message.method, message.params));
    }
  }
  const [first = 0] = fingerprints;
  return callTag(fingerprints.length > 1 ? fingerprint("batch", { fingerprints }) : first);
}
