/** To the origin and back: bytes and streams untouched, headers as an intermediary owes them (RFC 9110, 7.6). */

import { KEY_PREFIX } from "../consumers/api-keys.ts";
import type { OriginTarget } from "../resolve-policy.ts";

/** Of one connection only. Names that `Connection` lists are dropped as well. */
const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
];
const OWN_BEARER = new RegExp(`^Bearer +${KEY_PREFIX}`, "i");
/** Ours to set: what a client sends under these names is forged. */
const OWN_PREFIX = "turnpike-";

/**
 * The request's headers without what must not travel on, with `added` on top.
 * @param consumed the header that told who is calling; a key of ours in any other is dropped all the same
 */
export function forwardedHeaders(incoming: Headers, consumed: string | null, added: Readonly<Record<string, string>>): Headers {
  const headers = new Headers(incoming);
  const connection = incoming.get("connection");
  if (connection !== null) for (const name of connection.split(",")) removeToken(headers, name.trim());
  for (const name of HOP_BY_HOP) headers.delete(name);
  for (const name of incoming.keys()) if (name.startsWith(OWN_PREFIX)) headers.delete(name);
  if (consumed !== null) headers.delete(consumed);
  if (OWN_BEARER.test(headers.get("authorization") ?? "")) headers.delete("authorization");
  if (headers.get("x-api-key")?.startsWith(KEY_PREFIX)) headers.delete("x-api-key");
  for (const name in added) headers.set(name, added[name]!);
  return headers;
}

/**
 * Where a request goes. The path of the origin's URL stands for the gate's first MCP path; every other path is the same
 * on both sides.
 */
export function originUrl(target: OriginTarget, requestUrl: URL, mcpPath: string): string {
  if (target.kind !== "url") return requestUrl.href;
  const { url } = target;
  const path = requestUrl.pathname === mcpPath && url.pathname !== "/" ? url.pathname : requestUrl.pathname;
  return url.origin + path + (requestUrl.search || (path === url.pathname ? url.search : ""));
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
