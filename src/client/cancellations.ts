/**
 * Calls that are still on their way past the gate when their client cancels them. The handshake revisions of MCP cancel by
 * a notification and leave the POST open, so without this a call that nobody waits for any more would be sent again.
 */

import type { Outgoing } from "./outgoing.ts";

export class Cancellations {
  readonly #pending = new Map<string, AbortController>();

  /** @returns what aborts when the call is cancelled, and how to forget it; null when no cancellation could name it */
  expect(call: Outgoing): { readonly signal: AbortSignal; forget(): void } | null {
    const id = member(parse(call.text), "id");
    const key = keyOf(call, id);
    if (key === null || this.#pending.has(key)) return null;
    const controller = new AbortController();
    this.#pending.set(key, controller);
    return { signal: controller.signal, forget: () => void this.#pending.delete(key) };
  }

  /** Looks at what passes only while there are calls to cancel. */
  notice(passing: Outgoing): void {
    if (this.#pending.size === 0 || !passing.text?.includes("notifications/cancelled")) return;
    const message = parse(passing.text);
    if (member(message, "method") !== "notifications/cancelled") return;
    const key = keyOf(passing, member(member(message, "params"), "requestId"));
    if (key !== null) this.#pending.get(key)?.abort(new DOMException("The call was cancelled by its client.", "AbortError"));
  }
}

/** Without a session two clients' requests of the same id could not be told apart: every client counts from 0. */
function keyOf({ url, headers }: Outgoing, id: unknown): string | null {
  const session = headers.get("mcp-session-id");
  if (session === null || (typeof id !== "string" && typeof id !== "number")) return null;
  return `${url.href} ${session} ${typeof id} ${id}`;
}

function parse(text: string | null): unknown {
  try {
    return text === null ? null : JSON.parse(text);
  } catch {
    return null;
  }
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
