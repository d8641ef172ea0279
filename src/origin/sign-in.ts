/**
 * What an OAuth sign-in says of host names, put into the names that each side knows: a client that has only the gate's URL
 * discovers, registers, authorizes and refreshes through it, and the server behind sees nothing but its own name. Plain
 * functions over text; pass-through.ts applies them. What is not of the expected form stays as it is, byte for byte.
 *
 * What is signed cannot be renamed: DPoP proofs (RFC 9449), client assertions (RFC 7523), request objects (RFC 9101).
 */

import { nameByGate, nameByOrigin, type SiteNames } from "./site-names.ts";

/** Metadata is a flat object with lists, and one object of endpoints in it (`mtls_endpoint_aliases`, RFC 8705). */
const MAX_DEPTH = 3;
const RESOURCE_METADATA = /(\bresource_metadata\s*=\s*)(?:"([^"]*)"|([^\s",]+))/gi;
/** Beside any of these, `resource` is that of RFC 8707. */
const IS_OAUTH = /(?:^|&)(?:client_id|grant_type|response_type)=/;
const RESOURCE = "resource=";
const IS_AUTHORIZATION_RESPONSE = /[?&#](?:code|error)=/;
const ISSUER = /([?&#]iss=)([^&#]*)/;
const COOKIE_DOMAIN = /;\s*domain\s*=\s*\.?([^;\s]*)\s*(?=;|$)/gi;

/** A `WWW-Authenticate` field whose `resource_metadata` (RFC 9728, 5.1) names the gate. */
export function translateChallenge(field: string, names: SiteNames): string {
  return field.replace(RESOURCE_METADATA, (parameter, name: string, quoted: string | undefined, token: string | undefined) => {
    const url = quoted ?? token ?? "";
    const renamed = nameByGate(url, names);
    return renamed === url ? parameter : `${name}"${renamed}"`;
  });
}

/**
 * A metadata document (RFC 9728, RFC 8414) in which every URL of the origin's host names the gate. `signed_metadata` is then
 * left out: it says otherwise, and outranks the rest.
 * @returns null when there is nothing to rename, or the text is no such document
 */
export function translateDocument(text: string, names: SiteNames): string | null {
  try {
    const document: unknown = JSON.parse(text);
    if (typeof document !== "object" || document === null || Array.isArray(document)) return null;
    const found = { any: false };
    const renamed = renameIn(document, names, found, MAX_DEPTH) as Record<string, unknown>;
    if (!found.any) return null;
    delete renamed["signed_metadata"];
    return JSON.stringify(renamed);
  } catch {
    // No JSON, or nested so deep that it can be read and not written.
    return null;
  }
}

/**
 * A query (without its `?`) or a form, in which the RFC 8707 `resource` of an authorization or token request names the
 * origin. Whatever else is in it stays as it is written.
 */
export function translateParameters(text: string, names: SiteNames): string {
  if (!text.includes(RESOURCE) || !IS_OAUTH.test(text)) return text;
  return text
    .split("&")
    .map((pair) => {
      if (!pair.startsWith(RESOURCE)) return pair;
      const url = decode(pair.slice(RESOURCE.length));
      const renamed = nameByOrigin(url, names);
      return renamed === url ? pair : RESOURCE + encodeURIComponent(renamed);
    })
    .join("&");
}

/**
 * A `Location` that names the gate where it named the origin; and in an authorization response on its way to the client, the issuer
 * (`iss`, RFC 9207), which the client compares with the one that it has discovered.
 */
export function translateRedirect(location: string, names: SiteNames): string {
  const renamed = nameByGate(location, names);
  if (!IS_AUTHORIZATION_RESPONSE.test(renamed)) return renamed;
  return renamed.replace(ISSUER, (parameter, name: string, value: string) => {
    const issuer = decode(value);
    const known = nameByGate(issuer, names);
    return known === issuer ? parameter : name + encodeURIComponent(known);
  });
}

/** A `Set-Cookie` without a domain that the gate's host is not in: no browser would keep the cookie. */
export function translateCookie(cookie: string, names: SiteNames): string {
  const host = new URL(names.gate).hostname;
  return cookie.replace(COOKIE_DOMAIN, (attribute, domain: string) => {
    const isOwn = host === domain.toLowerCase() || host.endsWith(`.${domain.toLowerCase()}`);
    return domain === "" || isOwn ? attribute : "";
  });
}

function renameIn(value: unknown, names: SiteNames, found: { any: boolean }, depth: number): unknown {
  if (typeof value === "string") {
    const renamed = nameByGate(value, names);
    if (renamed !== value) found.any = true;
    return renamed;
  }
  if (depth === 0 || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => renameIn(item, names, found, depth - 1));
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, renameIn(member, names, found, depth - 1)]));
}

/** As forms and queries are written. Text that is not is no URL either. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return "";
  }
}
