/** Sells calls for the stand-in of the gate: invoices of a Lightning node that does not exist, each with a macaroon, each redeemed once. */

import { createHmac, randomBytes } from "node:crypto";
import type { LightningNode } from "./lightning-node.ts";

const SECRET = randomBytes(32);
const VERSION = Buffer.from([0, 0]);
const IDENTIFIER_BYTES = 66;

export interface Offer {
  readonly type: "l402";
  readonly macaroon: string;
  readonly invoice: string;
  readonly priceSats: number;
  readonly calls: number;
  readonly expiresAt: string;
}

export class L402Seller {
  readonly #node: LightningNode;
  readonly #priceSats: number;
  readonly calls: number;
  readonly #sold = new Set<string>();

  constructor(node: LightningNode, priceSats: number, calls: number) {
    this.#node = node;
    this.#priceSats = priceSats;
    this.calls = calls;
  }

  offer(): Offer {
    const { text, paymentHash } = this.#node.issue({ sats: this.#priceSats });
    const identifier = Buffer.concat([VERSION, Buffer.from(paymentHash, "hex"), randomBytes(32)]);
    return {
      type: "l402",
      macaroon: Buffer.concat([identifier, sign(identifier)]).toString("base64"),
      invoice: text,
      priceSats: this.#priceSats,
      calls: this.calls,
      expiresAt: new Date(Date.now() + 600_000).toISOString(),
    };
  }

  /** @returns what is wrong with it, or null when its calls are sold now */
  redeem(macaroon: string, preimage: string): string | null {
    const bytes = Buffer.from(macaroon, "base64");
    const identifier = bytes.subarray(0, IDENTIFIER_BYTES);
    if (!bytes.subarray(IDENTIFIER_BYTES).equals(sign(identifier))) return "a macaroon that was never issued";
    if (!this.#node.isPaid(identifier.subarray(2, 34).toString("hex"), preimage)) return "a preimage of no invoice that was paid";
    if (this.#sold.has(macaroon)) return "a payment that was redeemed before";
    this.#sold.add(macaroon);
    return null;
  }
}

function sign(identifier: Buffer): Buffer {
  return createHmac("sha256", SECRET).update(identifier).digest();
}
