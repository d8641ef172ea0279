/**
 * How long a proof takes. Each try wins with the same small chance whatever was tried before, so what is still to be
 * expected never shrinks: after any number of tries it is again the whole 2^difficulty.
 */

export interface SolveProgress {
  readonly difficulty: number;
  readonly tries: number;
  readonly elapsedMs: number;
  /** Of all cores together. Null while it cannot be told. */
  readonly hashesPerSecond: number | null;
  /** How much longer on average, from now on. Null while it cannot be told. */
  readonly expectedMs: number | null;
  /** Nine times in ten it takes no longer than this, from now on. */
  readonly likelyWithinMs: number | null;
}

/** ln 10: the tries that all fail one time in ten, in units of the mean. */
const NINE_IN_TEN = Math.LN10;

/** @param elapsedMs 0 where the clock stands still, as it does in a Worker between two events */
export function estimate(difficulty: number, tries: number, elapsedMs: number): SolveProgress {
  const hashesPerSecond = tries > 0 && elapsedMs > 0 ? (tries / elapsedMs) * 1_000 : null;
  const expectedMs = hashesPerSecond === null ? null : expectedSolveMs(difficulty, hashesPerSecond);
  return {
    difficulty,
    tries,
    elapsedMs,
    hashesPerSecond,
    expectedMs,
    likelyWithinMs: expectedMs === null ? null : expectedMs * NINE_IN_TEN,
  };
}

/** How long a proof takes on average. */
export function expectedSolveMs(difficulty: number, hashesPerSecond: number): number {
  return (2 ** difficulty / hashesPerSecond) * 1_000;
}
