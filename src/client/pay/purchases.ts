/**
 * Buys calls: has the wallet pay an invoice, and hands its preimage to the gate, which puts the calls on the caller's account. Where
 * that is an address, or the server takes no preimage there, the credential is shown with the calls, as any L402 client does.
 *
 * What is paid cannot be taken back. So a purchase goes on when the call that began it is gone, and what it buys is there for the
 * next; as long as it is open, no other is begun on the same account. What was paid is kept until the gate has taken it,
 * and handed in anew before anything else is paid there. When nobody knows whether an invoice is paid, it counts as paid.
 */

import { l402Authorization, type L402Credential } from "../l402-challenge.ts";
import type { FetchLike, Outgoing } from "../outgoing.ts";
import { sleep } from "../sleep.ts";
import { postVerify, type Verification } from "../verify-endpoint.ts";
import { accountOf, type Earning, type Earnings, PASS_HEADER } from "../ways/earnings.ts";
import type { Obstacle } from "../ways/obstacle.ts";
import type { PayableOffer } from "./invoice-terms.ts";
import { isPreimageOf } from "./preimage.ts";
import { Purse } from "./purse.ts";
import type { Wallet } from "./wallet.ts";

/** Its calls come to the account when it is paid, whether or not anyone still waits for them. */
export interface Purchase {
  /** The call that began it. */
  readonly call: Outgoing;
  /** 0 when it was paid before, and is handed in anew. */
  readonly priceSats: number;
  readonly earning: Promise<Earning>;
  /** How long calls wait for it, in epoch milliseconds. */
  readonly until: number;
}

/** A payment that the gate has not taken yet, as far as is known. */
interface Untaken {
  readonly credential: L402Credential;
  /** How many calls are sold, when that is told. */
  readonly calls: number | undefined;
  readonly verify: URL;
}

/** Until it has been measured: over a relay and a few hops. */
const ASSUMED_PAYMENT_MS = 3_000;
/** The MCP SDKs give a request up after a minute. A payment that is stuck on its way may stay so for hours. */
export const MAX_PAYMENT_WAIT_MS = 45_000;
/** A gate that restarts is back by then. After that the credential goes with the calls themselves. */
const REDEEM_AGAIN_MS = [250, 1_000];
const SERVER_ERRORS = 500;
/** The gate has taken it before, when the answer was lost, and its calls are used up: as the gate says it. */
const SPENT = "urn:turnpike:problem:spent-payment";
export const SPENT_BEFORE: Obstacle = { code: "paid-already", why: "what was paid for before is used up" };

export class Purchases {
  readonly #fetch: FetchLike;
  readonly #wallet: Wallet;
  readonly #earnings: Earnings;
  readonly #underWay = new Map<string, Purchase>();
  readonly #untaken = new Map<string, Untaken>();
  /** By payment hash. At a satoshi at least for each, the budget bounds how many there are. */
  readonly #invoices = new Map<string, "begun" | "paid">();
  readonly purse: Purse;
  #failure: { readonly at: number; readonly obstacle: Obstacle } | null = null;
  #paymentMs = ASSUMED_PAYMENT_MS;

  constructor(fetch: FetchLike, wallet: Wallet, budgetSats: number, earnings: Earnings) {
    this.#fetch = fetch;
    this.#wallet = wallet;
    this.#earnings = earnings;
    this.purse = new Purse(budgetSats);
  }

  /** How long the wallet takes. */
  get paymentMs(): number {
    return this.#paymentMs;
  }

  /** The purchase that is open on the account of a call. */
  underWay(call: Outgoing): Purchase | undefined {
    return this.#underWay.get(accountOf(call));
  }

  /** What was paid on the account of a call and not taken by the gate yet. */
  untaken(call: Outgoing): L402Credential | null {
    return this.#untaken.get(accountOf(call))?.credential ?? null;
  }

  /** What became of an invoice: `begun` when nobody knows yet whether it is paid. Gates tell an open one to more than one call. */
  fateOf({ paymentHash }: PayableOffer): "begun" | "paid" | undefined {
    return this.#invoices.get(paymentHash);
  }

  /** Why the last purchase failed, if it was since then. */
  failureSince(at: number): Obstacle | null {
    return this.#failure && this.#failure.at >= at ? this.#failure.obstacle : null;
  }

