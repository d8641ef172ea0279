/**
 * When each fingerprint was last forwarded. An agent that is stuck sends the same call again and again; the call after the
 * last one allowed within the window is refused before it costs anything.
 */

/** Enough for a plan of 600 calls a minute to have a quarter of a minute between two turns of a loop. */
export const MAX_FINGERPRINTS = 256;

/** Fingerprint to the times at which it was forwarded, the most recently used fingerprint last. */
export type Repeats = Map<number, { windowMs: number; times: number[] }>;

/** Milliseconds until `calls` more of this fingerprint may pass; 0 when they may now. `calls` must not exceed `allowed`. */
export function waitForRepeat(
  repeats: Repeats,
  fingerprint: number,
  calls: number,
  allowed: number,
  windowMs: number,
  now: number,
): number {
  const times = repeats.get(fingerprint)?.times;
  if (!times || times.length + calls <= allowed) return 0;
  const recent = times.filter((time) => time + windowMs > now);
  const over = recent.length + calls - allowed;
  return over <= 0 ? 0 : recent[over - 1]! + windowMs - now;
}

/** Remembers that a call with this fingerprint leaves at `due`. */
export function recordRepeat(repeats: Repeats, fingerprint: number, allowed: number, windowMs: number, due: number): void {
  const times = repeats.get(fingerprint)?.times ?? [];
  repeats.delete(fingerprint);
  // In the order in which they leave, which is not always the order in which they came: some are held.
  const after = times.findIndex((time) => time > due);
  times.splice(after < 0 ? times.length : after, 0, due);
  if (times.length > allowed) times.splice(0, times.length - allowed);
  repeats.set(fingerprint, { windowMs, times });
  if (repeats.size > MAX_FINGERPRINTS) {
    const [leastRecent] = repeats.keys();
    repeats.delete(leastRecent!);
  }
}

/** Moves every time back with a clock that was set back by `byMs`. */
export function shiftRepeats(repeats: Repeats, byMs: number): void {
  for (const { times } of repeats.values()) {
    for (let i = 0; i < times.length; i++) times[i]! -= byMs;
  }
}
