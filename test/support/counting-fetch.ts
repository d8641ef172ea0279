/** A `fetch` between an agent and the gate that counts what goes over the wire: once for each call is as it should be, the rest are re-sends. */

import type { FetchLike } from "../../src/client/index.ts";

export interface SentCall {
  readonly body: string;
  readonly headers: Headers;
}

export interface CountingFetch {
  readonly fetch: FetchLike;
  /** Calls of tools, in the order they were sent. */
  readonly calls: readonly SentCall[];
  /** How often each call was sent: no two have the same body. */
  sent(): number[];
  /** What was posted to `verify`: solutions, and what proves payments. */
  readonly posted: readonly Readonly<Record<string, string>>[];
}

/** @param beforeVerify what a solution waits for */
export function countingFetch(beforeVerify: () => Promise<void> = () => Promise.resolve()): CountingFetch {
  const calls: SentCall[] = [];
  const posted: Record<string, string>[] = [];
  return {
    calls,
    posted,
    async fetch(input, init) {
      const { pathname } = new URL(input instanceof Request ? input.url : input);
      const body = typeof init?.body === "string" ? init.body : "";
      if (pathname.endsWith("/verify")) {
        posted.push(JSON.parse(body) as Record<string, string>);
        await beforeVerify();
      } else if (body.includes('"tools/call"')) calls.push({ body, headers: new Headers(init?.headers) });
      return fetch(input, init);
    },
    sent() {
      const counts = new Map<string, number>();
      for (const { body } of calls) counts.set(body, (counts.get(body) ?? 0) + 1);
      return [...counts.values()];
    },
  };
}
