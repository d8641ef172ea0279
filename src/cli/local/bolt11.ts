/**
 * Writes and signs invoices as BOLT11 says, for regtest alone: `lnbcrt…`, which no wallet pays with money. Real in all else, so
 * that whatever decodes invoices decodes these, and whoever checks signatures finds the node that signed.
 */

import { secp256k1 } from "@noble/curves/secp256k1.js";
import { bech32 } from "@scure/base";

const PREFIX = "lnbcrt";
/** Types of tagged fields. */
const PAYMENT_HASH = 1;
const FEATURES = 5;
const EXPIRY = 6;
const DESCRIPTION = 13;
const PAYMENT_SECRET = 16;
/** Bits 8 and 14, as groups of five: the variable onion and the payment secret, which every payer understands. */
const FEATURE_WORDS = [0b10000, 0b01000, 0b00000];
const TIMESTAMP_WORDS = 7;
const WORD_BITS = 5;

export interface Bolt11Parts {
  /** Whole satoshis. */
  readonly sats: number;
  /** 32 bytes. */
  readonly paymentHash: Uint8Array;
  /** 32 bytes: what a payer shows so that nobody in between can probe for the invoice. */
  readonly paymentSecret: Uint8Array;
  readonly description: string;
  /** Epoch seconds. */
  readonly timestamp: number;
  readonly expirySeconds: number;
}

/** @param nodeKey the private key of secp256k1, 32 bytes */
export function writeBolt11(parts: Bolt11Parts, nodeKey: Uint8Array): string {
  // 10 nanobitcoin are a satoshi.
  const prefix = `${PREFIX}${parts.sats * 10}n`;
  const words = [
    ...numberWords(parts.timestamp, TIMESTAMP_WORDS),
    ...field(PAYMENT_HASH, bech32.toWords(parts.paymentHash)),
    ...field(PAYMENT_SECRET, bech32.toWords(parts.paymentSecret)),
    ...field(DESCRIPTION, bech32.toWords(new TextEncoder().encode(parts.description))),
    ...field(EXPIRY, numberWords(parts.expirySeconds)),
    ...field(FEATURES, FEATURE_WORDS),
  ];
  const [recovery, ...signature] = secp256k1.sign(signedBytes(prefix, words), nodeKey, { format: "recovered" });
  return bech32.encode(prefix, [...words, ...bech32.toWords(Uint8Array.from([...signature, recovery!]))], false);
}

/** The public key of a node, compressed. */
export function nodeIdOf(nodeKey: Uint8Array): Uint8Array {
  return secp256k1.getPublicKey(nodeKey, true);
}

function field(type: number, words: readonly number[]): number[] {
  return [type, words.length >> WORD_BITS, words.length & 0b11111, ...words];
}

/** Big-endian, in as few groups as it takes, or in exactly `length`. */
function numberWords(value: number, length?: number): number[] {
  const words: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 32)) words.unshift(rest % 32);
  while (words.length < (length ?? 1)) words.unshift(0);
  return words;
}

/** What is signed: the prefix as text, then the data, filled up with zero bits to a whole byte. */
function signedBytes(prefix: string, words: readonly number[]): Uint8Array {
  const data = new Uint8Array(Math.ceil((words.length * WORD_BITS) / 8));
  for (const [i, word] of words.entries()) {
    for (let bit = 0; bit < WORD_BITS; bit++) {
      const at = i * WORD_BITS + bit;
      if ((word & (0b10000 >> bit)) !== 0) data[at >> 3]! |= 0x80 >> (at & 7);
    }
  }
  return Uint8Array.from([...new TextEncoder().encode(prefix), ...data]);
}
