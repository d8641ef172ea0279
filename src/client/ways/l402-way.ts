/**
 * The way on by money: has the wallet pay the invoice of an L402 offer, and hands its preimage to the gate, which puts the calls
 * that were bought on the caller's account. A server that takes no preimage there is shown the credential with the call
 * instead, as any L402 client does.
 *
 * What is paid cannot be taken back, so a purchase goes on when the call that began it is gone, and what it buys is there for
 * the next. As long as it is open no other is begun on the same account, and no call ever begins two: when nobody
 * knows whether an invoice is paid, it counts as paid.
 */

import { accountOf, type Earned, type Earning, type Earnings, onAccount, PASS_HEADER } from "./earnings.ts";
import { type Appraisal, appraiseOffers, type Terms } from "../pay/invoice-terms.ts";
import type { Obstacle } from "./obstacle.ts";
import type { FetchLike, Outgoing } from "../outgoing.ts";
import { isPreimageOf } from "../pay/preimage.ts";
import { sleep } from "../sleep.ts";
import { postVerify, VERIFY_MS, verifyUrl } from "../verify-endpoint.ts";
import { Purse, type Wallet } from "../pay/wallet.ts";
import type { Refused, WayOn } from "./ways-on.ts";

export interface PaymentOptions extends Terms {
  readonly wallet: Wallet;
  readonly budgetSats: number;
}

type Offer = Extract<Appraisal, { ok: true }>;

/** An invoice that is being paid. Its calls come to the account when it is, whether or not anyone still waits for them. */
interface Purchase {
  /** The call that began it. */
  readonly call: Outgoing;
  readonly priceSats: number;
  readonly earning: Promise<Earning>;
  /** How long calls wait for it, in epoch milliseconds. */
  readonly until: number;
}

/** Until it has been measured: over a relay and a few hops. */
const ASSUMED_PAYMENT_MS = 3_000;
/** The MCP SDKs give a request up after a minute. A payment that is stuck on its way may stay so for hours. */
const MAX_PAYMENT_WAIT_MS = 45_000;

const PAID_ALREADY: Obstacle = { code: "paid-already", why: "it was paid for already, and is not paid for twice" };
const OVERDUE: Obstacle = {
  code: "payment-unknown",
  why: `the wallet has not answered for ${MAX_PAYMENT_WAIT_MS / 1_000} s, so nobody knows whether an invoice is paid`,
};

