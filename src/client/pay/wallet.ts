/** The wallet that a caller hands in, and what it may be asked to spend. */

/** Pays Lightning invoices: a node of one's own, Nostr Wallet Connect, WebLN in a browser. */
export interface Wallet {
  /**
   * Pays the invoice (BOLT 11), and resolves with its preimage: 64 hexadecimal digits. It should reject with a
   * `PaymentFailedError` when it knows that nothing was paid and nothing will be. After any other rejection, and while there is no
   * answer, the invoice counts as paid: it takes its part of the budget, and the call is not paid for once more.
   */
  payInvoice(bolt11: string): Promise<{ readonly preimage: string }>;
}

/** What a wallet rejects with when it knows that the invoice is not paid, and never will be. */
export class PaymentFailedError extends Error {
  override readonly name: string = "PaymentFailedError";
}

/** What remains of a budget. Money is set aside before it is paid, so that payments at the same time cannot overspend it. */
export class Purse {
  #leftSats: number;

  constructor(budgetSats: number) {
    this.#leftSats = budgetSats;
  }

  get leftSats(): number {
    return this.#leftSats;
  }

  /** A budget that is no number holds nothing. */
  holds(sats: number): boolean {
    return sats <= this.#leftSats;
  }

  setAside(sats: number): void {
    this.#leftSats -= sats;
  }

  putBack(sats: number): void {
    this.#leftSats += sats;
  }
}
