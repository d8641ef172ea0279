/** A client with a wallet in front of a scripted gate that sells, for tests of what it pays and what becomes of that. */

import { beforeEach, expect } from "vitest";
import {
  createTurnpikeFetch,
  type ObstacleCode,
  type SolvePow,
  TurnpikeError,
  type TurnpikeFetchOptions,
  type Wallet,
} from "../../src/client/index.ts";
import { type AnyInvoiceOptions, makeAnyInvoice } from "../support/any-invoice.ts";
import { BookWallet } from "../support/book-wallet.ts";
import { refusal, type RefusalOptions, type Scripted } from "./scripted-gate.ts";

/** What waits would take longer than any test. */
export const LONG_MS = 30_000;
export const PRICE_SATS = 30;
export const CALLS = 10;
export const MACAROON = "AgEEbHNhdAJCAAA=";
export const L402 = /^L402 AgEEbHNhdAJCAAA=:[0-9a-f]{64}$/;

export let payer: BookWallet;

/** For each test of the file: a wallet that has paid nothing yet. */
export function payAnew(): void {
  beforeEach(() => {
    payer = new BookWallet();
  });
}

export function issue(): string {
  return payer.book.create({ sats: PRICE_SATS, description: "calls", expirySeconds: 600 }, Date.now()).invoice;
}

/** An offer whose invoice the payer can pay. */
export function offer(more: Readonly<Record<string, unknown>> = {}) {
  return { type: "l402", macaroon: MACAROON, invoice: issue(), priceSats: PRICE_SATS, calls: CALLS, ...more };
}

/** An offer with another invoice than the gate's node would make. */
export function oddOffer(options: Partial<AnyInvoiceOptions>) {
  return offer({ invoice: makeAnyInvoice({ amount: "300n", ...options }).invoice });
}

export const toPay = (more: RefusalOptions = {}): Response => refusal({ payment: offer(), retryAfterMs: LONG_MS, ...more });

export const solving: SolvePow = ({ id, salt, signature }) =>
  Promise.resolve({ ok: true, solution: { id, salt, nonce: "n", signature }, tries: 1, elapsedMs: 1 });

export function client(gate: Scripted, options: TurnpikeFetchOptions = {}) {
  return createTurnpikeFetch({ fetch: gate.fetch, wallet: payer, network: "regtest", maxWait: 0, solve: solving, ...options });
}

export async function rejection(promise: Promise<unknown>): Promise<TurnpikeError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(TurnpikeError);
  return error as TurnpikeError;
}

export function codes({ obstacles }: TurnpikeError): ObstacleCode[] {
  return obstacles.map(({ code }) => code);
}

export function postedTo(gate: Scripted, index = 0): object {
  return JSON.parse(String(gate.verified[index]!.body)) as object;
}

/** A wallet that fails, and counts how often it was asked. */
export function failing(error: Error): Wallet & { asked: number } {
  return {
    asked: 0,
    payInvoice() {
      this.asked++;
      return Promise.reject(error);
    },
  };
}
