/** The way on that is always there: waiting as long as the gate has told, never less. */

import { sleep } from "../sleep.ts";
import type { WayOn } from "./ways-on.ts";

/** Calls that were refused together should not come back together: up to a tenth later, and never by more than a second. */
const JITTER_SHARE = 0.1;
const MIN_JITTER_MS = 50;
const MAX_JITTER_MS = 1_000;

/** @param random from 0 to 1 */
export function createWaitWay(random: () => number): WayOn {
  return {
    kind: "wait",
    consider({ refusal: { retryAfterMs }, maxWaitMs }) {
      if (retryAfterMs === null)
        return { isOpen: false, obstacle: { code: "no-time-told", why: "no time was told after which to send it again" } };
      if (retryAfterMs <= maxWaitMs) return { isOpen: true, expectedMs: retryAfterMs, priceSats: 0 };
      const why = `the wait of ${seconds(retryAfterMs)} is longer than the ${seconds(maxWaitMs)} that were left for it`;
      return { isOpen: false, obstacle: { code: "wait-too-long", why } };
    },
    async take({ refusal, refusedAt, signal, tell }) {
      const told = refusal.retryAfterMs ?? 0;
      const untilMs = refusedAt + told + random() * Math.min(MAX_JITTER_MS, Math.max(MIN_JITTER_MS, told * JITTER_SHARE));
      tell({ kind: "waiting", waitMs: told });
      await sleep(() => untilMs - Date.now(), signal);
      signal?.throwIfAborted();
      return { ok: true, waitedMs: told, headers: {} };
    },
  };
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1_000)} s`;
}
