/**
 * What the origin is told of a call: whose it is, and on which plan. Signed when a secret is set, so that an origin that can
 * also be reached around the gate can tell. docs/origin.md shows how to check the signature.
 */

import type { Caller } from "../consumers/caller.ts";
import type { Terms } from "../limits/terms.ts";

const encoder = new TextEncoder();
let imported: { readonly secret: string; readonly key: Promise<CryptoKey> } | undefined;

/**
 * @param request as the origin gets it
 * @param nowMs epoch milliseconds; the signature carries whole seconds
 */
export async function consumerHeaders(
  { caller, terms: { plan } }: { readonly caller: Caller; readonly terms: Terms },
  requestId: string,
  secret: string | undefined,
  request: { readonly method: string; readonly path: string },
  nowMs: number,
): Promise<Record<string, string>> {
  const consumer = headerSafe(caller.id);
  const headers: Record<string, string> = {
    "Turnpike-Consumer": consumer,
    "Turnpike-Plan": plan,
    "Turnpike-Request-Id": requestId,
  };
  if (secret) {
    const time = Math.floor(nowMs / 1_000);
    const signed = [time, requestId, consumer, plan, request.method, request.path].join("\n");
    headers["Turnpike-Signature"] = `t=${time},v1=${await sign(secret, signed)}`;
  }
  return headers;
}

/** HMAC-SHA256 in hex. */
async function sign(secret: string, text: string): Promise<string> {
  if (imported?.secret !== secret) {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    imported = { secret, key: crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["sign"]) };
  }
  const signature = new Uint8Array(await crypto.subtle.sign("HMAC", await imported.key, encoder.encode(text)));
  let hex = "";
  for (const byte of signature) hex += HEX[byte]!;
  return hex;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Header values are Latin letters and signs; owners may be named in any script. */
function headerSafe(text: string): string {
  return /^[\x21-\x7e]*$/.test(text) ? text : encodeURIComponent(text.toWellFormed());
}
