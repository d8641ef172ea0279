/**
 * Bearer tokens that the gate cannot verify, because only the origin can: the hash of one stands for whoever holds it. A
 * refreshed token is therefore a new consumer, with its limits full; where limits must follow the person, name the issuer
 * under `identity.jwt`.
 */

import { BoundedCache } from "../bounded-cache.ts";
import { hashKey } from "./api-keys.ts";

/** 128 bits of SHA-256 in hex: nobody finds a token with the hash of another's, and names stay short. */
const HASH_CHARS = 32;
/** What is longer is no token that anybody issues, and identifies nobody. */
const MAX_TOKEN_LENGTH = 16_384;
/** Longer ones are hashed each time: remembered, they would fill the isolate, which has 128 MB for everything. */
const MAX_REMEMBERED_LENGTH = 2_048;
const MAX_REMEMBERED = 5_000;

export class Bearers {
  readonly #remembered = new BoundedCache<string>(MAX_REMEMBERED);

  /** The consumer id of a token's holder, or null for a token that is too long to be one. */
  async consumerOf(token: string, now: number): Promise<string | null> {
    if (token.length > MAX_TOKEN_LENGTH) return null;
    const remembered = this.#remembered.get(token, now);
    if (remembered !== undefined) return remembered;
    const consumer = `bearer:${(await hashKey(token)).slice(0, HASH_CHARS)}`;
    // A hash never gets old.
    if (token.length <= MAX_REMEMBERED_LENGTH) this.#remembered.set(token, consumer, Infinity);
    return consumer;
  }
}
