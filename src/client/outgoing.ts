/** A request as it was handed to `fetch`, and whether and how it can be sent again. */

export interface Outgoing {
  readonly url: URL;
  readonly method: string;
  /** A copy: what the caller passed stays as it is. */
  readonly headers: Headers;
  readonly signal: AbortSignal | null;
  /** The body when it is text, as in every MCP client. */
  readonly text: string | null;
  /** Sends it as it was passed, with these headers. */
  send(fetch: FetchLike, signal: AbortSignal | undefined, headers: Headers): Promise<Response>;
}

/** What the MCP SDKs call, and what every platform has. */
export type FetchLike = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** What is asked, whatever the query. */
export function endpointOf({ origin, pathname }: URL): string {
  return origin + pathname;
}

/** Null when it cannot be sent again: its body is a stream that flows once, or its URL is none. */
export function readOutgoing(input: string | URL | Request, init: RequestInit = {}): Outgoing | null {
  const request = typeof input === "string" || input instanceof URL ? null : input;
  const href = typeof input === "string" ? input : input instanceof URL ? input.href : input.url;
  // A page's own, where there is one.
  const base = globalThis.location?.href;
  if (!URL.canParse(href, base)) return null;
  // Without a body of its own in `init`, a request's body is sent, and that is a stream.
  if (init.body === undefined || init.body === null ? request?.body : init.body instanceof ReadableStream) return null;
  return {
    url: new URL(href, base),
    method: (init.method ?? request?.method ?? "GET").toUpperCase(),
    headers: new Headers(init.headers ?? request?.headers),
    signal: init.signal ?? request?.signal ?? null,
    text: typeof init.body === "string" ? init.body : null,
    send: (fetch, signal, headers) => fetch(input, { ...init, headers, ...(signal ? { signal } : {}) }),
  };
}
