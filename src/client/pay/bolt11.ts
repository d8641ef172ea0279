/**
 * Reads a Lightning invoice (BOLT 11): for which network it is, how much it asks for, until when, and the payment hash. That is
 * what a client has to know before it lets its wallet pay. The checksum is verified, the signature is not: it says who wrote
 * the invoice, and the wallet that pays looks at that.
 */

/** As BOLT 11 and the nodes tell them apart. */
export type LightningNetwork = "bitcoin" | "testnet" | "signet" | "regtest";

export interface Bolt11 {
  readonly network: LightningNetwork;
  /** Thousandths of a satoshi. Null when the payer is to choose. */
  readonly amountMsat: bigint | null;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
  /** SHA-256 of the preimage, in 64 hexadecimal digits. */
  readonly paymentHash: string;
}

/** BIP 173. */
const CHARACTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATORS = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const CHECKSUM_WORDS = 6;
/** 65 bytes in words of five bits. */
const SIGNATURE_WORDS = 104;
const TIMESTAMP_WORDS = 7;
const HASH_WORDS = 52;
const DEFAULT_EXPIRY_SECONDS = 3_600;
/** Several times what the longest invoice of a wallet takes; BOLT 11 itself names no bound. */
const MAX_CHARS = 4_096;

const NETWORKS: Readonly<Record<string, LightningNetwork>> = { bc: "bitcoin", tb: "testnet", tbs: "signet", bcrt: "regtest" };
/** All the bitcoin that there will ever be has eight digits; the smallest unit is twelve more. */
const PREFIX = /^ln(bcrt|bc|tbs|tb)(?:([1-9]\d{0,18})([munp]?))?$/;
const PICO_PER_UNIT: Readonly<Record<string, bigint>> = { "": 10n ** 12n, m: 10n ** 9n, u: 10n ** 6n, n: 10n ** 3n, p: 1n };
const PICO_PER_MSAT = 10n;

const TAG_PAYMENT_HASH = CHARACTERS.indexOf("p");
const TAG_EXPIRY = CHARACTERS.indexOf("x");

/** Null when it is no well-formed invoice of a known network. */
export function readBolt11(text: string): Bolt11 | null {
  if (text.length > MAX_CHARS || (text !== text.toLowerCase() && text !== text.toUpperCase())) return null;
  const lower = text.toLowerCase();
  const separator = lower.lastIndexOf("1");
  const prefix = PREFIX.exec(lower.slice(0, Math.max(0, separator)));
  const words = wordsOf(lower.slice(separator + 1));
  if (!prefix || !words || !isChecked(prefix[0], words)) return null;

  const amountMsat = prefix[2] === undefined ? null : msatOf(prefix[2], prefix[3] ?? "");
  const data = words.slice(0, -(CHECKSUM_WORDS + SIGNATURE_WORDS));
  if (amountMsat === undefined || words.length < TIMESTAMP_WORDS + SIGNATURE_WORDS + CHECKSUM_WORDS) return null;
  const tags = tagsOf(data.slice(TIMESTAMP_WORDS));
  // A field of the wrong length is to be skipped, and of several the first one holds.
  const hash = tags?.find(({ tag, words }) => tag === TAG_PAYMENT_HASH && words.length === HASH_WORDS);
  if (!tags || !hash) return null;

  const expiry = tags.find(({ tag }) => tag === TAG_EXPIRY);
  const createdAt = numberOf(data.slice(0, TIMESTAMP_WORDS)) * 1_000;
  return {
    network: NETWORKS[prefix[1]!]!,
    amountMsat,
    createdAt,
    expiresAt: createdAt + (expiry ? numberOf(expiry.words) : DEFAULT_EXPIRY_SECONDS) * 1_000,
    paymentHash: hexOf(hash.words),
  };
}

/** Undefined for a fraction of a thousandth, which nobody can pay. */
function msatOf(digits: string, unit: string): bigint | undefined {
  const pico = BigInt(digits) * PICO_PER_UNIT[unit]!;
  return pico % PICO_PER_MSAT === 0n ? pico / PICO_PER_MSAT : undefined;
}

function wordsOf(text: string): number[] | null {
  const words = Array.from(text, (character) => CHARACTERS.indexOf(character));
  return words.includes(-1) ? null : words;
}

/** The checksum of BIP 173 over the prefix and all words. */
function isChecked(prefix: string, words: readonly number[]): boolean {
  const codes = Array.from(prefix, (character) => character.charCodeAt(0));
  let sum = 1;
  for (const value of [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31), ...words]) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ value;
    for (const [bit, generator] of GENERATORS.entries()) if ((top >> bit) & 1) sum ^= generator;
  }
  return sum === 1;
}

interface Tagged {
  readonly tag: number;
  readonly words: readonly number[];
}

/** Null when a field claims to be longer than there is. */
function tagsOf(words: readonly number[]): Tagged[] | null {
  const tags: Tagged[] = [];
  for (let at = 0; at < words.length;) {
    const [tag, high, low] = words.slice(at, at + 3);
    if (tag === undefined || high === undefined || low === undefined) return null;
    const from = at + 3;
    at = from + high * 32 + low;
    if (at > words.length) return null;
    tags.push({ tag, words: words.slice(from, at) });
  }
  return tags;
}

function numberOf(words: readonly number[]): number {
  return words.reduce((number, word) => number * 32 + word, 0);
}

/** Whole bytes only: the bits that fill up the last word are none of the hash's. */
function hexOf(words: readonly number[]): string {
  const bits = words.map((word) => word.toString(2).padStart(5, "0")).join("");
  return (bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2).toString(16).padStart(2, "0")).join("");
}
