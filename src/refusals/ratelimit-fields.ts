/** `RateLimit-Policy` and `RateLimit` as in draft-ietf-httpapi-ratelimit-headers-10: lists of RFC 9651. */

import type { AnyLimit, Meter } from "../limits/limit.ts";
import { periodAt } from "../limits/window.ts";

export interface MeteredLimit {
  readonly limit: AnyLimit;
  readonly meter: Meter;
}

export interface RateLimitFields {
  readonly policy: string;
  readonly remaining: string;
}

/** The tightest limit first. Limits that only observe are not the caller's business. Null when there is nothing to say. */
export function rateLimitFields(metered: readonly MeteredLimit[], now: number): RateLimitFields | null {
  const enforced = tightestFirst(metered);
  if (enforced.length === 0) return null;
  return {
    policy: enforced.map(({ limit }) => `"${limit.name}";q=${quantityOf(limit)}${unitOrWindow(limit, now)}`).join(", "),
    remaining: enforced.map(({ limit, meter }) => `"${limit.name}";r=${meter.remaining}${resetParameter(meter)}`).join(", "),
  };
}

/** Without the limits that only observe. */
export function tightestFirst(metered: readonly MeteredLimit[]): MeteredLimit[] {
  const enforced = metered.filter(({ limit }) => limit.mode === "enforce");
  if (enforced.length > 1) enforced.sort((a, b) => tightness(a) - tightness(b));
  return enforced;
}

/** `q` of a bucket is its burst: what can be had at once. */
export function quantityOf(limit: AnyLimit): number {
  return limit.kind === "rate" ? limit.burst : limit.calls;
}

/** Calls at once have no window, and are not counted in requests. */
function unitOrWindow(limit: AnyLimit, now: number): string {
  return limit.kind === "concurrency" ? ';qu="concurrent-requests"' : `;w=${windowSecondsOf(limit, now)}`;
}

/** `w` of a bucket is the time in which an empty one is full again; 0 for calls at once. */
export function windowSecondsOf(limit: AnyLimit, now: number): number {
  if (limit.kind === "concurrency") return 0;
  if (limit.kind === "rate") return Math.max(1, Math.ceil((limit.burst * 60) / limit.perMinute));
  if (typeof limit.per === "number") return Math.ceil(limit.per / 1_000);
  const { start, end } = periodAt(limit.per, now);
  return (end - start) / 1_000;
}

function resetParameter(meter: Meter): string {
  return meter.resetMs === 0 ? "" : `;t=${Math.ceil(meter.resetMs / 1_000)}`;
}

function tightness({ limit, meter }: MeteredLimit): number {
  return meter.remaining / quantityOf(limit);
}