export function createL402Way(fetch: FetchLike, { wallet, budgetSats, ...terms }: PaymentOptions, earnings: Earnings): WayOn {
  const purse = new Purse(budgetSats);
  const paidFor = new WeakSet<Outgoing>();
  const purchases = new Map<string, Purchase>();
  let failure: { readonly at: number; readonly obstacle: Obstacle } | null = null;
  let paymentMs = ASSUMED_PAYMENT_MS;

  const fail = (obstacle: Obstacle): Earning => {
    failure = { at: Date.now(), obstacle };
    return { ok: false, obstacle };
  };

  const overBudget = (priceSats: number): Obstacle => ({
    code: "over-budget",
    why: `its price of ${priceSats} sats is more than the ${purse.leftSats} that are left of the budget of ${budgetSats}`,
  });

  const pay = async ({ challenge, priceSats, paymentHash }: Offer): Promise<{ readonly preimage: string } | Obstacle> => {
    const startedAt = Date.now();
    let preimage: string;
    try {
      ({ preimage } = await wallet.payInvoice(challenge.invoice));
    } catch (error) {
      const { name, message } = error instanceof Error ? error : new Error(String(error));
      // By its name: a wallet may have a copy of the class of its own.
      if (name !== "PaymentFailedError")
        return { code: "payment-unknown", why: `the wallet failed, so nobody knows whether the invoice is paid (${message})` };
      purse.putBack(priceSats);
      return { code: "wallet-failed", why: `the wallet did not pay its invoice (${message})` };
    }
    paymentMs = Date.now() - startedAt;
    if (await isPreimageOf(preimage, paymentHash)) return { preimage };
    return { code: "payment-unknown", why: "what the wallet answered does not prove that the invoice is paid" };
  };

  const redeem = async (call: Outgoing, { challenge }: Offer, verify: URL, preimage: string): Promise<Earned> => {
    const { macaroon } = challenge;
    const verified = await postVerify(fetch, call, verify, { macaroon, preimage }, undefined);
    if (verified.ok && (verified.token !== null || verified.calls !== null)) {
      return onAccount(verified, Date.now());
    }
    const name = call.headers.has("authorization") ? PASS_HEADER : "Authorization";
    const headers = { [name]: `L402 ${macaroon}:${preimage}` };
    const { calls } = challenge;
    return { headers, isOnAccount: false, at: Date.now(), expiresAt: Infinity, calls: calls ?? 1, spare: calls ?? Infinity };
  };

  const purchase = async (call: Outgoing, offer: Offer, verify: URL, account: string): Promise<Earning> => {
    try {
      const paid = await pay(offer);
      if (!("preimage" in paid)) return fail(paid);
      const earned = await redeem(call, offer, verify, paid.preimage);
      earnings.put(account, earned);
      return { ok: true, earned };
    } finally {
      purchases.delete(account);
    }
  };

  /** Begins a purchase, or says why not. */
  const begin = (refused: Refused, account: string): Purchase | Obstacle => {
    const { call, refusal, tell } = refused;
    // It would fail in the same way for each of those that were refused together.
    if (failure && failure.at >= refused.refusedAt) return failure.obstacle;
    const offer = appraise(refused);
    if (!offer.ok) return offer.obstacle;
    const { challenge, priceSats } = offer;
    if (!purse.holds(priceSats)) return overBudget(priceSats);
    tell({ kind: "paying", priceSats, calls: challenge.calls ?? null, budgetLeftSats: purse.leftSats - priceSats });
    purse.setAside(priceSats);
    paidFor.add(call);
    const named = [challenge.verify, refusal.challenges[0]?.verify].flatMap((verify) => (verify && verifyUrl(verify, call)) || []);
    const verify = named[0] ?? verifyUrl(undefined, call)!;
    const begun = { call, priceSats, earning: purchase(call, offer, verify, account), until: Date.now() + MAX_PAYMENT_WAIT_MS };
    purchases.set(account, begun);
    return begun;
  };

  /** Its own purchase, or the one that is under way. */
  const buy = async (refused: Refused): Promise<Earning> => {
    const { call, signal, tell } = refused;
    const account = accountOf(call);
    const begun = purchases.get(account) ?? begin(refused, account);
    if ("code" in begun) return { ok: false, obstacle: begun };
    const startedAt = Date.now();
    const earning = await unlessOverdue(begun, signal);
    signal?.throwIfAborted();
    if (earning?.ok && begun.call === call) {
      const { spare } = earning.earned;
      const calls = Number.isFinite(spare) ? spare : null;
      tell({ kind: "paid", priceSats: begun.priceSats, calls, elapsedMs: Date.now() - startedAt, budgetLeftSats: purse.leftSats });
    }
    return earning ?? { ok: false, obstacle: OVERDUE };
  };

  const appraise = ({ refusal }: Refused): Appraisal => appraiseOffers(refusal.payments, terms, refusal.clockOffsetMs, Date.now())!;

  return {
    kind: "l402",
    consider(refused) {
      const { call, refusal } = refused;
      if (refusal.payments.length === 0) return null;
      if (paidFor.has(call)) return { isOpen: false, obstacle: PAID_ALREADY };
      const expectedMs = paymentMs + VERIFY_MS;
      const underWay = purchases.get(accountOf(call));
      // To join costs nothing, also when the budget is used up by it.
      if (underWay) return Date.now() < underWay.until ? { isOpen: true, expectedMs, priceSats: 0 } : { isOpen: false, obstacle: OVERDUE };
      const offer = appraise(refused);
      if (!offer.ok) return { isOpen: false, obstacle: offer.obstacle };
      const { priceSats } = offer;
      if (!purse.holds(priceSats)) return { isOpen: false, obstacle: overBudget(priceSats) };
      const calls = earnings.callsToCome(refused, offer.challenge.calls);
      return { isOpen: true, expectedMs: expectedMs / calls, priceSats: priceSats / calls };
    },
    take: (refused) => earnings.share(refused, () => buy(refused)),
  };
}

/** Null when it takes too long, or nobody waits for it any more. */
async function unlessOverdue({ earning, until }: Purchase, signal: AbortSignal | undefined): Promise<Earning | null> {
  const settled = new AbortController();
  const overdue = sleep(() => until - Date.now(), signal ? AbortSignal.any([signal, settled.signal]) : settled.signal);
  try {
    return await Promise.race([earning, overdue.then(() => null)]);
  } finally {
    settled.abort();
  }
}
