/** The wallet that a caller hands in. */

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
