/** The Problem Details object of a refusal (RFC 9457), with the problem types that the IANA registry has for limits. */

import type { Refusal, RefusalCause } from "./refusal.ts";
import { statusOf } from "./refusal.ts";

const TYPES = "https://iana.org/assignments/http-problem-types#";

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly [extension: string]: unknown;
}

export function problemOf(refusal: Refusal, detail: string): Problem {
  const status = statusOf(refusal);
  const type = status === 503 ? "temporary-reduced-capacity" : refusal.cause === "repeat" ? "abnormal-usage-detected" : "quota-exceeded";
  return {
    type: TYPES + type,
    title: titleOf(refusal.cause),
    status,
    detail,
    // mcp-remote takes some digits in the text of a failed connection for statuses: a handshake's problem has none to spare.
    ...(refusal.lane === "work" ? { instance: `urn:uuid:${refusal.requestId}` } : {}),
    ...(refusal.violated.length > 0 ? { "violated-policies": refusal.violated.map((limit) => limit.name) } : {}),
    cause: refusal.cause,
    limiter: "edge",
    plan: refusal.plan,
    ...(refusal.lane === "work" ? { retryAfterMs: refusal.retryAfterMs } : { retryAfterSeconds: harmlessSeconds(refusal.retryAfterMs) }),
    ...(refusal.isEstimated ? { estimated: true } : {}),
  };
}

/** Rounded up, and past the numbers that mcp-remote takes for the statuses of a server that is not there. */
function harmlessSeconds(ms: number): number {
  let seconds = Math.ceil(ms / 1_000);
  while (/40[45]/.test(String(seconds))) seconds++;
  return seconds;
}

function titleOf(cause: RefusalCause): string {
  switch (cause) {
    case "rate":
      return "Rate limit reached";
    case "quota":
      return "Quota used up";
    case "repeat":
      return "Loop stopped";
    case "capacity":
      return "Limits cannot be checked";
  }
}
