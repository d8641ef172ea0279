/**
 * Solves one proof-of-work challenge on all cores. The search begins right here, in short slices that leave the event loop
 * free, and moves to the workers once they are up: an easy proof is done before that, and where there are no workers,
 * as in Cloudflare Workers, it simply goes on. One proof is solved at a time; others wait for their turn.
 */

import { type PowChallenge, type PowSolution, solutionOf } from "../pow-challenge.ts";
import { estimate, type SolveProgress } from "./estimate.ts";
import { type Found, HARDEST_BITS, searchNonces } from "./search.ts";
import { Turns } from "../turns.ts";
import { WorkerTeam } from "./worker-team.ts";

/** On one slow core two seconds on average: more than a gate should ever ask of an honest caller. */
export const DEFAULT_MAX_DIFFICULTY = 22;
/** A few milliseconds of a core. */
const SLICE_TRIES = 2 ** 13;
const PROGRESS_EVERY_MS = 250;

export interface SolveOptions {
  /** Harder challenges are refused before any work: zero bits, 22 unless told otherwise, 32 at the most. */
  readonly maxDifficulty?: number;
  /** Ends the work at once. */
  readonly signal?: AbortSignal | undefined;
  /** Called about four times a second while the proof is worked on. */
  readonly onProgress?: (progress: SolveProgress) => void;
}

export type Solved =
  | { readonly ok: true; readonly solution: PowSolution; readonly tries: number; readonly elapsedMs: number }
  /** `expired`: before or while it was worked on. */
  | { readonly ok: false; readonly why: "too-hard" | "expired" | "aborted" };

export type SolvePow = (challenge: PowChallenge, options?: SolveOptions) => Promise<Solved>;

const team = new WorkerTeam();
const turns = new Turns();

/** Finds a nonce for the challenge. Never rejects. */
export async function solvePow(challenge: PowChallenge, options: SolveOptions = {}): Promise<Solved> {
  const { maxDifficulty = DEFAULT_MAX_DIFFICULTY, signal } = options;
  if (challenge.difficulty > Math.min(maxDifficulty, HARDEST_BITS)) return { ok: false, why: "too-hard" };
  const endTurn = await turns.next("cores", signal);
  try {
    return signal?.aborted ? { ok: false, why: "aborted" } : await search(challenge, options);
  } finally {
    endTurn();
  }
}

function search(challenge: PowChallenge, { signal, onProgress }: SolveOptions): Promise<Solved> {
  const { salt, difficulty } = challenge;
  const expiresAt = challenge.expiresAt === undefined ? Infinity : Date.parse(challenge.expiresAt);
  const startedAt = Date.now();
  let tries = 0;
  let next = 0;
  let toldAt = startedAt;
  let isEnded = false;
  let isTeamUp = false;
  const { promise, resolve } = deferred<Solved>();

  const take = (count: number): number => (next += count) - count;
  const end = (solved: Solved): void => {
    if (isEnded) return;
    isEnded = true;
    stopTeam();
    signal?.removeEventListener("abort", onAbort);
    resolve(solved);
  };
  const onAbort = (): void => end({ ok: false, why: "aborted" });
  const onSearched = (found: Found): void => {
    const now = Date.now();
    tries += found.tries;
    if (found.nonce !== null) end({ ok: true, solution: solutionOf(challenge, found.nonce), tries, elapsedMs: now - startedAt });
    else if (now >= expiresAt) end({ ok: false, why: "expired" });
    else if (now - toldAt >= PROGRESS_EVERY_MS) {
      toldAt = now;
      onProgress?.(estimate(difficulty, tries, now - startedAt));
    }
  };
  const searchHere = async (): Promise<void> => {
    for (;;) {
      if (isEnded || isTeamUp) return;
      onSearched(searchNonces(salt, difficulty, take(SLICE_TRIES), SLICE_TRIES));
      await nextEvent();
    }
  };

  if (startedAt >= expiresAt) return Promise.resolve({ ok: false, why: "expired" });
  const stopTeam = team.begin({
    salt,
    difficulty,
    take,
    onSearched(found) {
      isTeamUp = true;
      onSearched(found);
    },
    onLost() {
      isTeamUp = false;
      void searchHere();
    },
  });
  signal?.addEventListener("abort", onAbort);
  void searchHere();
  return promise;
}

/** Lets everything else that is due happen first. */
function nextEvent(): Promise<void> {
  const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => void };
  return new Promise((resolve) => (setImmediate ? setImmediate(resolve) : setTimeout(resolve)));
}

/** `Promise.withResolvers` came with Node 22. */
function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}
