/** What a call ends with when this client could not get it past the gate. */

import type { Obstacle } from "./ways/obstacle.ts";
import { l402Authorization, type L402Credential } from "./l402-challenge.ts";
import type { Refusal } from "./refusal.ts";

/**
 * Thrown in place of the gate's last refusal. Both MCP SDKs hand an error of `fetch` on as it is, while of a response they
 * make the text of its whole body: thrown, `message` is all that a person or a model needs to read, and nothing else.
 */
export class TurnpikeError extends Error {
  override readonly name = "TurnpikeError";
  /** HTTP status of the refusal: 402, 429 or 503. Also its JSON-RPC error code. */
  readonly code: number;
  /** The gate's Problem Details (RFC 9457): `cause`, `plan`, `retryAfterMs`, `challenges` and more. */
  readonly data: Readonly<Record<string, unknown>>;
  /** What this client did, and why it went no further. */
  readonly reason: string;
  /** The same for programs: each way on that was there, and why it was closed or failed. */
  readonly obstacles: readonly Obstacle[];
  /** What was paid for and not taken by the gate. Null when nothing was. */
  readonly untaken: L402Credential | null;

  /** @param reason a sentence */
  constructor(refusal: Refusal, reason: string, obstacles: readonly Obstacle[], untaken: L402Credential | null) {
    const words = [refusal.message || `The gate refused this call with status ${refusal.status}.`, reason];
    if (untaken)
      words.push(
        `What was paid is not lost: it is tried again with the next call, and until then is good as "Authorization: ${l402Authorization(untaken)}".`,
      );
    super(words.join(" "));
    this.code = refusal.status;
    this.data = refusal.problem ?? {};
    this.reason = reason;
    this.obstacles = obstacles;
    this.untaken = untaken;
  }
}
