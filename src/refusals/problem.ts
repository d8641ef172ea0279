/** The Problem Details object of a refusal (RFC 9457), with the problem types that the IANA registry has for limits. */

import type { Refusal, RefusalCause } from "./refusal.ts";
import { limiterOf, statusOf } from "./refusal.ts";

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
  // Notifications and streams are part of connecting, too: they follow `initialize`.
  const isConnecting = refusal.lane !== "work";
  const type = status === 503 ? "temporary-reduced-capacity" : refusal.cause === "repeat" ? "abnormal-usage-detected" : "quota-exceeded";
  return {
    type: TYPES + type,
    title: titleOf(refusal.cause),
    status,
    detail,
    // mcp-remote takes some digits in the text of a failed connection for statuses: a handshake's problem has none to spare.
    ...(isConnecting ? {} : { instance: `urn:uuid:${refusal.requestId}` }),
    ...(refusal.violated.length > 0 ? { "violated-policies": refusal.violated.map((limit) => limit.name) } : {}),
    cause: refusal.cause,
    limiter: limiterOf(refusal),
    plan: refusal.plan,
    ...(isConnecting ? { retryAfterSeconds: harmlessSeconds(refusal.retryAfterMs) } : { retryAfterMs: refusal.retryAfterMs }),
    ...(refusal.isEstimated ? { estimated: true } : {}),
    ...(refusal.loop ? { loop: refusal.loop.kind } : {}),
    ...(refusal.cost === undefined ? {} : { cost: refusal.cost }),
    ...(refusal.challenges?.length ? { challenges: refusal.challenges } : {}),
    ...(refusal.isPaymentAway ? { payment: "unavailable" } : {}),
    ...(refusal.origin?.answer ? { origin: refusal.origin.answer } : {}),
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
    case "concurrency":
      return "Too many calls at once";
    case "origin":
      return "Limit of the MCP server behind the gate";
    case "capacity":
      return "Limits cannot be checked";
  }
}
