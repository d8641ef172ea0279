/** What the embedded node knows: its key, and its invoices with their preimages. Kept where it is told to, so that an invoice outlives a restart. */

import { createHash, randomBytes } from "node:crypto";
import { writeBolt11 } from "./bolt11.ts";

/** Of more than that the oldest are forgotten: nobody pays by hand what is so long ago. */
const MAX_INVOICES = 1_000;
const KEY_BYTES = 32;

export interface KnownInvoice {
  readonly invoice: string;
  /** Hexadecimal, as is the preimage. */
  readonly paymentHash: string;
  readonly preimage: string;
  readonly sats: number;
  readonly description: string;
  /** Epoch milliseconds, as are the others. */
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly paidAt?: number;
}

/** Where it is kept, as JSON. `load` gives what was saved last, or null. */
export interface BookStore {
  load(): unknown;
  save(book: object): void;
}

interface StoredBook {
  readonly nodeKey: string;
  readonly invoices: readonly KnownInvoice[];
}

export type Payment =
  | { readonly ok: true; readonly paid: KnownInvoice }
  | { readonly ok: false; readonly why: "unknown" | "expired" | "paid" };

export class InvoiceBook {
  readonly nodeKey: Uint8Array;
  readonly #store: BookStore;
  /** By payment hash, the oldest first. */
  readonly #invoices: Map<string, KnownInvoice>;

  constructor(store: BookStore) {
    const stored = store.load() as StoredBook | null;
    this.#store = store;
    this.nodeKey = stored ? Buffer.from(stored.nodeKey, "hex") : randomBytes(KEY_BYTES);
    this.#invoices = new Map(stored?.invoices.map((known) => [known.paymentHash, known]));
  }

  create(order: { readonly sats: number; readonly description: string; readonly expirySeconds: number }, now: number): KnownInvoice {
    const { sats, description, expirySeconds } = order;
    const preimage = randomBytes(KEY_BYTES);
    const paymentHash = createHash("sha256").update(preimage).digest();
    const timestamp = Math.floor(now / 1_000);
    const parts = { sats, paymentHash, paymentSecret: randomBytes(KEY_BYTES), description, timestamp, expirySeconds };
    const known = {
      invoice: writeBolt11(parts, this.nodeKey),
      paymentHash: paymentHash.toString("hex"),
      preimage: preimage.toString("hex"),
      sats,
      description,
      createdAt: now,
      expiresAt: (timestamp + expirySeconds) * 1_000,
    };
    this.#keep(known);
    return known;
  }

  find(paymentHash: string): KnownInvoice | undefined {
    return this.#invoices.get(paymentHash);
  }

  /** As the network does it: once, in time. */
  pay(invoice: string, now: number): Payment {
    const known = [...this.#invoices.values()].find((each) => each.invoice === invoice);
    if (!known) return { ok: false, why: "unknown" };
    if (known.paidAt !== undefined) return { ok: false, why: "paid" };
    if (known.expiresAt <= now) return { ok: false, why: "expired" };
    const paid = { ...known, paidAt: now };
    this.#keep(paid);
    return { ok: true, paid };
  }

  #keep(known: KnownInvoice): void {
    this.#invoices.set(known.paymentHash, known);
    for (const oldest of this.#invoices.keys()) {
      if (this.#invoices.size <= MAX_INVOICES) break;
      this.#invoices.delete(oldest);
    }
    this.#store.save({ nodeKey: Buffer.from(this.nodeKey).toString("hex"), invoices: [...this.#invoices.values()] } satisfies StoredBook);
  }
}
