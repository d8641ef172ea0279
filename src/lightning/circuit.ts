/**
 * Whether a node is worth asking. It stands in the way of a refusal: a node that is away must not hold up each of them for as
 * long as it takes to give up. After a few failures in a row nobody asks any more; after a while one asks again, and all
 * depends on that one. Each time it fails the while is twice as long.
 */

/** One alone may be a lost packet. */
const FAILURES_TO_OPEN = 3;
/** A node that is restarted is back in about that time. */
const FIRST_OPEN_MS = 10_000;
/** However long it has been away: whoever has brought it back waits no longer than that. */
const MAX_OPEN_MS = 120_000;
/** One that asks again and never comes back to tell (its client has left) holds up the next no longer than that. */
const PROBE_MS = 10_000;

export interface Circuit {
  /** In a row, while it is asked at all. */
  readonly failures: number;
  /** How often it has been found away in a row; 0 while it is asked. */
  readonly openings: number;
  /** Epoch milliseconds until which it is not asked. */
  readonly openUntil: number;
}

export const CLOSED_CIRCUIT: Circuit = { failures: 0, openings: 0, openUntil: 0 };

export type Admission =
  /** `isProbe`: all depends on this one. */
  { readonly ok: true; readonly isProbe: boolean; readonly circuit: Circuit } | { readonly ok: false; readonly retryAfterMs: number };

/** Whether to ask now. */
export function admit(circuit: Circuit, now: number): Admission {
  if (circuit.openings === 0) return { ok: true, isProbe: false, circuit };
  // Bounded, for the clock may have been set back.
  const retryAfterMs = Math.min(circuit.openUntil - now, MAX_OPEN_MS);
  if (retryAfterMs > 0) return { ok: false, retryAfterMs };
  return { ok: true, isProbe: true, circuit: { ...circuit, openUntil: now + PROBE_MS } };
}

/** The circuit after a failure. One that was asked before the circuit opened says nothing new. */
export function afterFailure(circuit: Circuit, isProbe: boolean, now: number): Circuit {
  if (circuit.openings === 0) {
    const failures = circuit.failures + 1;
    return failures < FAILURES_TO_OPEN ? { ...circuit, failures } : { failures, openings: 1, openUntil: now + FIRST_OPEN_MS };
  }
  if (!isProbe) return circuit;
  const openMs = Math.min(FIRST_OPEN_MS * 2 ** circuit.openings, MAX_OPEN_MS);
  return { ...circuit, openings: circuit.openings + 1, openUntil: now + openMs };
}
