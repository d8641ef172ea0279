/**
 * Which browser pages and host names may reach the gate (MCP, Streamable HTTP, "Security Warning"): a page of a foreign
 * site must not drive a server through its visitor's browser, nor by a host name that was rebound to it.
 */

import type { ResolvedPolicy } from "./resolve-policy.ts";

const EXPOSED_HEADERS = "Date, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate, Mcp-Session-Id";
const PREFLIGHT_MAX_AGE_S = "86400";
const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])$/;

export type Page =
  /** Not a browser's page at all, as far as the request tells. */
  { readonly kind: "none" } | { readonly kind: "allowed"; readonly origin: string } | { readonly kind: "foreign" };

/** Whether the request is for a host name that the gate answers to. */
export function isOwnHost(url: URL, { allowedHosts }: ResolvedPolicy): boolean {
  return allowedHosts === null || allowedHosts.has(url.hostname);
}

/** Which page sent the request, by the `Origin` header that browsers add. */
export function checkPage(request: Request, url: URL, { allowedOrigins }: ResolvedPolicy): Page {
  const origin = request.headers.get("origin");
  if (origin === null) return { kind: "none" };
  if (allowedOrigins.has(origin) || origin === url.origin) return { kind: "allowed", origin };
  // On a machine of one's own, pages served from that machine are not foreign.
  const pageHost = URL.canParse(origin) ? new URL(origin).hostname : "";
  return LOOPBACK.test(url.hostname) && LOOPBACK.test(pageHost) ? { kind: "allowed", origin } : { kind: "foreign" };
}

/** The answer to a CORS preflight, or null when the request is none. */
export function preflightAnswer(request: Request): Response | null {
  if (request.method !== "OPTIONS" || !request.headers.has("access-control-request-method")) return null;
  return new Response(null, {
    status: 204,
    headers: {
      "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
      "Access-Control-Allow-Headers": request.headers.get("access-control-request-headers") ?? "",
      "Access-Control-Max-Age": PREFLIGHT_MAX_AGE_S,
    },
  });
}

/** The answer, with what a browser needs to show it to a page of `origin`. */
export function withCors(response: Response, origin: string): Response {
  const shared = new Response(response.body, response);
  shared.headers.set("Access-Control-Allow-Origin", origin);
  // Beside what the origin exposes of its own.
  shared.headers.append("Access-Control-Expose-Headers", EXPOSED_HEADERS);
  if (shared.headers.get("vary") !== "Origin") shared.headers.append("Vary", "Origin");
  return shared;
}

/** The answer of the origin, with CORS headers when it is for a page that may call and the origin has set none of its own. */
export function withCorsIfNone(response: Response, request: Request, page: Page, url: URL): Response {
  // A page of the gate's own host needs none, and protocols are switched on the response as it came.
  if (page.kind !== "allowed" || page.origin === url.origin || response.status === 101) return response;
  if (response.headers.has("access-control-allow-origin")) return response;
  return withCors(preflightAnswer(request) ?? response, page.origin);
}
