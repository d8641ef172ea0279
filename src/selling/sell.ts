/**
 * An L402 challenge for a consumer: an invoice that its object has open, or a new one of the node's with a macaroon for it. A node
 * that is away makes the offer fall away and nothing else.
 */

import { accountOf, askForSale, keepSale } from "../../durable-objects/ask-consumer.ts";
import { MAX_OPEN_SALES, type Order, type Sale } from "../../durable-objects/sales.ts";
import { L402_RANDOM_BYTES, mintL402 } from "../challenges/l402.ts";
import { isoTime } from "../iso-time.ts";
import type { L402Offer } from "../limits/terms.ts";
import type { Buyer, Counter, Sold } from "../passage/shop.ts";
import { verifyUrl } from "../passage/verify-url.ts";
import type { Shelf, Till } from "./till.ts";

/** So long an invoice is offered again from memory, when refusals come too thick to ask for each. */
const SHELF_LIFE_MS = 10_000;

export async function sell(till: Till, counter: Counter, buyer: Buyer, offer: L402Offer): Promise<Sold> {
  const bundles = Math.max(1, Math.ceil(buyer.cost / offer.calls));
  const calls = offer.calls * bundles;
  const { network } = till.terms.node;
  const order: Order = { keyId: counter.keys.current.id, plan: buyer.plan, network, calls, priceSats: calls * offer.satsPerCall };
  const shelf = shelfFor(till, buyer, order);
  if (buyer.isRemembered && shelf.sales.length + shelf.asking >= MAX_OPEN_SALES) {
    const again = shelf.sales[shelf.next++ % shelf.sales.length];
    return again ? challengeOf(again, counter) : { kind: "full" };
  }
  shelf.asking++;
  try {
    const sold = await findOrMake(till, counter, buyer, order, offer.lifeMs);
    if (typeof sold === "string") return { kind: sold };
    if (shelf.sales.length < MAX_OPEN_SALES) shelf.sales.push(sold);
    return challengeOf(sold, counter);
  } finally {
    shelf.asking--;
  }
}

async function findOrMake(
  till: Till,
  counter: Counter,
  buyer: Buyer,
  order: Order,
  lifeMs: number,
): Promise<Sale | "unavailable" | "full"> {
  const { env } = counter;
  const found = await askForSale(env.CONSUMERS, buyer.caller.id, order);
  switch (found?.kind) {
    case "open":
      return found.sale;
    case "make":
      return make(till, counter, buyer, order, lifeMs);
    case "full":
      return "full";
    case undefined:
      return "unavailable";
  }
}

async function make(till: Till, counter: Counter, { caller }: Buyer, order: Order, lifeMs: number): Promise<Sale | "unavailable"> {
  const { gate, env, ctx, keys, url } = counter;
  const secret = env.LIGHTNING_SECRET;
  const keep = (sale: Sale | null): void => ctx.waitUntil(keepSale(env.CONSUMERS, caller.id, sale));
  if (!secret) {
    gate.logOnce({
      event: "policy-error",
      where: "lightning",
      problem: "invoices need the secret LIGHTNING_SECRET, which is not set: npx wrangler secret put LIGHTNING_SECRET",
    });
    keep(null);
    return "unavailable";
  }
  const { plan, network, calls, priceSats } = order;
  const memo = `${calls === 1 ? "1 call" : `${calls} calls`} at ${url.host}`;
  const created = await till.node
    .with(secret)
    .createInvoice({ sats: priceSats, memo, expirySeconds: till.terms.invoiceSeconds }, Date.now());
  if (!created.ok) {
    // What is only said again each time is no news.
    if (created.problem.kind !== "away") gate.log({ event: "node-unavailable", ...created.problem });
    keep(null);
    return "unavailable";
  }
  const { invoice } = created;
  const account = accountOf(env.CONSUMERS, caller.id);
  const random = crypto.getRandomValues(new Uint8Array(L402_RANDOM_BYTES));
  const isForHolder = caller.kind === "addr";
  const macaroon = await mintL402({ account, isForHolder, plan, network, calls, lifeMs, invoice }, keys, random);
  const expiresAt = Math.floor(invoice.expiresAt / 1_000) * 1_000;
  const sale: Sale = { ...order, paymentHash: invoice.paymentHash, invoice: invoice.invoice, macaroon, expiresAt };
  keep(sale);
  gate.log({ event: "invoice", consumer: caller.id, plan, paymentHash: invoice.paymentHash, priceSats, calls });
  return sale;
}

function challengeOf({ macaroon, invoice, priceSats, calls, expiresAt }: Sale, { url, gate }: Counter): Sold {
  const until = isoTime(expiresAt);
  const verify = verifyUrl(url, gate);
  return { kind: "challenge", challenge: { type: "l402", macaroon, invoice, priceSats, calls, expiresAt: until, verify } };
}

function shelfFor({ shelves }: Till, { caller, plan }: Buyer, { calls, priceSats }: Order): Shelf {
  const now = Date.now();
  const key = `${calls} ${priceSats} ${plan} ${caller.id}`;
  let shelf = shelves.get(key, now);
  if (!shelf) {
    shelf = { sales: [], asking: 0, next: 0 };
    shelves.set(key, shelf, now + SHELF_LIFE_MS);
  }
  return shelf;
}
