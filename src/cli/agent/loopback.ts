/**
 * An HTTP server on this machine's loopback that hands each request to another site by a `fetch`, and its answer back as it
 * streams. Pages of foreign sites and foreign host names are turned away as the gate does it (MCP, Streamable HTTP, "Security
 * Warning"): what carries this user's key must not be driven through this user's browser.
 */

import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream } from "node:stream/web";
import type { FetchLike } from "../../client/index.ts";

/** What the gate itself takes. */
const MAX_BODY_BYTES = 4 * 1_024 * 1_024;
const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])$/;
const EXPOSED_HEADERS = "Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate, Mcp-Session-Id";
/** Headers of one connection (RFC 9110, 7.6.1), and what `fetch` sets by itself or has undone already. */
const NOT_PASSED =
  /^(connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|host|content-length|accept-encoding|expect|origin|referer|cookie|sec-.*)$/;
const NOT_RETURNED =
  /^(connection|keep-alive|proxy-.*|trailer|transfer-encoding|upgrade|content-length|content-encoding|set-cookie|access-control-.*)$/;

export interface LoopbackOptions {
  /** Where requests go: one for the same path goes to this very URL, any other to its site. */
  readonly to: URL;
  /** Added to each request that does not have them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly fetch: FetchLike;
}

/** Not listening yet. */
export function createLoopback(options: LoopbackOptions): Server {
  return createServer((incoming, outgoing) => {
    pass(incoming, outgoing, options).catch(() => outgoing.destroy());
  });
}

async function pass(incoming: IncomingMessage, outgoing: ServerResponse, { to, headers, fetch }: LoopbackOptions): Promise<void> {
  const host = hostnameOf(`http://${incoming.headers.host}`);
  if (!LOOPBACK.test(host)) return refuse(outgoing, 403, "Requests for this host name are not served here.");
  const { origin } = incoming.headers;
  if (origin !== undefined && !LOOPBACK.test(hostnameOf(origin)))
    return refuse(outgoing, 403, "Pages of this site may not call this server.");
  if (origin !== undefined) {
    outgoing.setHeader("Access-Control-Allow-Origin", origin);
    outgoing.setHeader("Access-Control-Expose-Headers", EXPOSED_HEADERS);
    outgoing.setHeader("Vary", "Origin");
  }
  const preflight = incoming.headers["access-control-request-method"];
  if (incoming.method === "OPTIONS" && preflight !== undefined) {
    const allowed = { "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS" };
    const asked = incoming.headers["access-control-request-headers"];
    outgoing.writeHead(204, { ...allowed, ...(asked === undefined ? {} : { "Access-Control-Allow-Headers": asked }) }).end();
    return;
  }

  const body = await readBody(incoming);
  if (body === null) return refuse(outgoing, 413, "The body is larger than 4 MiB.");
  const aborter = new AbortController();
  outgoing.once("close", () => aborter.abort());
  let response: Response;
  try {
    response = await fetch(targetOf(incoming.url ?? "/", to), {
      method: incoming.method ?? "GET",
      headers: passedOn(incoming.headers, headers),
      signal: aborter.signal,
      redirect: "manual",
      ...(body.length === 0 ? {} : { body }),
    });
  } catch (error) {
    if (aborter.signal.aborted) return;
    const { cause, message } = error as Error;
    return refuse(outgoing, 502, `${to.origin} cannot be reached: ${cause instanceof Error ? cause.message : message}`);
  }
  for (const [name, value] of response.headers) if (!NOT_RETURNED.test(name)) outgoing.setHeader(name, value);
  outgoing.writeHead(response.status);
  // A stream may have nothing to say for a while.
  outgoing.flushHeaders();
  if (response.body === null) outgoing.end();
  else await pipeline(Readable.fromWeb(response.body as ReadableStream), outgoing);
}

function targetOf(path: string, to: URL): URL {
  const asked = new URL(path, "http://127.0.0.1");
  if (asked.pathname === to.pathname && asked.search === "") return to;
  const target = new URL(to.origin);
  target.pathname = asked.pathname;
  target.search = asked.search;
  return target;
}

function passedOn(incoming: IncomingHttpHeaders, added: Readonly<Record<string, string>>): Headers {
  const headers = new Headers(added);
  for (const [name, value] of Object.entries(incoming)) {
    if (value === undefined || NOT_PASSED.test(name)) continue;
    headers.set(name, Array.isArray(value) ? value.join(", ") : value);
  }
  return headers;
}

/** Null when it is too large; the rest is then not read. */
async function readBody(incoming: IncomingMessage): Promise<Buffer<ArrayBuffer> | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming) {
    bytes += (chunk as Buffer).length;
    if (bytes > MAX_BODY_BYTES) return null;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function hostnameOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : "";
}

function refuse(outgoing: ServerResponse, status: number, detail: string): void {
  const problem = { type: "about:blank", title: detail, status, detail };
  outgoing.writeHead(status, { "Content-Type": "application/problem+json", Connection: "close" }).end(JSON.stringify(problem));
}
