/**
 * The gate's side of the RPC to a consumer's object. It never waits long: an object that cannot be asked is a case that the
 * policy decides, and no reason to stand still. `ask` is never marked retryable, and the runtime's own retries (for
 * requests that never reached the object) are kept short.
 */

import type { LeaseTicket } from "../src/limits/slots.ts";
import type { Redeemed, Redemption } from "../src/limits/credits.ts";
import type { Consumer, ConsumerStatus, CreditAnswer, SlotKind } from "./consumer.ts";
import { type Answer, decodeAnswer, encodeQuestion, type Question } from "./consumer-rpc.ts";
import { within } from "./within.ts";
import type { SlotAnswer } from "./slot-queue.ts";

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
  // A fresh stub for each question: one that has seen an error may stay broken.
  return within(
    ASK_WITHIN_MS,
    () => namespace.getByName(consumer, { retry: RETRY }).ask(limitsText, encodeQuestion(question)),
    decodeAnswer,
  );
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

/** @returns null when the object did not answer in time, or with an error */
export function acquireSlots(
  namespace: ConsumerNamespace,
  consumer: string,
  kind: SlotKind,
  units: number,
  most: number,
  maxWaitMs: number,
): Promise<SlotAnswer | null> {
  const ask = () => namespace.getByName(consumer, { retry: RETRY }).acquireSlots(kind, units, most, maxWaitMs);
  const giveBack = (late: SlotAnswer): void => {
    if (late.kind === "lent") void returnSlots(namespace, consumer, kind, late.lease);
  };
  return within(maxWaitMs + ASK_WITHIN_MS, ask, (text) => JSON.parse(text) as SlotAnswer, giveBack);
}

/** @returns null when the lease has run out, or the object cannot be asked */
export function renewSlots(
  namespace: ConsumerNamespace,
  consumer: string,
  kind: SlotKind,
  lease: LeaseTicket,
): Promise<LeaseTicket | null> {
  return within(
    ASK_WITHIN_MS,
    () => namespace.getByName(consumer, { retry: RETRY }).renewSlots(kind, lease),
    (text) => JSON.parse(text) as LeaseTicket | null,
  );
}

/** Gives slots back. Not repeated when it fails: the lease runs out by itself. */
export async function returnSlots(namespace: ConsumerNamespace, consumer: string, kind: SlotKind, lease: LeaseTicket): Promise<void> {
  try {
    await namespace.getByName(consumer, { retry: RETRY }).returnSlots(kind, lease);
  } catch {
    // The instance that lent them is gone, or busy: it will count them as lent for a little longer.
  }
}

/** @returns null when the object did not answer in time, or with an error: nothing is then known to have been redeemed */
export function redeemCredit(namespace: ConsumerNamespace, consumer: string, redemption: Redemption): Promise<Redeemed | null> {
  return within(
    ASK_WITHIN_MS,
    () => namespace.getByName(consumer, { retry: RETRY }).redeem(redemption),
    (text) => JSON.parse(text) as Redeemed,
  );
}

/** @returns null when the object did not answer in time, or with an error */
export function spendCredit(
  namespace: ConsumerNamespace,
  consumer: string,
  creditId: string,
  units: number,
  tag: number | null,
): Promise<CreditAnswer | null> {
  return within(
    ASK_WITHIN_MS,
    () => namespace.getByName(consumer, { retry: RETRY }).spend(creditId, units, tag),
    (text) => JSON.parse(text) as CreditAnswer,
  );
}

/** @returns null when the object did not answer in time, or with an error */
export function readConsumerStatus(namespace: ConsumerNamespace, consumer: string, limitsText: string): Promise<ConsumerStatus | null> {
  return within(
    ASK_WITHIN_MS,
    () => namespace.getByName(consumer, { retry: RETRY }).status(limitsText),
    (text) => JSON.parse(text) as ConsumerStatus,
  );
}
