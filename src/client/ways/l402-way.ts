/** The way on by money: buys calls, if the offer of a refusal is within what one call, and all of them, may cost. No call begins two purchases. */

import type { Outgoing } from "../outgoing.ts";
import { type Appraisal, appraiseOffers, type Terms } from "../pay/invoice-terms.ts";
import { MAX_PAYMENT_WAIT_MS, type Purchase, type Purchases, SPENT_BEFORE } from "../pay/purchases.ts";
import { sleep } from "../sleep.ts";
import { VERIFY_MS, verifyUrl } from "../verify-endpoint.ts";
import type { Earning, Earnings } from "./earnings.ts";
import type { Obstacle } from "./obstacle.ts";
import type { Considered, Refused, Taken, WayOn } from "./ways-on.ts";

const PAID_ALREADY: Obstacle = { code: "paid-already", why: "it was paid for already, and is not paid for twice" };
const NOT_TAKEN: Obstacle = { code: "payment-not-taken", why: "it was paid for, and the gate has not taken that" };
const PAID_BY_ANOTHER: Obstacle = { code: "paid-already", why: "its invoice was paid for other calls" };
const UNKNOWN: Obstacle = { code: "payment-unknown", why: "nobody knows whether its invoice is paid" };
const OVERDUE: Obstacle = {
  code: "payment-unknown",
  why: `the wallet has not answered for ${MAX_PAYMENT_WAIT_MS / 1_000} s, so nobody knows whether an invoice is paid`,
};

export function createL402Way(purchases: Purchases, terms: Terms, earnings: Earnings): WayOn {
  const { purse } = purchases;
  const paidFor = new WeakSet<Outgoing>();

  const appraise = ({ refusal }: Refused): Appraisal => {
    const appraisal = appraiseOffers(refusal.payments, terms, refusal.clockOffsetMs, Date.now())!;
    if (!appraisal.ok || purse.holds(appraisal.priceSats)) return appraisal;
    const why = `its price of ${appraisal.priceSats} sats is more than the ${purse.leftSats} that are left of the budget of ${purse.budgetSats}`;
    return { ok: false, obstacle: { code: "over-budget", why } };
  };

  const consider = (refused: Refused): Considered | null => {
    const { call, refusal } = refused;
    if (refusal.payments.length === 0) return null;
    const untaken = purchases.untaken(call);
    if (paidFor.has(call)) return { isOpen: false, obstacle: untaken ? NOT_TAKEN : PAID_ALREADY };
    const expectedMs = purchases.paymentMs + VERIFY_MS;
    const underWay = purchases.underWay(call);
    // To join costs nothing, also when the budget is used up by it.
    if (underWay && Date.now() < underWay.until) return { isOpen: true, expectedMs, priceSats: 0 };
    if (underWay) return { isOpen: false, obstacle: untaken ? NOT_TAKEN : OVERDUE };
    if (untaken) return { isOpen: true, expectedMs: VERIFY_MS, priceSats: 0 };
    const offer = appraise(refused);
    if (!offer.ok) return { isOpen: false, obstacle: offer.obstacle };
    const calls = earnings.callsToCome(refused, offer.challenge.calls);
    return { isOpen: true, expectedMs: expectedMs / calls, priceSats: offer.priceSats / calls };
  };

  /** Begins a purchase, or says why not. */
  const begin = (refused: Refused): Purchase | Obstacle => {
    const { call, refusal, tell } = refused;
    if (purchases.untaken(call)) {
      paidFor.add(call);
      return purchases.resume(call);
    }
    // It would fail in the same way for each of those that were refused together.
    const failure = purchases.failureSince(refused.refusedAt);
    if (failure) return failure;
    const offer = appraise(refused);
    if (!offer.ok) return offer.obstacle;
    const { challenge, priceSats } = offer;
    const fate = purchases.fateOf(offer);
    if (fate) return fate === "paid" ? PAID_BY_ANOTHER : UNKNOWN;
    tell({ kind: "paying", priceSats, calls: challenge.calls ?? null, budgetLeftSats: purse.leftSats - priceSats });
    paidFor.add(call);
    const named = [challenge.verify, refusal.challenges[0]?.verify].flatMap((verify) => (verify && verifyUrl(verify, call)) || []);
    return purchases.begin(call, offer, named[0] ?? verifyUrl(undefined, call)!);
  };

  /** Its own purchase, or the one that is under way. */
  const buy = async (refused: Refused): Promise<Earning> => {
    const { call, signal, tell } = refused;
    const begun = purchases.underWay(call) ?? begin(refused);
    if ("code" in begun) return { ok: false, obstacle: begun };
    const startedAt = Date.now();
    const earning = await unlessOverdue(begun, signal);
    signal?.throwIfAborted();
    if (earning === null) return { ok: false, obstacle: purchases.untaken(call) ? NOT_TAKEN : OVERDUE };
    const { priceSats } = begun;
    // Nothing was paid for this call.
    if (!earning.ok && earning.obstacle === SPENT_BEFORE && priceSats === 0) paidFor.delete(call);
    if (earning.ok && begun.call === call && priceSats > 0) {
      const { spare } = earning.earned;
      const calls = Number.isFinite(spare) ? spare : null;
      tell({ kind: "paid", priceSats, calls, elapsedMs: Date.now() - startedAt, budgetLeftSats: purse.leftSats });
    }
    return earning;
  };

  const take = async (refused: Refused): Promise<Taken> => {
    const taken = await earnings.share(refused, () => buy(refused));
    if (taken.ok || (taken.obstacle !== PAID_BY_ANOTHER && taken.obstacle !== SPENT_BEFORE)) return taken;
    // It is told another invoice when it is sent again.
    return { ok: true, waitedMs: 0, headers: {} };
  };

  return { kind: "l402", consider, take };
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
