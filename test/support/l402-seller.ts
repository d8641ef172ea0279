/** Sells calls for the stand-in of the gate, with the gate's own macaroons and the embedded node's invoices; each is redeemed once. */

import { randomBytes } from "node:crypto";
import { checkCredential, issueL402, L402_RANDOM_BYTES, type L402Challenge } from "../../src/challenges/l402.ts";
import { openSecrets, type SigningKeys } from "../../src/challenges/secrets.ts";
import type { InvoiceBook } from "../../src/cli/local/invoice-book.ts";

export interface Wares {
  readonly book: InvoiceBook;
  readonly priceSats: number;
  readonly calls: number;
}

const SECRET = randomBytes(32).toString("hex");
const EXPIRY_SECONDS = 600;

export class L402Seller {
  readonly #wares: Wares;
  readonly #redeemed = new Set<string>();

  constructor(wares: Wares) {
    this.#wares = wares;
  }

  async offer(consumer: string): Promise<L402Challenge> {
    const { book, priceSats, calls } = this.#wares;
    const now = Date.now();
    const invoice = book.create({ sats: priceSats, description: `${calls} calls`, expirySeconds: EXPIRY_SECONDS }, now);
    return issueL402({ consumer, calls, priceSats, invoice }, await signingKeys(), randomBytes(L402_RANDOM_BYTES), now);
  }

  /** @returns how many calls are sold now, or what is wrong with the credential */
  async redeem(consumer: string, macaroon: string, preimage: string): Promise<number | string> {
    const now = Date.now();
    const check = await checkCredential({ macaroons: [macaroon], preimage }, await signingKeys(), now);
    if (!check.ok) return check.why;
    if (!(await check.isFor(consumer, now))) return "foreign";
    const { paymentHash, calls } = check.paid;
    if (this.#redeemed.has(paymentHash)) return "redeemed before";
    this.#redeemed.add(paymentHash);
    return calls;
  }
}

async function signingKeys(): Promise<SigningKeys> {
  const opened = await openSecrets(SECRET, undefined);
  if (!opened.ok) throw new Error(opened.why);
  return opened.keys;
}
