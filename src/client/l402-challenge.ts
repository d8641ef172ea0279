/**
 * An L402 offer as a gate sends it: an invoice, and the macaroon that is worth something together with the invoice's preimage.
 * Parsed here once: from the `challenges` of a refusal, or from a `WWW-Authenticate: L402` header, also of servers that are no
 * gate (https://github.com/lightninglabs/L402).
 */

import { readAuthParameters } from "./auth-header.ts";
import { isField, isTime, readList } from "./challenge-field.ts";

export interface L402Challenge {
  readonly type: "l402";
  /** Base64. */
  readonly macaroon: string;
  /** BOLT 11. */
  readonly invoice: string;
  /** Left out in the header: then the invoice alone says the price. */
  readonly priceSats?: number;
  /** How many calls are sold. Left out in the header: then as many as the server takes the macaroon for. */
  readonly calls?: number;
  /** ISO 8601; the invoice has an expiry of its own. */
  readonly expiresAt?: string;
  /** The URL to which `{macaroon, preimage}` is posted, absolute or relative to the gate. */
  readonly verify?: string;
}

/** What proves that an offer was paid for. */
export interface L402Credential {
  /** Base64. */
  readonly macaroon: string;
  /** 64 hexadecimal digits. */
  readonly preimage: string;
}

/** The old name of the scheme, which some servers send first. */
const SCHEME = /(?:^|,)\s*(?:L402|LSAT)\s+/i;
/** It is put into a header. */
const MACAROON = /^[\w+/=-]+$/;

/** The offers of a list that are L402 and well formed; others are left out. */
export function readL402Challenges(list: unknown): L402Challenge[] {
  return readList(list, readL402Challenge);
}

/** Null when it is no well-formed L402 offer. */
export function readL402Challenge(value: unknown): L402Challenge | null {
  if (typeof value !== "object" || value === null) return null;
  const { type, macaroon, invoice, priceSats, calls, expiresAt, verify } = value as Record<string, unknown>;
  if (type !== "l402" || !isField(macaroon) || !MACAROON.test(macaroon) || !isField(invoice)) return null;
  // A price that cannot be compared with the invoice is no price.
  if (priceSats !== undefined && !isWhole(priceSats)) return null;
  return {
    type,
    macaroon,
    invoice,
    ...(priceSats === undefined ? {} : { priceSats }),
    ...(isWhole(calls) ? { calls } : {}),
    ...(isTime(expiresAt) ? { expiresAt } : {}),
    ...(isField(verify) ? { verify } : {}),
  };
}

/** The specification calls the macaroon `token` now; servers send the old name, or both. */
export function readL402Header(header: string): L402Challenge | null {
  const parameters = readAuthParameters(header, SCHEME);
  if (parameters === null) return null;
  const { token, macaroon = token, invoice } = parameters;
  return readL402Challenge({ type: "l402", macaroon, invoice });
}

/** As it goes into a header. */
export function l402Authorization({ macaroon, preimage }: L402Credential): string {
  return `L402 ${macaroon}:${preimage}`;
}

function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0;
}
