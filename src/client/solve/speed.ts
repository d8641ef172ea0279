/**
 * How fast this machine solves, from the proofs that it has solved. It begins with an assumption that weighs as much as a
 * quarter of a second of work: a proof that luck has found while the workers were still starting says little, and were it
 * believed, a client might take waiting for quicker and never work, nor measure, again.
 */

import { expectedSolveMs } from "./estimate.ts";

/** Less than one slow core manages. */
const ASSUMED_TRIES_PER_MS = 1_000;
const ASSUMED_FOR_MS = 250;
/** What was measured earlier counts for half as much with each proof: a machine is not always as busy. */
const FADE = 0.5;

export class SolveSpeed {
  #tries = ASSUMED_TRIES_PER_MS * ASSUMED_FOR_MS;
  #ms = ASSUMED_FOR_MS;

  /** @param elapsedMs 0 where the clock stands still while work is done: nothing is learned of that */
  learn(tries: number, elapsedMs: number): void {
    if (elapsedMs <= 0) return;
    // So that a run of lucky proofs does not wear the rest away.
    const fade = this.#ms > ASSUMED_FOR_MS ? Math.max(FADE, ASSUMED_FOR_MS / this.#ms) : 1;
    this.#tries = this.#tries * fade + tries;
    this.#ms = this.#ms * fade + elapsedMs;
  }

  /** How long a proof of so many bits takes on average. */
  expectedMs(difficulty: number): number {
    return expectedSolveMs(difficulty, (this.#tries / this.#ms) * 1_000);
  }
}
