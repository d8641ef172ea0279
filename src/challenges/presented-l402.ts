/**
 * Where a caller may show an L402 credential, and its spellings: `L402 <macaroon>:<preimage>` in `Authorization`, as every payer
 * of L402 does, or in `Turnpike-Pass` or `_meta` where that is taken by what the origin asks for; and `{macaroon, preimage}` as a body
 * of `verify`. The scheme is read in any case, and by its former name LSAT. Several macaroons stand before the colon
 * with commas between them. What is read here is not checked: l402.ts says what it is worth.
 */

import * as v from "valibot";
import type { Message } from "../mcp/message.ts";
import { type L402Credential, MAX_MACAROONS } from "./l402.ts";
import { L402_SCHEME } from "./l402-scheme.ts";
import { PASS_HEADER, passInMeta } from "./presented-pass.ts";

/** Base64 of two macaroons of 4,096 bytes, and a preimage. */
const MAX_LENGTH = 12_288;

/** The first that is there, good or not; null when there is none. */
export function presentedL402(headers: Headers, messages: readonly Message[]): L402Credential | null {
  for (const text of [headers.get(PASS_HEADER), headers.get("authorization"), passInMeta(messages)]) {
    const credential = text === null ? null : readL402(text);
    if (credential) return credential;
  }
  return null;
}

/** A credential in one text, also that of a pass in `_meta`; null when it is of another scheme. */
export function readL402(text: string): L402Credential | null {
  const scheme = L402_SCHEME.exec(text)?.[0];
  if (scheme === undefined) return null;
  const value = text.length > MAX_LENGTH ? "" : text.slice(scheme.length).trim();
  const colon = value.lastIndexOf(":");
  if (colon < 0) return { macaroons: [], preimage: "" };
  const macaroons = value.slice(0, colon).split(",", MAX_MACAROONS);
  return { macaroons: macaroons.map((macaroon) => macaroon.trim()), preimage: value.slice(colon + 1).trim() };
}

export type L402BodyReading =
  | { readonly ok: true; readonly credential: L402Credential }
  /** One sentence for each mistake: "preimage: must be …". */
  | { readonly ok: false; readonly problems: readonly string[] };

const bodySchema = v.object({
  macaroon: v.string("must be the challenge's macaroon, unchanged"),
  preimage: v.string("must be the preimage that paying the invoice has shown, as 64 hexadecimal digits"),
});

/** @param body parsed JSON. More members are no mistake: a client may send back the whole challenge with the preimage added */
export function readL402Body(body: unknown): L402BodyReading {
  const read = v.safeParse(bodySchema, body);
  if (read.success) return { ok: true, credential: { macaroons: [read.output.macaroon.trim()], preimage: read.output.preimage.trim() } };
  return { ok: false, problems: read.issues.map(wordIssue) };
}

function wordIssue(issue: v.BaseIssue<unknown>): string {
  const place = v.getDotPath(issue);
  if (place === null) return "body: must be an object {macaroon, preimage}";
  return issue.type === "object" ? `${place}: is missing` : `${place}: ${issue.message}`;
}
