/**
 * What header fields say of limits: Retry-After and its kin, and the three families of rate-limit fields. On an answer
 * that carries none this costs five look-ups.
 */

import { parseItemList } from "./structured-list.ts";
import { longest, readMilliseconds, readWaitMs } from "./told-time.ts";

export interface Quota {
  /** Calls in the window, where it is told. */
  readonly limit: number | null;
  /** Whole calls left. */
  readonly remaining: number;
  /** Milliseconds until there are more, or all, again; 0 when that has passed. */
  readonly resetMs: number | null;
}

export interface FieldQuota extends Quota {
  /**
   * Whether Retry-After, where it is there too, speaks of this very window and goes before its reset. So it is for the
   * fields of the draft, which say so, and for those that tell when a bucket is full again. X-RateLimit-Reset does not: GitHub
   * sends it with the Retry-After of another limit, and both hold.
   */
  readonly yieldsToRetryAfter: boolean;
}

/** Longer fields than this are no honest server's. */
const MAX_FIELD_CHARS = 4_096;

interface Family {
  readonly limit: string;
  readonly remaining: string;
  readonly reset: string;
  readonly yieldsToRetryAfter: boolean;
}

const FAMILIES: readonly Family[] = [
  // draft-ietf-httpapi-ratelimit-headers, -03 to -06; GitLab sends the same names with a moment for the reset.
  { limit: "ratelimit-limit", remaining: "ratelimit-remaining", reset: "ratelimit-reset", yieldsToRetryAfter: true },
  { limit: "x-ratelimit-limit", remaining: "x-ratelimit-remaining", reset: "x-ratelimit-reset", yieldsToRetryAfter: false },
  { limit: "x-rate-limit-limit", remaining: "x-rate-limit-remaining", reset: "x-rate-limit-reset", yieldsToRetryAfter: false },
  // OpenAI's. Its -tokens count no calls.
  {
    limit: "x-ratelimit-limit-requests",
    remaining: "x-ratelimit-remaining-requests",
    reset: "x-ratelimit-reset-requests",
    yieldsToRetryAfter: true,
  },
];

/**
 * Milliseconds of Retry-After (RFC 9110, 10.2.3), or of retry-after-ms and x-ms-retry-after-ms, which say the same more
 * exactly and so go first. Null when there is none that can be read.
 */
export function readRetryAfterMs(headers: Headers, now: number): number | null {
  for (const name of ["retry-after-ms", "x-ms-retry-after-ms"]) {
    const exact = headers.get(name);
    const ms = exact === null ? null : readMilliseconds(exact);
    if (ms !== null) return ms;
  }
  const text = fieldOf(headers, "retry-after");
  if (text === null) return null;
  // A proxy may have added its own.
  return readWaitMs(text, now) ?? longest(text.split(",").map((one) => readWaitMs(one, now)));
}

/**
 * Every window that the fields tell of.
 * @param isRefused the status alone says that a limit was hit: a reset without a remaining is then that of an empty window
 */
export function readFieldQuotas(headers: Headers, isRefused: boolean, now: number): readonly FieldQuota[] {
  const quotas: FieldQuota[] = [];
  const combined = fieldOf(headers, "ratelimit");
  if (combined !== null) {
    if (combined.startsWith('"')) quotas.push(...readItems(combined, fieldOf(headers, "ratelimit-policy"), now));
    else quotas.push(...readPairs(combined, now));
  }
  for (const family of FAMILIES) quotas.push(...readFamily(headers, family, isRefused, now));
  return quotas;
}

/** The window that runs out first: the fewest left, and of two alike the one that stays so for longer. Null when there is none. */
export function tightest<Q extends Quota>(quotas: readonly Q[]): Q | null {
  let found: Q | null = null;
  for (const quota of quotas) {
    const isTighter =
      !found || quota.remaining < found.remaining || (quota.remaining === found.remaining && (quota.resetMs ?? -1) > (found.resetMs ?? -1));
    if (isTighter) found = quota;
  }
  return found;
}

