/**
 * L402: a macaroon that is worth something once its invoice is paid. The payer learns the preimage of the invoice's payment
 * hash, and shows both. Making one costs a few signatures, checking one as many and a hash; nothing is stored until it is
 * paid. The root key of each macaroon is derived from the gate's secret and the token id, which starts with the id of the
 * secret it was: so a macaroon is good through a rotation, and none is tried against every key.
 *
 * The identifier is L402's: version 0 (2 bytes), the payment hash (32), the token id (32). Numbers are big-endian.
 */

import { bytesOfHex, hexOf } from "../hex.ts";
import type { Invoice } from "../lightning/node.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { type CaveatTerms, readCaveats, type ReadTerms, SERVICE, writeCaveats } from "./caveats.ts";
import { isSignedWith, type Macaroon, MAX_MACAROON_BYTES, mintMacaroon, parseMacaroon } from "./macaroon.ts";
import { findKey, type SigningKey, type SigningKeys } from "./secrets.ts";

/** Whoever pays in the last moment has a day to come back with the proof: for so long it must be remembered what was handed in. */
const MACAROON_OUTLIVES_INVOICE_MS = 86_400_000;
const VERSION = 0;
const HASH_AT = 2;
const TOKEN_ID_AT = 34;
const IDENTIFIER_BYTES = 66;
const KEY_ID_BYTES = 4;
const PREIMAGE_BYTES = 32;
/** What a macaroon needs of randomness: the rest of its token id, 224 bits. */
export const L402_RANDOM_BYTES = IDENTIFIER_BYTES - TOKEN_ID_AT - KEY_ID_BYTES;
/** One is the rule. L402 allows several for one payment, and each costs its signatures. */
export const MAX_MACAROONS = 2;

/** Hexadecimal, as all payers send it; base64, as the first text of the protocol had it. */
const PREIMAGE_HEX = /^[\da-f]{64}$/i;

export interface L402Challenge {
  readonly type: "l402";
  /** Base64. */
  readonly macaroon: string;
  /** BOLT11. */
  readonly invoice: string;
  readonly priceSats: number;
  /** What the price buys. */
  readonly calls: number;
  /** Until when the invoice can be paid: ISO 8601, a whole second. */
  readonly expiresAt: string;
  /** The URL that takes macaroon and preimage, for whoever cannot show them with a call. */
  readonly verify: string;
}

export interface L402Order extends Omit<CaveatTerms, "redeemBy" | "validUntil"> {
  /** How long the credit will last. */
  readonly lifeMs: number;
  readonly invoice: Pick<Invoice, "paymentHash" | "expiresAt">;
}

/** What comes back. Texts as they were sent: nothing has been looked at. */
export interface L402Credential {
  /** Base64. */
  readonly macaroons: readonly string[];
  readonly preimage: string;
}

/** What a good credential says: the terms are those of caveats.ts. */
export interface Paid extends ReadTerms {
  /** What the credit is counted under, once in the world: 64 hexadecimal digits. */
  readonly paymentHash: string;
}

export type CredentialFault =
  /** Signed with a secret that is not, or no longer, in use. */
  | "unknown-key"
  /** Not as it was minted. */
  | "altered"
  /** Genuine, but a caveat that was added leaves nothing that can be served here. */
  | "restricted"
  | "expired"
  /** Genuine, and this is not the proof that its invoice was paid. */
  | "wrong-preimage";

export type CredentialCheck =
  | { readonly ok: true; readonly paid: Paid }
  /** Not the form of such a text at all. */
  | { readonly ok: false; readonly why: "malformed"; readonly part: "macaroon" | "preimage" }
  | { readonly ok: false; readonly why: CredentialFault };

/**
 * A fresh macaroon for an invoice, in base64.
 * @param random `L402_RANDOM_BYTES` random bytes, used for nothing else
 */
