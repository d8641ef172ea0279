/**
 * The latest calls in the order in which they were let through: what tells a run of one call from the same number of calls
 * spread over other work, and two calls that take turns from two that are both just popular. Kept only where the policy asks for it.
 */

/** The most calls that a rule of this kind can speak of. A call is some thirty bytes of the row. */
export const MAX_TRAIL = 100;
/** Of two calls that take turns each is at least this part: a refused one in between makes it less than a half. */
const TURN_SHARE = 1 / 3;

export interface Step {
  readonly fingerprint: number;
  /** When the call leaves. */
  time: number;
  /** How long any rule looks back at it. */
  readonly windowMs: number;
}

/** Oldest first. */
export type Trail = Step[];

/** Milliseconds until one more of `fingerprint` may follow; 0 when it may now. */
export function waitForRun(trail: readonly Step[], fingerprint: number, calls: number, windowMs: number, now: number): number {
  for (let back = 1; back <= calls; back++) {
    const step = trail[trail.length - back];
    if (!step || step.fingerprint !== fingerprint || step.time + windowMs <= now) return 0;
  }
  return trail[trail.length - calls]!.time + windowMs - now;
}

/** The same for a call that has been taking turns with one other: the latest `calls` are these two and nothing else. */
export function waitForTurns(trail: readonly Step[], fingerprint: number, calls: number, windowMs: number, now: number): number {
  let other = 0;
  let ofThis = 0;
  for (let back = 1; back <= calls; back++) {
    const step = trail[trail.length - back];
    if (!step || step.time + windowMs <= now) return 0;
    if (step.fingerprint === fingerprint) ofThis++;
    else if (other === 0) other = step.fingerprint;
    else if (step.fingerprint !== other) return 0;
  }
  const isTurns = Math.min(ofThis, calls - ofThis) >= calls * TURN_SHARE;
  return isTurns ? trail[trail.length - calls]!.time + windowMs - now : 0;
}

export function recordStep(trail: Trail, step: Step, now: number): void {
  trail.push(step);
  const over = trail.findIndex(({ time, windowMs }) => time + windowMs > now);
  trail.splice(0, Math.max(over, trail.length - MAX_TRAIL));
}

/** Moves every time back with a clock that was set back by `byMs`. */
export function shiftTrail(trail: Trail, byMs: number): void {
  for (const step of trail) step.time -= byMs;
}
