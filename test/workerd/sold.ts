/** What a consumer's object is told of sales, the way the gate does it, without the gate. */

import type { Order, Sale, SaleOffer } from "../../durable-objects/sales.ts";
import type { Redeemed, Redemption } from "../../src/limits/credits.ts";
import type { ConsumerStub } from "./asking.ts";

/** Later than any real clock: no alarm rings by itself. */
export const NOW = Date.UTC(2090, 10, 21, 12);
export const DAY_MS = 86_400_000;
export const ORDER: Order = { keyId: 1, network: "bc", plan: "pro", calls: 10, priceSats: 30 };

let payments = 0;

export function aPaymentHash(): string {
  return (++payments).toString(16).padStart(64, "0");
}

export function aSale(more: Partial<Sale> = {}): Sale {
  const paymentHash = aPaymentHash();
  return { ...ORDER, paymentHash, invoice: `lnbc300n1${paymentHash}`, macaroon: "AgEE", expiresAt: NOW + 900_000, ...more };
}

export function aPayment(more: Partial<Redemption> = {}): Redemption {
  return {
    id: aPaymentHash(),
    redeemableUntil: NOW + 900_000 + DAY_MS,
    payment: { isForHolder: false },
    calls: 10,
    expiresAt: NOW + 30 * DAY_MS,
    keptFor: { tag: 0, cost: 10 },
    rate: { burst: 20, perMinute: 1 },
    ...more,
  };
}

/** @param rememberUntil as the macaroon was minted */
export async function redeemPayment(stub: ConsumerStub, payment: Redemption, rememberUntil = payment.redeemableUntil): Promise<Redeemed> {
  return JSON.parse(await stub.redeemPayment(payment, rememberUntil)) as Redeemed;
}

export async function offerSale(stub: ConsumerStub, order: Order = ORDER): Promise<SaleOffer> {
  return JSON.parse(await stub.offerSale(order)) as SaleOffer;
}

export async function keepSale(stub: ConsumerStub, sale: Sale | null): Promise<void> {
  await stub.keepSale(sale);
}
