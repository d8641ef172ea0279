/**
 * A stand-in for a Lightning node and for a wallet that pays it: signed invoices, and preimages for those that were issued. It
 * notes what nobody should ask a wallet to do: to pay what this node has not issued, what has expired, or anything twice.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { Wallet } from "../../src/client/index.ts";
import { type Invoice, type InvoiceOptions, makeInvoice, satsAmount } from "./any-invoice.ts";

export interface IssueOptions extends Omit<InvoiceOptions, "amount"> {
  readonly sats: number;
  /** Another amount than what it is said to cost. */
  readonly amount?: string;
}

const DEFAULT_EXPIRY_SECONDS = 600;

export class LightningNode implements Wallet {
  readonly #issued = new Map<string, Invoice & { readonly sats: number; readonly expiresAt: number }>();
  readonly paid: { readonly text: string; readonly sats: number }[] = [];
  readonly offences: string[] = [];
  /** How long a payment takes. */
  payMs = 0;

  issue({ sats, amount = satsAmount(sats), expirySeconds = DEFAULT_EXPIRY_SECONDS, ...more }: IssueOptions): Invoice {
    const invoice = makeInvoice({ amount, expirySeconds, ...more });
    const expiresAt = ((more.createdAt ?? Math.floor(Date.now() / 1_000)) + expirySeconds) * 1_000;
    this.#issued.set(invoice.text, { ...invoice, sats, expiresAt });
    return invoice;
  }

  get paidSats(): number {
    return this.paid.reduce((sum, { sats }) => sum + sats, 0);
  }

  payInvoice = async (text: string): Promise<{ preimage: string }> => {
    const invoice = this.#issued.get(text);
    if (!invoice) {
      this.offences.push("an invoice that was never issued");
      throw new Error("no route");
    }
    if (this.paid.some((paid) => paid.text === text)) this.offences.push("an invoice that was paid before");
    if (invoice.expiresAt < Date.now()) this.offences.push("an invoice that has expired");
    this.paid.push({ text, sats: invoice.sats });
    if (this.payMs > 0) await sleep(this.payMs);
    return { preimage: invoice.preimage };
  };

  /** Whether the preimage is that of a paid invoice with this payment hash. */
  isPaid(paymentHash: string, preimage: string): boolean {
    return this.paid.some(({ text }) => {
      const invoice = this.#issued.get(text)!;
      return invoice.paymentHash === paymentHash && invoice.preimage === preimage;
    });
  }
}