  /** @param verify where the preimage is handed in */
  begin(call: Outgoing, offer: PayableOffer, verify: URL): Purchase {
    this.purse.setAside(offer.priceSats);
    this.#invoices.set(offer.paymentHash, "begun");
    return this.#open(call, offer.priceSats, this.#buy(call, offer, verify));
  }

  /** Hands in what was paid and not taken. */
  resume(call: Outgoing): Purchase {
    return this.#open(call, 0, this.#redeem(call, this.#untaken.get(accountOf(call))!));
  }

  #open(call: Outgoing, priceSats: number, earning: Promise<Earning>): Purchase {
    const account = accountOf(call);
    const closed = earning.finally(() => this.#underWay.delete(account));
    const purchase = { call, priceSats, earning: closed, until: Date.now() + MAX_PAYMENT_WAIT_MS };
    this.#underWay.set(account, purchase);
    return purchase;
  }

  async #buy(call: Outgoing, offer: PayableOffer, verify: URL): Promise<Earning> {
    const { macaroon, calls } = offer.challenge;
    const paid = await this.#pay(offer);
    if (!("preimage" in paid)) {
      this.#failure = { at: Date.now(), obstacle: paid };
      return { ok: false, obstacle: paid };
    }
    const untaken = { credential: { macaroon, preimage: paid.preimage }, calls, verify };
    this.#untaken.set(accountOf(call), untaken);
    return this.#redeem(call, untaken);
  }

  async #pay({ challenge, priceSats, paymentHash }: PayableOffer): Promise<{ readonly preimage: string } | Obstacle> {
    const startedAt = Date.now();
    let preimage: string;
    try {
      ({ preimage } = await this.#wallet.payInvoice(challenge.invoice));
    } catch (error) {
      const { name, message } = error instanceof Error ? error : new Error(String(error));
      // By its name: a wallet may have a copy of the class of its own.
      if (name !== "PaymentFailedError")
        return { code: "payment-unknown", why: `the wallet failed, so nobody knows whether the invoice is paid (${message})` };
      this.purse.putBack(priceSats);
      this.#invoices.delete(paymentHash);
      return { code: "wallet-failed", why: `the wallet did not pay its invoice (${message})` };
    }
    this.#paymentMs = Date.now() - startedAt;
    if (await isPreimageOf(preimage, paymentHash)) {
      this.#invoices.set(paymentHash, "paid");
      return { preimage };
    }
    return { code: "payment-unknown", why: "what the wallet answered does not prove that the invoice is paid" };
  }

  async #redeem(call: Outgoing, { credential, calls, verify }: Untaken): Promise<Earning> {
    const account = accountOf(call);
    const onTaken = (): void => void this.#untaken.delete(account);
    const verified = await this.#handIn(call, credential, verify);
    const name = call.headers.has("authorization") ? PASS_HEADER : "Authorization";
    const shown = { [name]: l402Authorization(credential) };
    // Any page may be answered with 200.
    if (verified.ok && (verified.token !== null || verified.calls !== null)) {
      onTaken();
      return { ok: true, earned: this.#earnings.putVerified(call, verified, shown) };
    }
    if (!verified.ok && verified.type === SPENT) {
      onTaken();
      return { ok: false, obstacle: SPENT_BEFORE };
    }
    const worth = { expiresAt: Infinity, calls: calls ?? 1, spare: calls ?? Infinity };
    return { ok: true, earned: this.#earnings.put(call, { headers: shown, use: "on-trial", ...worth, onTaken }) };
  }

  /**
   * As often as it may help: a gate that takes a preimage twice counts it once. One that has told when to come back will say so
   * to the call as well, which waits for that.
   */
  async #handIn(call: Outgoing, credential: L402Credential, verify: URL): Promise<Verification> {
    for (const pauseMs of REDEEM_AGAIN_MS) {
      const verified = await postVerify(this.#fetch, call, verify, credential, undefined);
      if (verified.ok || verified.isToldToWait) return verified;
      if (verified.status !== null && verified.status < SERVER_ERRORS) return verified;
      const againAt = Date.now() + pauseMs;
      await sleep(() => againAt - Date.now(), undefined);
    }
    return postVerify(this.#fetch, call, verify, credential, undefined);
  }
}
