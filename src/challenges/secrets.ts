/**
 * The keys that challenges, macaroons and passes are signed with. The operator sets one secret text, and for the time of a rotation the
 * one before it as well: what the old one signed is still good, and nothing new is signed with it. A key's id is derived
 * from its secret, so there is nothing to configure twice, and every use has a key of its own (HKDF, RFC 5869), so that
 * what is signed for one use means nothing to another.
 */

import { BoundedCache } from "../bounded-cache.ts";

/**
 * Whoever holds a challenge can try secrets against it for as long as they like: a short one would be found. This is 128
 * bits as hex, half of what `openssl rand -hex 32` prints.
 */
export const MIN_SECRET_LENGTH = 32;
/** Told in everything that is signed. Two secrets are in use at the most: 32 bits tell them apart. */
const KEY_ID_BITS = 32;
/** The output of SHA-256, which is what RFC 2104 recommends for a key. */
const KEY_BITS = 256;
/** Consumers of one isolate whose tags are kept; some 200 bytes each. */
const MAX_TAGS = 10_000;

const encoder = new TextEncoder();
const HKDF_SALT = encoder.encode("turnpike");

export interface SigningKey {
  /** 32 bits of HKDF: tells which secret it was, and nothing of the secret. */
  readonly id: number;
  /** HMAC-SHA256, each for one use. */
  readonly pow: CryptoKey;
  readonly pass: CryptoKey;
  readonly tag: CryptoKey;
  /** Root keys of macaroons are derived from it: see l402.ts. */
  readonly macaroon: CryptoKey;
  /** See consumer-tag.ts. */
  readonly tags: BoundedCache<Uint8Array>;
}

export interface SigningKeys {
  /** Signs. */
  readonly current: SigningKey;
  /** All that are accepted, the current one first. */
  readonly accepted: readonly SigningKey[];
}

export type OpenedSecrets =
  | { readonly ok: true; readonly keys: SigningKeys }
  /** `missing`: there is no current secret, and so nothing can be signed. */
  | { readonly ok: false; readonly why: "missing" | "too-short" | "previous-too-short" };

let opened: { readonly current: string; readonly previous: string; readonly secrets: OpenedSecrets } | undefined;

/**
 * The keys of two secret texts. Derived once, and remembered for as long as the texts are the same. White space around a
 * text is not part of it: some tools store a secret with the end of its line.
 */
export async function openSecrets(current: string | undefined, previous: string | undefined): Promise<OpenedSecrets> {
  const texts = { current: current?.trim() ?? "", previous: previous?.trim() ?? "" };
  if (opened?.current === texts.current && opened.previous === texts.previous) return opened.secrets;
  // The result is remembered and not the promise, which would tie one request to the fate of another.
  const secrets = await deriveAll(texts.current, texts.previous);
  opened = { ...texts, secrets };
  return secrets;
}

export function findKey(keys: SigningKeys, id: number): SigningKey | undefined {
  return keys.accepted.find((key) => key.id === id);
}

async function deriveAll(current: string, previous: string): Promise<OpenedSecrets> {
  if (current === "") return { ok: false, why: "missing" };
  if (current.length < MIN_SECRET_LENGTH) return { ok: false, why: "too-short" };
  if (previous !== "" && previous.length < MIN_SECRET_LENGTH) return { ok: false, why: "previous-too-short" };
  const key = await deriveKey(current);
  const accepted = previous === "" || previous === current ? [key] : [key, await deriveKey(previous)];
  return { ok: true, keys: { current: key, accepted } };
}

async function deriveKey(secret: string): Promise<SigningKey> {
  const root = await crypto.subtle.importKey("raw", encoder.encode(secret), "HKDF", false, ["deriveBits"]);
  const derive = (use: string, bits: number): Promise<ArrayBuffer> =>
    crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt: HKDF_SALT, info: encoder.encode(use) }, root, bits);
  const hmac = async (use: string): Promise<CryptoKey> =>
    crypto.subtle.importKey("raw", await derive(use, KEY_BITS), { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
  return {
    id: new DataView(await derive("key id", KEY_ID_BITS)).getUint32(0),
    pow: await hmac("pow"),
    pass: await hmac("pass"),
    tag: await hmac("consumer tag"),
    macaroon: await hmac("macaroon"),
    tags: new BoundedCache(MAX_TAGS),
  };
}
