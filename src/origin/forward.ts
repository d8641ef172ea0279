/** To the origin and back: bytes and streams untouched, headers as an intermediary owes them (RFC 9110, 7.6). */

import { PASS_PREFIX } from "../challenges/pass.ts";
import { looksLikeL402 } from "../challenges/l402-scheme.ts";
import { KEY_PREFIX } from "../consumers/api-keys.ts";
import type { OriginTarget } from "../resolve-policy.ts";

/** Of one connection only. Names that `Connection` lists are dropped as well. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
]);
/** A key, or a pass. */
const OWN_BEARER = new RegExp(`^Bearer +(${KEY_PREFIX}|${PASS_PREFIX})`, "i");
/** Ours to set: what a client sends under these names is forged. */
const OWN_PREFIX = "turnpike-";

/**
 * The request's headers without what must not travel on, with `added` on top.
 * @param consumed the header that told who is calling; a key of ours in any other is dropped all the same
 * @param isSelling whether what is shown by L402 is the gate's
 */
export function forwardedHeaders(
  incoming: Headers,
  consumed: string | null,
  isSelling: boolean,
  added: Readonly<Record<string, string>>,
): Headers {
  const headers = new Headers(incoming);
  for (const name of incoming.keys()) {
    if (name === consumed || HOP_BY_HOP.has(name) || name.startsWith(OWN_PREFIX)) headers.delete(name);
  }
  const connection = incoming.get("connection");
  if (connection !== null) for (const name of connection.split(",")) removeToken(headers, name.trim());
  if (consumed !== "authorization" && isOwnAuthorization(incoming.get("authorization") ?? "", isSelling)) headers.delete("authorization");
  if (consumed !== "x-api-key" && incoming.get("x-api-key")?.startsWith(KEY_PREFIX)) headers.delete("x-api-key");
  for (const name in added) headers.set(name, added[name]!);
  return headers;
}

/** The `Authorization` that travels on, or null. */
export function forwardedAuthorization(incoming: Headers, consumed: string | null, isSelling: boolean): string | null {
  const authorization = consumed === "authorization" ? null : incoming.get("authorization");
  return authorization === null || isOwnAuthorization(authorization, isSelling) ? null : authorization;
}

function isOwnAuthorization(authorization: string, isSelling: boolean): boolean {
  return OWN_BEARER.test(authorization) || (isSelling && looksLikeL402(authorization));
}

export interface OriginAddress {
  readonly url: string;
  readonly path: string;
}

/**
 * Where a request goes. The path of the origin's URL stands for the gate's first MCP path; every other path is the same
 * on both sides.
 */
export function originAddress(target: OriginTarget, requestUrl: URL, mcpPath: string): OriginAddress {
  const { pathname, search } = requestUrl;
  if (target.kind !== "url") return { url: requestUrl.href, path: pathname };
  const path = pathname === mcpPath && target.path !== "/" ? target.path : pathname;
  return { url: target.origin + path + (search || (path === target.path ? target.search : "")), path };
}

/** Sends on. Redirects are the client's to follow, and a client that leaves takes the request with it. */
export async function sendToOrigin(
  target: OriginTarget,
  url: string,
  init: { readonly method: string; readonly headers: Headers; readonly body: BodyInit | null; readonly signal: AbortSignal },
  bindings: object,
): Promise<Response> {
  const options: RequestInit = { ...init, redirect: "manual" };
  if (target.kind !== "service") return fetch(url, options);
  const service = (bindings as Readonly<Record<string, Fetcher | undefined>>)[target.binding];
  if (!service) throw new Error(`The service binding ${target.binding} is not there: add it to wrangler.toml under [[services]].`);
  return service.fetch(url, options);
}

function removeToken(headers: Headers, name: string): void {
  try {
    headers.delete(name);
  } catch {
    // `Connection` listed something that is no header name: there is none to remove.
  }
}
