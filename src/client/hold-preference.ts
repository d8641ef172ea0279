/**
 * Whether to ask a gate for `Prefer: wait=0` (RFC 7240): not to hold a call that it could let through in a moment, but to
 * refuse it at once. That helps only who gets past a refusal faster than the hold would have been. The rule: a call
 * asks for it when the last refusal of the same endpoint offered a proof of work that this client expects to solve, and to
 * post, in less time than it was told to wait. Before the first refusal nothing is known, and nothing is asked for.
 */

import { endpointOf, type Outgoing } from "./outgoing.ts";

/** What was learned goes stale: plans change, and so do the other users of a key. */
const FORGET_AFTER_MS = 10 * 60_000;
/** A client talks to few gates. */
const MAX_ENDPOINTS = 64;

export class HoldPreference {
  readonly #fasterUntil = new Map<string, number>();

  /**
   * @param workMs what the proof offered is expected to take for each call; null when none was, or none that this client solves
   * @param toldMs the wait that was told
   * @param now epoch milliseconds
   */
  learn({ url }: Outgoing, workMs: number | null, toldMs: number | null, now: number): void {
    const key = endpointOf(url);
    this.#fasterUntil.delete(key);
    if (workMs === null || toldMs === null || workMs >= toldMs) return;
    this.#fasterUntil.set(key, now + FORGET_AFTER_MS);
    if (this.#fasterUntil.size > MAX_ENDPOINTS) this.#fasterUntil.delete(this.#fasterUntil.keys().next().value!);
  }

  /**
   * What is to be sent with a call: nothing when it is none that is held, or has a preference of its own.
   * @param now epoch milliseconds
   */
  headersFor({ url, method, headers }: Outgoing, now: number): Readonly<Record<string, string>> {
    const isFasterUnheld = now < (this.#fasterUntil.get(endpointOf(url)) ?? 0);
    return isFasterUnheld && method === "POST" && !headers.has("prefer") ? { Prefer: "wait=0" } : {};
  }
}
