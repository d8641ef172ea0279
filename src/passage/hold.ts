/**
 * Calls that wait at the gate for tokens that are already theirs. A held call ends early when its client goes away, or
 * cancels it; its tokens are then given back. What is held in one isolate is bounded in bytes.
 */

import type { Message, RequestId } from "../mcp/message.ts";

/** Bodies of held calls in one isolate, which has 128 MB for everything. */
const MAX_HELD_BYTES = 16 * 1024 * 1024;

export type HoldEnd = "over" | "left" | "cancelled";

export class Holds {
  readonly #cancels = new Map<string, () => void>();
  #heldBytes = 0;

  /** False when a body of this size must not be held: the call is then refused rather than held. */
  hasRoomFor(bytes: number): boolean {
    return this.#heldBytes + bytes <= MAX_HELD_BYTES;
  }

  /** @param key from `holdKey`, when the client can cancel the call by a notification */
  async hold(waitMs: number, bytes: number, key: string | null, signal: AbortSignal): Promise<HoldEnd> {
    if (signal.aborted) return "left";
    this.#heldBytes += bytes;
    const { promise: ended, resolve: end } = Promise.withResolvers<HoldEnd>();
    const timer = setTimeout(() => end("over"), waitMs);
    const onAbort = (): void => end("left");
    signal.addEventListener("abort", onAbort);
    if (key !== null) this.#cancels.set(key, () => end("cancelled"));
    try {
      return await ended;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      if (key !== null) this.#cancels.delete(key);
      this.#heldBytes -= bytes;
    }
  }

  /** Ends the hold of each call that a `notifications/cancelled` in the POST names. */
  cancelNamedIn(messages: readonly Message[], consumer: string, sessionId: string | null): void {
    for (const message of messages) {
      if (message.kind !== "notification" || message.method !== "notifications/cancelled") continue;
      const id = message.params["requestId"];
      if (typeof id !== "string" && typeof id !== "number") continue;
      const key = holdKey(consumer, sessionId, id);
      if (key !== null) this.#cancels.get(key)?.();
    }
  }
}

/**
 * Which held call a cancellation means. Without a session there is no telling whose request 5 it is, since
 * every client counts from 0: such a call is let go only when its client hangs up.
 */
export function holdKey(consumer: string, sessionId: string | null, id: RequestId): string | null {
  return sessionId === null ? null : `${consumer} ${sessionId} ${typeof id} ${id}`;
}
