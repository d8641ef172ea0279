/**
 * Lightning invoices (BOLT 11) of any network, amount and time: what a payer may be handed, and no node of ours would make. Nobody has
 * signed them, since the client leaves the signature to its wallet; no wallet pays them.
 */

import { createHash, randomBytes } from "node:crypto";
import { bech32 } from "@scure/base";

export interface AnyInvoiceOptions {
  /** As in the invoice's prefix; `bcrt` when left out. */
  readonly network?: "bc" | "tb" | "tbs" | "bcrt";
  /** Digits and unit, such as `300n` for 30 sats; empty for none. */
  readonly amount: string;
  /** Seconds since 1970; now when left out. */
  readonly createdAt?: number;
  /** Left out of the invoice when undefined, which means an hour. */
  readonly expirySeconds?: number;
  /** Further tagged fields, as words of five bits, before the payment hash. */
  readonly moreWords?: readonly number[];
}

export interface AnyInvoice {
  readonly invoice: string;
  /** Hexadecimal. */
  readonly paymentHash: string;
}

const BECH32_CHARACTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const SIGNATURE_BYTES = 65;

export function makeAnyInvoice(options: AnyInvoiceOptions): AnyInvoice {
  const { network = "bcrt", amount, createdAt = Math.floor(Date.now() / 1_000), expirySeconds, moreWords = [] } = options;
  const paymentHash = createHash("sha256").update(randomBytes(32)).digest();
  const words = [
    ...numberWords(createdAt, 7),
    ...moreWords,
    ...tagged("p", bech32.toWords(paymentHash)),
    ...tagged("d", bech32.toWords(Buffer.from("calls"))),
    ...(expirySeconds === undefined ? [] : tagged("x", numberWords(expirySeconds))),
    ...bech32.toWords(randomBytes(SIGNATURE_BYTES)),
  ];
  return { invoice: bech32.encode(`ln${network}${amount}`, words, false), paymentHash: paymentHash.toString("hex") };
}

export function tagged(tag: string, words: readonly number[]): number[] {
  return [BECH32_CHARACTERS.indexOf(tag), words.length >> 5, words.length & 31, ...words];
}

function numberWords(value: number, length = 0): number[] {
  const words: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 32)) words.unshift(rest % 32);
  return [...Array.from({ length: Math.max(0, length - words.length) }, () => 0), ...words];
}
