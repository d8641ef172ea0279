/**
 * The gate's side of the RPC to a consumer's object. It never waits long: an object that cannot be asked is a case that the
 * policy decides, and no reason to stand still. `ask` is never marked retryable, and the runtime's own retries (for
 * requests that never reached the object) are kept short.
 */

import type { Consumer } from "./consumer.ts";
import { type Answer, decodeAnswer, encodeQuestion, type Question } from "./consumer-rpc.ts";

export type ConsumerNamespace = DurableObjectNamespace<Consumer>;

const ASK_WITHIN_MS = 2_000;
const RETRY = { maxRetries: 1, timeoutMs: 1_000 };

/** @returns null when the object did not answer in time, or with an error */
export function askConsumer(
  namespace: ConsumerNamespace,
  consumer: string,
  limitsText: string,
  question: Question,
): Promise<Answer | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), ASK_WITHIN_MS);
    const end = (answer: Answer | null): void => {
      clearTimeout(timer);
      resolve(answer);
    };
    try {
      // A fresh stub for each question: one that has seen an error may stay broken.
      const asked = namespace.getByName(consumer, { retry: RETRY }).ask(limitsText, encodeQuestion(question));
      asked.then(
        (text) => end(decodeAnswer(text)),
        () => end(null),
      );
    } catch {
      end(null);
    }
  });
}

/** A newer record of a key than KV tells, or null when there is none or the object cannot be asked. */
export async function askForNewerRecord(
  namespace: ConsumerNamespace,
  consumer: string,
  keyId: string,
  version: number,
): Promise<string | null> {
  try {
    return await namespace.getByName(consumer, { retry: RETRY }).newerRecord(keyId, version);
  } catch {
    return null;
  }
}

/** Sends a refund. Not repeated when it fails: a token may be lost, and none is given twice. */
export async function refundConsumer(namespace: ConsumerNamespace, consumer: string, ticket: number): Promise<void> {
  try {
    await namespace.getByName(consumer, { retry: RETRY }).refund(ticket);
  } catch {
    // The instance that took the tokens is gone, and its tickets with it.
  }
}
