/** Signed Lightning invoices (BOLT 11) without a node, for any network: what a payer sees is real, except that nobody is there. */

import { createHash, randomBytes } from "node:crypto";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { bech32 } from "@scure/base";

export interface InvoiceOptions {
  /** As in the invoice's prefix; `bcrt` when left out. */
  readonly network?: "bc" | "tb" | "tbs" | "bcrt";
  /** Digits and unit, such as `300n` for 30 sats; empty for none. */
  readonly amount: string;
  /** Seconds since 1970; now when left out. */
  readonly createdAt?: number;
  /** Left out of the invoice when undefined, which means an hour. */
  readonly expirySeconds?: number;
  readonly preimage?: Buffer;
  /** Further tagged fields, as words of five bits, before the payment hash. */
  readonly moreWords?: readonly number[];
}

export interface Invoice {
  readonly text: string;
  /** Hexadecimal, as is the hash. */
  readonly preimage: string;
  readonly paymentHash: string;
}

const SECRET_KEY = randomBytes(32);
const BECH32_CHARACTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/** @returns an amount in sats as an invoice writes it */
export function satsAmount(sats: number): string {
  return `${sats * 10}n`;
}

export function makeInvoice(options: InvoiceOptions): Invoice {
  const { network = "bcrt", amount, createdAt = Math.floor(Date.now() / 1_000), expirySeconds, moreWords = [] } = options;
  const preimage = options.preimage ?? randomBytes(32);
  const paymentHash = createHash("sha256").update(preimage).digest();
  const prefix = `ln${network}${amount}`;
  const words = [
    ...numberWords(createdAt, 7),
    ...moreWords,
    ...tagged("p", bech32.toWords(paymentHash)),
    ...tagged("d", bech32.toWords(Buffer.from("calls"))),
    ...(expirySeconds === undefined ? [] : tagged("x", numberWords(expirySeconds))),
    ...tagged("s", bech32.toWords(randomBytes(32))),
  ];
  const signed = createHash("sha256").update(prefix).update(packed(words)).digest();
  // The recovery id is first here, and last in BOLT 11.
  const [recovery, ...signature] = secp256k1.sign(signed, SECRET_KEY, { prehash: false, format: "recovered" });
  const text = bech32.encode(prefix, [...words, ...bech32.toWords(Uint8Array.from([...signature, recovery!]))], false);
  return { text, preimage: preimage.toString("hex"), paymentHash: paymentHash.toString("hex") };
}

export function tagged(tag: string, words: readonly number[]): number[] {
  return [BECH32_CHARACTERS.indexOf(tag), words.length >> 5, words.length & 31, ...words];
}

function numberWords(value: number, length = 0): number[] {
  const words: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 32)) words.unshift(rest % 32);
  return [...Array.from({ length: Math.max(0, length - words.length) }, () => 0), ...words];
}

/** Words of five bits as bytes, filled up with zero bits. */
function packed(words: readonly number[]): Buffer {
  const bits = words.map((word) => word.toString(2).padStart(5, "0")).join("");
  return Buffer.from((bits.match(/.{1,8}/g) ?? []).map((byte) => Number.parseInt(byte.padEnd(8, "0"), 2)));
}