/** draft-10: `RateLimit: "default";r=50;t=30`, with the number of calls in `RateLimit-Policy: "default";q=100;w=60`. */
function readItems(field: string, policyField: string | null, now: number): FieldQuota[] {
  const policies = (policyField === null ? null : parseItemList(policyField)) ?? [];
  const quotas: FieldQuota[] = [];
  for (const { value, parameters } of parseItemList(field) ?? []) {
    const remaining = countOf(parameters.get("r"));
    if (typeof value !== "string" || remaining === null) continue;
    const policy = policies.find((other) => other.value === value)?.parameters;
    const unit = policy?.get("qu") ?? "requests";
    // Bytes and calls in flight are no calls, and their zero passes by itself.
    if (unit !== "requests") continue;
    const seconds = countOf(parameters.get("t"));
    const resetMs = seconds === null ? null : readWaitMs(seconds, now);
    quotas.push({ limit: countOf(policy?.get("q")), remaining, resetMs, yieldsToRetryAfter: true });
  }
  return quotas;
}

function countOf(value: unknown): number | null {
  return typeof value === "number" && value >= 0 ? value : null;
}

const PAIR = /^([a-z]+)=(\d{1,15})(?: *;.*)?$/;

/** draft-07: `RateLimit: limit=100, remaining=50, reset=30`, a dictionary of integers. */
function readPairs(field: string, now: number): FieldQuota[] {
  const pairs = new Map<string, number>();
  for (const member of field.split(",")) {
    const pair = PAIR.exec(member.trim());
    if (!pair) return [];
    pairs.set(pair[1]!, Number(pair[2]));
  }
  const remaining = pairs.get("remaining");
  if (remaining === undefined) return [];
  const reset = pairs.get("reset");
  const resetMs = reset === undefined ? null : readWaitMs(reset, now);
  return [{ limit: pairs.get("limit") ?? null, remaining, resetMs, yieldsToRetryAfter: true }];
}

const COUNT = /^(\d{1,15})(?:\.\d{1,9})?(?: *;.*)?$/;

/**
 * Three fields for one window. Where an API and a proxy before it both send them they arrive as lists, and what stands at the
 * same place belongs together; a limit may list its policies after its number (`100, 100;w=60`).
 */
function readFamily(headers: Headers, family: Family, isRefused: boolean, now: number): FieldQuota[] {
  const remainingField = fieldOf(headers, family.remaining);
  if (remainingField === null && !isRefused) return [];
  const resetField = fieldOf(headers, family.reset);
  if (remainingField === null && resetField === null) return [];
  const counts = remainingField === null ? [0] : remainingField.split(",").map(readCount);
  const limits = fieldOf(headers, family.limit)?.split(",").map(readCount) ?? [];
  const whole = resetField === null ? null : readWaitMs(resetField, now);
  const resets = whole === null ? (resetField?.split(",").map((reset) => readWaitMs(reset, now)) ?? []) : [];

  const quotas: FieldQuota[] = [];
  for (const [place, remaining] of counts.entries()) {
    const limit = (limits.length === counts.length ? limits[place] : limits[0]) ?? null;
    const resetMs = whole ?? (resets.length === counts.length ? resets[place] : resets[0]) ?? null;
    // A limit of zero is how some say that they have none.
    if (remaining === null || limit === 0 || (remainingField === null && resetMs === null)) continue;
    quotas.push({ limit, remaining, resetMs, yieldsToRetryAfter: family.yieldsToRetryAfter });
  }
  return quotas;
}

function readCount(text: string): number | null {
  const count = COUNT.exec(text.trim())?.[1];
  return count === undefined ? null : Number(count);
}

function fieldOf(headers: Headers, name: string): string | null {
  const field = headers.get(name);
  return field === null || field.length > MAX_FIELD_CHARS ? null : field;
}
