/**
 * What the search for a nonce could be made of. Each candidate makes so many tries of the same kind: a salt of 22 characters, as a
 * gate issues it, and a nonce that differs each time; and looks at the first word of the hash.
 */

import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";
import { createSHA256 } from "hash-wasm";
import { createHash, hash } from "node:crypto";
import { searchNonces } from "../../src/client/solve/search.ts";

export const CANDIDATES = ["ours", "hash-wasm", "@noble/hashes", "node:crypto hash", "node:crypto createHash"] as const;
export type Candidate = (typeof CANDIDATES)[number];

/** Makes tries, and returns how many of them would have been good for `BITS`: nobody can leave the work out. */
export type Tries = (count: number) => number;

const SALT = "AAECAwQFBgcICQoLDA0ODw";
/** Characters of a nonce, as our own search makes them for this salt. */
const NONCE_LENGTH = 17;
/** What is hashed on each try. */
export const MESSAGE_BYTES = SALT.length + NONCE_LENGTH;
/** So many zero bits are rare, and are found now and then all the same. */
const BITS = 12;

export async function triesOf(candidate: Candidate): Promise<Tries> {
  switch (candidate) {
    case "ours":
      return (count) => {
        let good = 0;
        for (let at = 0; at < count;) {
          const { nonce, tries } = searchNonces(SALT, BITS, at, count - at);
          at += tries;
          if (nonce !== null) good++;
        }
        return good;
      };
    case "hash-wasm": {
      const hasher = await createSHA256();
      hasher.init();
      hasher.update(SALT);
      const begun = hasher.save();
      return overBytes((nonce) => {
        hasher.load(begun);
        hasher.update(nonce);
        return hasher.digest("binary");
      });
    }
    case "@noble/hashes": {
      const begun = nobleSha256.create().update(new TextEncoder().encode(SALT));
      return overBytes((nonce) => begun.clone().update(nonce).digest());
    }
    case "node:crypto hash":
      return overText((text) => hash("sha256", text, "buffer"));
    case "node:crypto createHash":
      return overText((text) => createHash("sha256").update(text).digest());
  }
}

function overBytes(digestOf: (nonce: Uint8Array) => Uint8Array): Tries {
  const nonce = new Uint8Array(NONCE_LENGTH).fill(0x41);
  const view = new DataView(nonce.buffer);
  return (count) => {
    let good = 0;
    for (let n = 0; n < count; n++) {
      view.setUint32(NONCE_LENGTH - 4, n);
      if (isGood(digestOf(nonce))) good++;
    }
    return good;
  };
}

function overText(digestOf: (text: string) => Uint8Array): Tries {
  return (count) => {
    let good = 0;
    for (let n = 0; n < count; n++) if (isGood(digestOf(SALT + n.toString().padStart(NONCE_LENGTH, "A")))) good++;
    return good;
  };
}

function isGood(digest: Uint8Array): boolean {
  return ((digest[0]! << 8) | digest[1]!) >>> (16 - BITS) === 0;
}
