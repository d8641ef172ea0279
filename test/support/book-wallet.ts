/**
 * A wallet beside the invoices that it can pay: those of the embedded node. It pays them as the network does, once and in time, and
 * notes what nobody should ask of a wallet.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { InvoiceBook, type KnownInvoice } from "../../src/cli/local/invoice-book.ts";
import { PaymentFailedError, type Wallet } from "../../src/client/index.ts";

export class BookWallet implements Wallet {
  readonly book = new InvoiceBook({ load: () => null, save: () => {} });
  readonly paid: KnownInvoice[] = [];
  readonly offences: string[] = [];
  /** How long a payment takes. */
  payMs = 0;

  get paidSats(): number {
    return this.paid.reduce((sum, { sats }) => sum + sats, 0);
  }

  payInvoice = async (invoice: string): Promise<{ preimage: string }> => {
    const payment = this.book.pay(invoice, Date.now());
    if (!payment.ok) {
      this.offences.push(`to pay an invoice that is ${payment.why}`);
      throw new PaymentFailedError(payment.why);
    }
    this.paid.push(payment.paid);
    if (this.payMs > 0) await sleep(this.payMs);
    return { preimage: payment.paid.preimage };
  };
}
