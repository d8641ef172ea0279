/**
 * How hard the next challenge of a consumer is. Each solve makes it a bit harder, that is twice the work; each minute without
 * one takes a bit away again. So an agent that is over its limit now and then pays a second of processor time, and one
 * that lives on solving pays what the operator thinks that is worth.
 *
 * Like the token bucket, this is one number: `easedAt`, the time at which everything will have been taken away.
 * Challenges are stateless, so an agent could fetch many while they are cheap: each carries the account's count of solves, and
 * a few solves later it is too old, whatever its expiry says.
 */

/** One bit for each of these without a solve. A credit is ten calls, which a plan of 10 a minute has back in a minute. */
export const EASE_MS = 60_000;
/** The most that solving adds, whatever a plan's bounds: 64 times the work. Six minutes later it is all forgotten. */
export const MAX_RAISE_BITS = 6;
/** Agents solve in parallel: those whose challenge was issued this many solves ago do not lose their work. */
export const MAX_SOLVES_SINCE_ISSUE = 4;
/** A slow core tries some 300,000 nonces a second: 24 bits are a minute, and 99 times of 100 less than the five a challenge lives. */
export const MAX_DIFFICULTY = 24;

export interface DifficultyBounds {
  /** Bits, after a pause. 1 to `MAX_DIFFICULTY`. */
  readonly base: number;
  /** Bits, however much is solved. At least `base`; more than `base + MAX_RAISE_BITS` is never reached. */
  readonly max: number;
}

/** On a slow core 18 bits take about a second, 22 about fifteen. */
export const DEFAULT_BOUNDS: DifficultyBounds = { base: 18, max: 22 };

/** What an account keeps of its solves. */
export interface Solves {
  /** Ever, on this account. */
  readonly count: number;
  /** Epoch milliseconds from which challenges are as easy as at first. */
  readonly easedAt: number;
}

export const NO_SOLVES: Solves = { count: 0, easedAt: 0 };

/** Bits of a challenge that is issued now. */
export function difficultyFor({ easedAt }: Solves, { base, max }: DifficultyBounds, now: number): number {
  return Math.min(max, base + Math.ceil(easingMs(easedAt, now) / EASE_MS));
}

/** The account after one more solve. */
export function recordSolve({ count, easedAt }: Solves, now: number): Solves {
  const raisedMs = Math.min(easingMs(easedAt, now) + EASE_MS, MAX_RAISE_BITS * EASE_MS);
  return { count: count + 1, easedAt: now + raisedMs };
}

/** Moves back with a clock that was set back by `byMs`, as all times of an account do. */
export function shiftSolves({ count, easedAt }: Solves, byMs: number): Solves {
  return { count, easedAt: easedAt - byMs };
}

/**
 * Whether a challenge was issued too many solves ago. An account that has seen no calls for long is forgotten and starts to count
 * anew: a challenge from before that, of which nothing is known any more, is too old too.
 */
export function isTooOld({ count }: Solves, solvesAtIssue: number): boolean {
  return solvesAtIssue > count || count - solvesAtIssue > MAX_SOLVES_SINCE_ISSUE;
}

/** Milliseconds until nothing is left of earlier solves: never longer than it can be, whatever the clock did. */
function easingMs(easedAt: number, now: number): number {
  return Math.min(Math.max(0, easedAt - now), MAX_RAISE_BITS * EASE_MS);
}
