/**
 * Macaroons as libmacaroons writes and signs them: the V2 binary format, first-party caveats only. A macaroon is a text
 * and a list of caveats under a chain of HMACs, each keyed with the one before it: whoever holds one can add a caveat, and
 * nobody without the root key can take one away.
 *
 * ```
 * 02  [01 length location]  02 length identifier  00
 *     { [01 length location]  02 length caveat  00 }  00
 * 06 20 signature
 * ```
 * Lengths are varints. The location is a hint and is not signed. The L402 repository's own page on macaroons has other tags and
 * leaves out the key derivation; the libraries in use (libmacaroons, go-macaroon, `macaroon` on npm) agree on this.
 *
 * A module of our own, because what there is does not serve a Worker. `macaroon` 3.0.4 of npm brings ciphers of its own in
 * JavaScript, is CommonJS on `util`, and its writer doubles its buffer with each field, so that a few caveats ask for more
 * memory than there is. This needs nothing but Web Crypto, and its tests hold it against that package. For texts this short a SHA-256
 * in JavaScript would be quicker, and more bytes in every deployment: a macaroon is made once an invoice.
 */

/** Eight caveats of ours and the identifier are some 400; the rest is for what holders add. As base64 it fits any header. */
export const MAX_MACAROON_BYTES = 4_096;
/** Each costs an HMAC to check. */
const MAX_CAVEATS = 32;
const SIGNATURE_BYTES = 32;

const VERSION = 2;
const END = 0;
const LOCATION = 1;
const IDENTIFIER = 2;
const SIGNATURE = 6;

const encoder = new TextEncoder();
/** With it as the key, every root key is made one of 32 bytes. */
const KEY_GENERATOR = utf8("macaroons-key-generator");
let keyGenerator: CryptoKey | undefined;

type Bytes = Uint8Array<ArrayBuffer>;

export interface Macaroon {
  readonly identifier: Bytes;
  /** As they were signed: text by custom, but any bytes can be one. */
  readonly caveats: readonly Bytes[];
  readonly signature: Bytes;
}

export interface Minting {
  /** Left out when empty. */
  readonly location: string;
  readonly identifier: Bytes;
  readonly caveats: readonly string[];
}

export async function mintMacaroon({ location, identifier, caveats }: Minting, rootKey: Bytes): Promise<Bytes> {
  const written: number[] = [VERSION];
  const field = (type: number, content: Uint8Array): void => {
    written.push(type, ...varint(content.length), ...content);
  };
  if (location !== "") field(LOCATION, utf8(location));
  field(IDENTIFIER, identifier);
  written.push(END);
  let signature = await hmac(await firstKey(rootKey), identifier);
  for (const caveat of caveats) {
    const text = utf8(caveat);
    field(IDENTIFIER, text);
    written.push(END);
    signature = await hmac(signature, text);
  }
  written.push(END);
  field(SIGNATURE, signature);
  return Uint8Array.from(written);
}

/**
 * @returns null when it is no macaroon of this format, is too large, or has a third-party caveat: those ask for a discharge
 * of somebody whom this gate does not know, and must not be skipped
 */
export function parseMacaroon(bytes: Bytes): Macaroon | null {
  if (bytes.length > MAX_MACAROON_BYTES || bytes[0] !== VERSION) return null;
  let at = 1;
  /** The content of a field, when the next one is of this type. */
  const take = (type: number): Bytes | null => {
    if (bytes[at] !== type) return null;
    const length = readVarint(bytes, at + 1);
    if (!length || length.end + length.value > bytes.length) return null;
    at = length.end + length.value;
    return bytes.subarray(length.end, at);
  };
  const takeEnd = (): boolean => {
    const isThere = bytes[at] === END;
    if (isThere) at++;
    return isThere;
  };
  /** An optional location, an identifier, an end. */
  const takeSection = (): Bytes | null => {
    take(LOCATION);
    const identifier = take(IDENTIFIER);
    return identifier && takeEnd() ? identifier : null;
  };

  const identifier = takeSection();
  if (!identifier) return null;
  const caveats: Bytes[] = [];
  while (!takeEnd()) {
    const caveat = takeSection();
    if (!caveat || caveats.length === MAX_CAVEATS) return null;
    caveats.push(caveat);
  }
  const signature = take(SIGNATURE);
  return signature?.length === SIGNATURE_BYTES && at === bytes.length ? { identifier, caveats, signature } : null;
}

/** Whether it was minted with this root key, whatever caveats were added since. The comparison takes constant time. */
export async function isSignedWith({ identifier, caveats, signature }: Macaroon, rootKey: Bytes): Promise<boolean> {
  let key = await firstKey(rootKey);
  let text = identifier;
  for (const caveat of caveats) {
    key = await hmac(key, text);
    text = caveat;
  }
  return crypto.subtle.verify("HMAC", await hmacKey(key), signature, text);
}

async function firstKey(rootKey: Bytes): Promise<Bytes> {
  keyGenerator ??= await hmacKey(KEY_GENERATOR);
  return new Uint8Array(await crypto.subtle.sign("HMAC", keyGenerator, rootKey));
}

async function hmac(key: Bytes, text: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", await hmacKey(key), text));
}

function hmacKey(key: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
}

function utf8(text: string): Bytes {
  return new Uint8Array(encoder.encode(text));
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

/** Three bytes hold any length that a macaroon of `MAX_MACAROON_BYTES` can have. */
function readVarint(bytes: Uint8Array, at: number): { readonly value: number; readonly end: number } | null {
  let value = 0;
  for (let i = 0; i < 3; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return null;
    value |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) return { value, end: at + i + 1 };
  }
  return null;
}