export async function mintL402(order: L402Order, { current }: SigningKeys, random: Uint8Array): Promise<string> {
  if (random.length !== L402_RANDOM_BYTES) throw new RangeError(`needs ${L402_RANDOM_BYTES} random bytes`);
  const { invoice, lifeMs, ...terms } = order;
  const identifier = new Uint8Array(IDENTIFIER_BYTES);
  const view = new DataView(identifier.buffer);
  view.setUint16(0, VERSION);
  identifier.set(bytesOfHex(invoice.paymentHash), HASH_AT);
  view.setUint32(TOKEN_ID_AT, current.id);
  identifier.set(random, TOKEN_ID_AT + KEY_ID_BYTES);
  const redeemBy = invoice.expiresAt + MACAROON_OUTLIVES_INVOICE_MS;
  const caveats = writeCaveats({ ...terms, redeemBy, validUntil: redeemBy + lifeMs });
  return encodeBase64(await mintMacaroon({ location: SERVICE, identifier, caveats }, await rootKey(identifier, current)));
}

/**
 * Whether a credential is a macaroon of this gate's with the proof that its invoice was paid. Says nothing of whether it has been
 * counted before: only the account knows that. Of several macaroons the first that is good counts, and else what is
 * wrong with the first.
 * @param now epoch milliseconds
 */
export async function checkCredential(credential: L402Credential, keys: SigningKeys, now: number): Promise<CredentialCheck> {
  const preimage = preimageOf(credential.preimage);
  if (!preimage) return { ok: false, why: "malformed", part: "preimage" };
  const paymentHash = hexOf(new Uint8Array(await crypto.subtle.digest("SHA-256", preimage)));
  let first: CredentialCheck | undefined;
  for (const text of credential.macaroons.slice(0, MAX_MACAROONS)) {
    const check = await checkMacaroon(text, paymentHash, keys, now);
    if (check.ok) return check;
    first ??= check;
  }
  return first ?? { ok: false, why: "malformed", part: "macaroon" };
}

async function checkMacaroon(text: string, paymentHash: string, keys: SigningKeys, now: number): Promise<CredentialCheck> {
  const macaroon = readMacaroon(text);
  if (!macaroon) return { ok: false, why: "malformed", part: "macaroon" };
  const { identifier, caveats } = macaroon;
  const key = findKey(keys, new DataView(identifier.buffer, identifier.byteOffset).getUint32(TOKEN_ID_AT));
  if (!key) return { ok: false, why: "unknown-key" };
  if (!(await isSignedWith(macaroon, await rootKey(identifier, key)))) return { ok: false, why: "altered" };

  const read = readCaveats(caveats);
  if (!read.ok) return { ok: false, why: "restricted" };
  if (read.terms.validUntil <= now) return { ok: false, why: "expired" };
  // The hash is told to everybody who gets the invoice: comparing it in constant time would hide nothing.
  if (hexOf(identifier.subarray(HASH_AT, TOKEN_ID_AT)) !== paymentHash) return { ok: false, why: "wrong-preimage" };
  return { ok: true, paid: { paymentHash, ...read.terms } };
}

function readMacaroon(text: string): Macaroon | null {
  const bytes = decodeBase64(text, MAX_MACAROON_BYTES);
  const macaroon = bytes && parseMacaroon(bytes);
  if (macaroon?.identifier.length !== IDENTIFIER_BYTES) return null;
  const { identifier } = macaroon;
  return new DataView(identifier.buffer, identifier.byteOffset).getUint16(0) === VERSION ? macaroon : null;
}

async function rootKey(identifier: Uint8Array<ArrayBuffer>, key: SigningKey): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", key.macaroon, identifier.subarray(TOKEN_ID_AT)));
}

function preimageOf(text: string): Uint8Array<ArrayBuffer> | null {
  if (PREIMAGE_HEX.test(text)) return bytesOfHex(text);
  const bytes = decodeBase64(text, PREIMAGE_BYTES);
  return bytes?.length === PREIMAGE_BYTES ? bytes : null;
}
