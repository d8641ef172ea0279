/**
 * What is not MCP, to the origin and back: bytes and streams untouched, but for what a sign-in says of host names when the
 * gate has another than the origin. Only metadata documents and the forms of OAuth are read for that, within a bound.
 */

import type { Gate, GateEnv } from "../gate.ts";
import { readBody } from "../mcp/body.ts";
import { forwardedHeaders, originAddress, sendToOrigin } from "./forward.ts";
import { translateCookie, translateDocument, translateParameters, translateRedirect } from "./sign-in.ts";
import { isDocumentPath, nameByOrigin, pathAtOrigin, type SiteNames, siteNames } from "./site-names.ts";

/** Metadata has a few kilobytes, a token request less: what is longer is something else. */
const MAX_DOCUMENT_BYTES = 64 * 1024;
const MAX_FORM_BYTES = 64 * 1024;
/** Of the bytes that the origin sent, and not true of a document with other names in it. */
const FIELDS_OF_BYTES = ["content-length", "content-digest", "repr-digest", "etag", "last-modified"];

/**
 * @param body the request's own, or what has been read of it
 * @throws when the origin cannot be reached
 */
export async function passThrough(request: Request, url: URL, body: BodyInit | null, gate: Gate, env: GateEnv): Promise<Response> {
  const { origin, mcpPaths } = gate.policy;
  const headers = forwardedHeaders(request.headers, null, gate.shop !== null, {});
  const upgrade = request.headers.get("upgrade");
  if (upgrade !== null) headers.set("Upgrade", upgrade);
  const { method, signal } = request;
  const names = siteNames(origin, url, mcpPaths[0]!);
  if (!names) return sendToOrigin(origin, originAddress(origin, url, mcpPaths[0]!).url, { method, headers, body, signal }, env);

  const isDocument = method === "GET" && isDocumentPath(url.pathname);
  const address = originAddress(origin, namedByOrigin(url, names), mcpPaths[0]!);
  // Workers undo some codings when a body is read, and not others.
  if (isDocument) headers.set("Accept-Encoding", "identity");
  nameOriginIn(headers, names);
  const sent = await translateForm(request, body, headers, names);
  const response = await sendToOrigin(origin, address.url, { method, headers, body: sent, signal }, env);
  const answer = isDocument ? await withDocumentOfGate(response, names) : response;
  return withNamesOfGate(answer, names);
}

/** A page that came through the gate is one of the origin's own site, and says so to a server that looks. */
function nameOriginIn(headers: Headers, names: SiteNames): void {
  for (const name of ["origin", "referer"]) {
    const value = headers.get(name);
    if (value !== null) headers.set(name, nameByOrigin(value, names));
  }
}

/** The URL that was asked for, with the origin's names in what it is about: the path of a document, the query of an authorization. */
function namedByOrigin(url: URL, names: SiteNames): URL {
  const asked = new URL(url);
  if (isDocumentPath(url.pathname)) asked.pathname = pathAtOrigin(url.pathname, names);
  const query = url.search.slice(1);
  const translated = translateParameters(query, names);
  if (translated !== query) asked.search = translated;
  return asked;
}

/** The body of a token request or of a pushed authorization request, and any other as it is. */
async function translateForm(request: Request, body: BodyInit | null, headers: Headers, names: SiteNames): Promise<BodyInit | null> {
  const isForm = /^application\/x-www-form-urlencoded\s*(;|$)/i.test(request.headers.get("content-type") ?? "");
  if (request.method !== "POST" || !isForm || request.headers.has("content-encoding")) return body;
  const read = await readBody(request.clone(), MAX_FORM_BYTES);
  if (!read.ok) return request.body;
  const translated = translateParameters(read.text, names);
  if (translated === read.text) return read.bytes;
  headers.delete("content-length");
  return translated;
}

async function withDocumentOfGate(response: Response, names: SiteNames): Promise<Response> {
  const isJson = /^[^;]*\bjson\b/i.test(response.headers.get("content-type") ?? "");
  if (response.status !== 200 || !isJson || response.headers.has("content-encoding")) return response;
  const read = await readBody(response.clone(), MAX_DOCUMENT_BYTES);
  const translated = read.ok ? translateDocument(read.text, names) : null;
  if (translated === null) return response;
  const answer = new Response(translated, response);
  for (const name of FIELDS_OF_BYTES) answer.headers.delete(name);
  return answer;
}

/** Redirects within the site stay on the gate, and the cookies that are set there are kept there. */
function withNamesOfGate(response: Response, names: SiteNames): Response {
  const location = response.headers.get("location");
  const cookies = response.headers.getSetCookie();
  const newLocation = location === null ? null : translateRedirect(location, names);
  const newCookies = cookies.map((cookie) => translateCookie(cookie, names));
  const isSame = newLocation === location && newCookies.every((cookie, i) => cookie === cookies[i]);
  // Protocols are switched on the response as it came.
  if (isSame || response.status === 101) return response;
  const answer = new Response(response.body, response);
  if (newLocation !== null) answer.headers.set("Location", newLocation);
  answer.headers.delete("set-cookie");
  for (const cookie of newCookies) answer.headers.append("Set-Cookie", cookie);
  return answer;
}
