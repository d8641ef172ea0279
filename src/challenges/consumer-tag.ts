/**
 * The consumer as a challenge names it: a keyed hash. It binds the challenge to the consumer, and nobody without the
 * secret can find out whose it is, not even by trying all addresses there are. A refused consumer mostly comes again, so tags
 * are remembered: a challenge then costs one signature.
 */

import type { SigningKey } from "./secrets.ts";

/** 80 bits, the least to which RFC 2104 (section 5) lets an HMAC be cut. */
export const TAG_BYTES = 10;

const encoder = new TextEncoder();

/** @param now epoch milliseconds */
export async function consumerTag(consumer: string, key: SigningKey, now: number): Promise<Uint8Array> {
  const remembered = key.tags.get(consumer, now);
  if (remembered) return remembered;
  const hash = await crypto.subtle.sign("HMAC", key.tag, encoder.encode(consumer));
  const tag = new Uint8Array(hash).slice(0, TAG_BYTES);
  key.tags.set(consumer, tag, Number.POSITIVE_INFINITY);
  return tag;
}
