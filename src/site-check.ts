/**
 * Which browser pages and host names may reach the gate (MCP, Streamable HTTP, "Security Warning"): a page of a foreign
 * site must not drive a server through its visitor's browser, nor by a host name that was rebound to it.
 */

import type { ResolvedPolicy } from "./define-policy.ts";

const EXPOSED_HEADERS = "Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate, Mcp-Session-Id";
const PREFLIGHT_MAX_AGE_S = "86400";
const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])$/;

export type Site =
  | { readonly kind: "same" }
  /** A page of a site that may call: every answer to it carries CORS headers. */
  | { readonly kind: "allowed"; readonly origin: string }
  | { readonly kind: "foreign"; readonly what: "host" | "origin" };

export function checkSite(request: Request, url: URL, policy: ResolvedPolicy): Site {
  const { allowedHosts, allowedOrigins } = policy;
  if (allowedHosts && !allowedHosts.has(url.hostname)) return { kind: "foreign", what: "host" };
  const origin = request.headers.get("origin");
  if (origin === null) return { kind: "same" };
  if (allowedOrigins.has(origin) || origin === url.origin) return { kind: "allowed", origin };
  // On a machine of one's own, pages served from that machine are not foreign.
  const pageHost = URL.canParse(origin) ? new URL(origin).hostname : "";
  if (LOOPBACK.test(url.hostname) && LOOPBACK.test(pageHost)) return { kind: "allowed", origin };
  return { kind: "foreign", what: "origin" };
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

/** Adds what the browser needs to show the answer to the page. */
export function withCors(response: Response, site: Site): Response {
  if (site.kind !== "allowed") return response;
  const shared = new Response(response.body, response);
  shared.headers.set("Access-Control-Allow-Origin", site.origin);
  shared.headers.set("Access-Control-Expose-Headers", EXPOSED_HEADERS);
  shared.headers.append("Vary", "Origin");
  return shared;
}
