/** What an origin's answer is read as, at a moment that is always the same. */

import * as fc from "fast-check";
import { type LimitSigns, readLimitSigns } from "../../src/origin/limit-signs.ts";

export const NOW = Date.UTC(2026, 10, 21, 12, 0, 0);
export const NOW_SECONDS = NOW / 1_000;
/** The longest time that is believed. */
export const MAX_SECONDS = 31 * 86_400;
/** Any moment at which this could run. */
export const anyNow = fc.integer({ min: Date.UTC(2001, 0), max: Date.UTC(2099, 11) });

export function read(status: number, fields: Record<string, string>, body: string | null = null, now = NOW): LimitSigns | null {
  return readLimitSigns(status, new Headers(fields), body, now);
}

export function refusal(closedForMs: number | null, quota: LimitSigns["quota"] = null): LimitSigns {
  return { isRefusal: true, closedForMs, quota };
}

export function window(limit: number | null, remaining: number, resetMs: number | null) {
  return { limit, remaining, resetMs };
}
