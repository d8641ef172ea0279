/**
 * Attempts with a key or token that is not good, charged to the address: on a small bucket of its own, so that guessing is
 * limited and neighbours behind the same address are not.
 */

import { askConsumer, type ConsumerNamespace } from "../../durable-objects/ask-consumer.ts";
import { type Limit, UNPAYABLE } from "../limits/limit.ts";

const GUESSES_PER_MINUTE = 10;
const GUESSES: Limit = {
  kind: "rate",
  slot: "guess",
  name: "guesses",
  burst: GUESSES_PER_MINUTE,
  perMinute: GUESSES_PER_MINUTE,
  mode: "enforce",
};
const LIMITS_TEXT = JSON.stringify([GUESSES]);
const ONE_GUESS = { limits: 1, cost: 1, countedBy: 0, watches: [] } as const;

/** @returns how long the address has to wait, or null when it may go on guessing (or nobody could be asked) */
export async function chargeGuess(consumers: ConsumerNamespace, address: string): Promise<number | null> {
  const answer = await askConsumer(consumers, address, LIMITS_TEXT, {
    keyId: "",
    keyVersion: 0,
    maxWaitMs: 0,
    charges: [ONE_GUESS],
    payment: UNPAYABLE,
  });
  return answer?.kind === "refuse" ? answer.retryAfterMs : null;
}
