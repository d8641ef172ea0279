/**
 * The gate's side of what a bearer's object remembers for all isolates: that the origin has accepted the token. An object
 * that cannot be asked costs its bearer no more than a charge to its address.
 */

import type { ConsumerNamespace } from "./ask-consumer.ts";
import { within } from "./within.ts";

export type { ConsumerNamespace } from "./ask-consumer.ts";

const ANSWER_WITHIN_MS = 2_000;
const RETRY = { maxRetries: 1, timeoutMs: 1_000 };

/** @returns null when the object did not answer in time, or with an error */
export function isBearerAccepted(namespace: ConsumerNamespace, bearer: string): Promise<boolean | null> {
  return within(
    ANSWER_WITHIN_MS,
    () => namespace.getByName(bearer, { retry: RETRY }).isAccepted(),
    (isAccepted) => isAccepted,
  );
}

/** Not repeated when it fails: the next answer of the origin says the same. */
export async function tellAcceptance(namespace: ConsumerNamespace, bearer: string, isAccepted: boolean): Promise<void> {
  try {
    const stub = namespace.getByName(bearer, { retry: RETRY });
    await (isAccepted ? stub.accept() : stub.unaccept());
  } catch {
    // The isolate remembers; others will charge the address once more.
  }
}
