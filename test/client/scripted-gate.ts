/** A `fetch` that answers by a script, and remembers what it was sent: refusals in any order, without a socket. */

import type { FetchLike } from "../../src/client/index.ts";

export const URL_OF_GATE = "https://gate.example/mcp";

export interface Sent {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: unknown;
  readonly at: number;
}

export interface Scripted {
  readonly fetch: FetchLike;
  readonly sent: Sent[];
  /** Solutions that were posted. */
  readonly verified: Sent[];
}

export interface RefusalOptions {
  readonly retryAfterMs?: number;
  readonly difficulty?: number;
  readonly verify?: string;
  /** An L402 offer beside it, or alone. */
  readonly payment?: object;
  readonly status?: number;
  readonly cause?: string;
  readonly id?: number;
}

let issued = 0;

/** A refusal as a gate sends it. With a difficulty, it offers a proof of work. */
export function refusal(options: RefusalOptions = {}): Response {
  const { retryAfterMs = 20, difficulty, verify = "https://gate.example/turnpike/verify", payment, cause = "rate", id = 7 } = options;
  const proof =
    difficulty === undefined
      ? []
      : [{ type: "pow", algorithm: "SHA-256", id: `challenge-${++issued}`, salt: `salt-${issued}`, difficulty, signature: "g", verify }];
  const challenges = [...proof, ...(payment ? [payment] : [])];
  const status = options.status ?? (challenges.length === 0 ? 429 : 402);
  const data = {
    status,
    detail: "The gate's own words.",
    cause,
    limiter: "edge",
    retryAfterMs,
    ...(challenges.length === 0 ? {} : { challenges }),
  };
  const headers = { "Retry-After": String(Math.ceil(retryAfterMs / 1_000)) };
  return Response.json({ jsonrpc: "2.0", id, error: { code: status, message: data.detail, data } }, { status, headers });
}

export function answer(): Response {
  return Response.json({ jsonrpc: "2.0", id: 7, result: { content: [] } });
}

/** @param script answers the calls, by their number from 0; the last one also what comes after */
export function scripted(
  script: readonly ((sent: Sent) => Response | Promise<Response>)[],
  verify: (sent: Sent) => Response | Promise<Response> = () =>
    Response.json({ token: "tpass_x", calls: 10, expiresAt: new Date(Date.now() + 300_000).toISOString() }),
): Scripted {
  const sent: Sent[] = [];
  const verified: Sent[] = [];
  return {
    sent,
    verified,
    async fetch(input, init = {}) {
      init.signal?.throwIfAborted();
      const url = input instanceof Request ? input.url : String(input);
      const one: Sent = { url, method: init.method ?? "GET", headers: new Headers(init.headers), body: init.body, at: Date.now() };
      if (new URL(url).pathname.startsWith("/turnpike/")) {
        verified.push(one);
        return verify(one);
      }
      sent.push(one);
      return script[Math.min(sent.length, script.length) - 1]!(one);
    },
  };
}

export function toolCall(id = 7, more: Readonly<Record<string, string>> = {}): RequestInit & { readonly body: string } {
  return {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json, text/event-stream", "X-API-Key": "tp_key", ...more },
    body: JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: { name: "search", arguments: {} } }),
  };
}
