/**
 * What a macaroon of this gate is good for, as caveats in the manner of L402, `condition=value`:
 *
 * | caveat                            | what                                                                       |
 * | --------------------------------- | -------------------------------------------------------------------------- |
 * | `services=turnpike:0`             | the service, and its tier                                                  |
 * | `turnpike_consumer=<20 hex>`      | whose account the credit is for: a tag (consumer-tag.ts), which names nobody |
 * | `turnpike_valid_until=<seconds>`  | until when it can be handed in, in epoch seconds                           |
 * | `turnpike_calls=<n>`              | how many calls have been paid for                                          |
 *
 * A holder may add caveats, and every one that is there must hold: of two numbers the lesser counts. A caveat of others is
 * skipped, as L402 demands. One of ours that cannot be read is a restriction that cannot be kept, so nothing is served.
 */

import { TAG_BYTES } from "./consumer-tag.ts";

export const SERVICE = "turnpike";
/** There is one. */
const TIER = 0;
const OURS = `${SERVICE}_`;

export interface CaveatTerms {
  readonly consumerTag: Uint8Array;
  /** Epoch milliseconds; whole seconds are kept. */
  readonly expiresAt: number;
  readonly calls: number;
}

export type CaveatReading =
  | {
      readonly ok: true;
      /** Each must be the consumer's, as 20 hexadecimal digits. */
      readonly consumerTags: readonly string[];
      readonly expiresAt: number;
      readonly calls: number;
    }
  | { readonly ok: false };

const UNREADABLE: CaveatReading = { ok: false };
const TAG = new RegExp(`^[\\da-f]{${TAG_BYTES * 2}}$`);
/** What a number cannot hold exactly, no caveat needs. */
const WHOLE_NUMBER = /^\d{1,15}$/;
const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });

export function writeCaveats({ consumerTag, expiresAt, calls }: CaveatTerms): string[] {
  return [
    `services=${SERVICE}:${TIER}`,
    `${OURS}consumer=${hexOf(consumerTag)}`,
    `${OURS}valid_until=${Math.floor(expiresAt / 1_000)}`,
    `${OURS}calls=${calls}`,
  ];
}

/**
 * @param caveats of a macaroon whose signature is good
 * @returns not ok when one of ours cannot be read, asks for what is not served here, or is missing
 */
export function readCaveats(caveats: readonly Uint8Array[]): CaveatReading {
  const consumerTags: string[] = [];
  let expiresAt = Number.POSITIVE_INFINITY;
  let calls = Number.POSITIVE_INFINITY;
  let isForThisService = false;
  for (const caveat of caveats) {
    const text = decoder.decode(caveat);
    const equals = text.indexOf("=");
    const condition = equals < 0 ? text : text.slice(0, equals);
    const value = equals < 0 ? "" : text.slice(equals + 1);
    switch (condition) {
      case "services":
        if (!value.split(",").includes(`${SERVICE}:${TIER}`)) return UNREADABLE;
        isForThisService = true;
        break;
      case `${OURS}consumer`:
        if (!TAG.test(value)) return UNREADABLE;
        consumerTags.push(value);
        break;
      case `${OURS}valid_until`:
        if (!WHOLE_NUMBER.test(value)) return UNREADABLE;
        expiresAt = Math.min(expiresAt, Number(value) * 1_000);
        break;
      case `${OURS}calls`:
        if (!WHOLE_NUMBER.test(value) || Number(value) === 0) return UNREADABLE;
        calls = Math.min(calls, Number(value));
        break;
      default:
        if (text.startsWith(OURS)) return UNREADABLE;
    }
  }
  const isComplete = isForThisService && consumerTags.length > 0 && Number.isFinite(expiresAt) && Number.isFinite(calls);
  return isComplete ? { ok: true, consumerTags, expiresAt, calls } : UNREADABLE;
}

export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
