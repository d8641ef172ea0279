/**
 * The gate's side of the RPC to a consumer's object. It never waits long: an object that cannot be asked is a case that the
 * policy decides, and no reason to stand still. `ask` is never marked retryable, and the runtime's own retries (for
 * requests that never reached the object) are kept short.
 */

import type { ForeignBill } from "../src/limits/bill.ts";
import type { LeaseTicket } from "../src/limits/slots.ts";
import type { Redeemed, Redemption } from "../src/limits/credits.ts";
import type { Consumer, ConsumerStatus, CreditAnswer, SlotKind } from "./consumer.ts";
import { type Answer, decodeAnswer, encodeQuestion, type Question } from "./consumer-rpc.ts";
import { within } from "./within.ts";
import type { Order, Sale, SaleOffer } from "./sales.ts";
import type { SlotAnswer } from "./slot-queue.ts";

export type ConsumerNamespace = DurableObjectNamespace<Consumer>;

/** Names a consumer's account where the consumer itself is not to be named: by the id of its object. */
const ACCOUNT_PREFIX = "account:";

const ASK_WITHIN_MS = 2_000;
/** An invoice that another is making is waited for. */
const SALE_WITHIN_MS = 8_000;
const UNDO_PAUSES_MS = [100, 1_000, 5_000];
const RETRY = { maxRetries: 1, timeoutMs: 1_000 };

/** The id of a consumer's object: 64 hexadecimal digits, from which nobody learns whose it is. */
export function accountOf(namespace: ConsumerNamespace, consumer: string): string {
  return namespace.idFromName(consumer).toString();
}

/** The consumer whose account this is, as far as it need be named to be asked. */
export function consumerOfAccount(account: string): string {
  return ACCOUNT_PREFIX + account;
}

/** A fresh stub for each question: one that has seen an error may stay broken. */
function stubOf(namespace: ConsumerNamespace, consumer: string): DurableObjectStub<Consumer> {
  if (!consumer.startsWith(ACCOUNT_PREFIX)) return namespace.getByName(consumer, { retry: RETRY });
  return namespace.get(namespace.idFromString(consumer.slice(ACCOUNT_PREFIX.length)), { retry: RETRY });
}

/** @returns null when the object did not answer in time, or with an error */
export function askConsumer(
  namespace: ConsumerNamespace,
  consumer: string,
  limitsText: string,
  question: Question,
): Promise<Answer | null> {
  return within(ASK_WITHIN_MS, () => stubOf(namespace, consumer).ask(limitsText, encodeQuestion(question)), decodeAnswer);
}

/** A newer record of a key than KV tells, or null when there is none or the object cannot be asked. */
export async function askForNewerRecord(
  namespace: ConsumerNamespace,
  consumer: string,
  keyId: string,
  version: number,
): Promise<string | null> {
  try {
    return await stubOf(namespace, consumer).newerRecord(keyId, version);
  } catch {
    return null;
  }
}

/** Sends a refund. Not repeated when it fails: a token may be lost, and none is given twice. */
export async function refundConsumer(namespace: ConsumerNamespace, consumer: string, ticket: number): Promise<void> {
  try {
    await stubOf(namespace, consumer).refund(ticket);
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
  const ask = () => stubOf(namespace, consumer).acquireSlots(kind, units, most, maxWaitMs);
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
    () => stubOf(namespace, consumer).renewSlots(kind, lease),
    (text) => JSON.parse(text) as LeaseTicket | null,
  );
}

/** Gives slots back. Not repeated when it fails: the lease runs out by itself. */
export async function returnSlots(namespace: ConsumerNamespace, consumer: string, kind: SlotKind, lease: LeaseTicket): Promise<void> {
  try {
    await stubOf(namespace, consumer).returnSlots(kind, lease);
  } catch {
    // The instance that lent them is gone, or busy: it will count them as lent for a little longer.
  }
}

/**
 * Gives back what a question was paid with whose answer never came: the object may have spent a credit and been restarted
 * before it could say so. Tried a few times: an object that has just been restarted is back in a moment, and one that is slow may
 * get the question after this.
 */
export async function undoConsumer(namespace: ConsumerNamespace, consumer: string, attempt: number): Promise<void> {
  for (const pauseMs of UNDO_PAUSES_MS) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    try {
      if (await stubOf(namespace, consumer).undo(attempt)) return;
    } catch {
      // Not back yet.
    }
  }
}

/** The answer to a paid call was cut off. Not repeated when it fails: a call may then have to be paid for twice, and none is given away. */
export async function oweResend(namespace: ConsumerNamespace, consumer: string, ticket: number): Promise<void> {
  try {
    await stubOf(namespace, consumer).oweResend(ticket);
  } catch {
    // As said.
  }
}

/** @returns null when the object did not answer in time, or with an error: nothing is then known to have been redeemed */
export function redeemCredit(namespace: ConsumerNamespace, consumer: string, redemption: Redemption): Promise<Redeemed | null> {
  return within(
    ASK_WITHIN_MS,
    () => stubOf(namespace, consumer).redeem(redemption),
    (text) => JSON.parse(text) as Redeemed,
  );
}

/** The same for a payment. @param rememberUntil until when it must be remembered at least, in epoch milliseconds */
export function redeemPaid(
  namespace: ConsumerNamespace,
  consumer: string,
  redemption: Redemption,
  rememberUntil: number,
): Promise<Redeemed | null> {
  return within(
    ASK_WITHIN_MS,
    () => stubOf(namespace, consumer).redeemPayment(redemption, rememberUntil),
    (text) => JSON.parse(text) as Redeemed,
  );
}

/** @returns whether a payment has been redeemed; null when the object did not answer in time, or with an error */
export function isPaymentRedeemed(namespace: ConsumerNamespace, consumer: string, paymentHash: string): Promise<boolean | null> {
  return within(
    ASK_WITHIN_MS,
    () => stubOf(namespace, consumer).isRedeemed(paymentHash),
    (isRedeemed) => isRedeemed,
  );
}

/** @returns null when the object did not answer in time, or with an error */
export function spendCredit(namespace: ConsumerNamespace, consumer: string, bill: ForeignBill): Promise<CreditAnswer | null> {
  return within(
    ASK_WITHIN_MS,
    () => stubOf(namespace, consumer).spend(bill),
    (text) => JSON.parse(text) as CreditAnswer,
  );
}

/**
 * An open invoice, or leave to make one. It may take as long as another gate needs to make the one that this is waiting for.
 * @returns null when the object did not answer in time, or with an error
 */
export function askForSale(namespace: ConsumerNamespace, consumer: string, order: Order): Promise<SaleOffer | null> {
  return within(
    SALE_WITHIN_MS,
    () => stubOf(namespace, consumer).offerSale(order),
    (text) => JSON.parse(text) as SaleOffer,
  );
}

/** Hands in an invoice that was to be made; null when it could not. Lost when it fails: the invoice is as good, and not offered again. */
export async function keepSale(namespace: ConsumerNamespace, consumer: string, sale: Sale | null): Promise<void> {
  try {
    await stubOf(namespace, consumer).keepSale(sale);
  } catch {
    // As said.
  }
}

/**
 * @param shown the credit whose proof was shown; empty for none
 * @returns null when the object did not answer in time, or with an error
 */
export function readConsumerStatus(
  namespace: ConsumerNamespace,
  consumer: string,
  limitsText: string,
  shown = "",
): Promise<ConsumerStatus | null> {
  return within(
    ASK_WITHIN_MS,
    () => stubOf(namespace, consumer).status(limitsText, shown),
    (text) => JSON.parse(text) as ConsumerStatus,
  );
}
