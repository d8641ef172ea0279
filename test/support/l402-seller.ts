/** Sells calls for the stand-in of the gate, with the gate's own macaroons and the embedded node's invoices; each is redeemed once. */

import { createHash, randomBytes } from "node:crypto";
import { checkCredential, L402_RANDOM_BYTES, type L402Challenge, mintL402 } from "../../src/challenges/l402.ts";
import { openSecrets, type SigningKeys } from "../../src/challenges/secrets.ts";
import type { InvoiceBook } from "../../src/cli/local/invoice-book.ts";

export interface Wares {
  readonly book: InvoiceBook;
  readonly priceSats: number;
  readonly calls: number;
}

const SECRET = randomBytes(32).toString("hex");
const EXPIRY_SECONDS = 600;
const LIFE_MS = 2_592_000_000;

export class L402Seller {
  readonly #wares: Wares;
  readonly #redeemed = new Set<string>();

  constructor(wares: Wares) {
    this.#wares = wares;
  }

  async offer(consumer: string, verify: string): Promise<L402Challenge> {
    const { book, priceSats, calls } = this.#wares;
    const now = Date.now();
    const invoice = book.create({ sats: priceSats, description: `${calls} calls`, expirySeconds: EXPIRY_SECONDS }, now);
    const order = { account: accountOf(consumer), isForHolder: false, plan: "free", network: "bcrt", calls, lifeMs: LIFE_MS, invoice };
    const macaroon = await mintL402(order, await signingKeys(), randomBytes(L402_RANDOM_BYTES));
    const expiresAt = new Date(invoice.expiresAt).toISOString();
    return { type: "l402", macaroon, invoice: invoice.invoice, priceSats, calls, expiresAt, verify };
  }

  /** @returns how many calls are sold now, or what is wrong with the credential */
  async redeem(consumer: string, macaroon: string, preimage: string): Promise<number | string> {
    const now = Date.now();
    const check = await checkCredential({ macaroons: [macaroon], preimage }, await signingKeys(), now);
    if (!check.ok) return check.why;
    const { account, paymentHash, calls } = check.paid;
    if (account !== accountOf(consumer)) return "foreign";
    if (this.#redeemed.has(paymentHash)) return "redeemed before";
    this.#redeemed.add(paymentHash);
    return calls;
  }
}

/** As the gate names a consumer, by an id that does not tell it. */
function accountOf(consumer: string): string {
  return createHash("sha256").update(consumer).digest("hex");
}

async function signingKeys(): Promise<SigningKeys> {
  const opened = await openSecrets(SECRET, undefined);
  if (!opened.ok) throw new Error(opened.why);
  return opened.keys;
}
