/**
 * What a model reads. Most SDKs hand on nothing but this text, so it stands alone: what was hit, how long to wait, what
 * else can be done. It never contains `Unauthorized`, and for the handshake also none of the substrings that mcp-remote
 * takes for something else (`404`, `405`, `Not Found`, `Method Not Allowed`).
 */

import type { Limit } from "../limits/limit.ts";
import type { Refusal } from "./refusal.ts";

/** Longer than this, an agent should not sleep: SDKs time out around a tool call after a minute. */
export const LONG_WAIT_MS = 60_000;

export function wordRefusal(refusal: Refusal): string {
  return `${wordCause(refusal)} ${wordWayOn(refusal)}`;
}

function wordCause(refusal: Refusal): string {
  switch (refusal.cause) {
    case "repeat": {
      const { identical, windowMs } = refusal.repeat!;
      return `Loop stopped: this exact call was already let through ${identical} times within ${duration(windowMs)}. Sending it again will not help: use the answer you have, change the arguments, or take another step.`;
    }
    case "capacity":
      return "The gate in front of this MCP server cannot check your limits at the moment, so it let nothing through and charged nothing.";
    case "quota":
      return `Quota used up: ${refusal.violated.map(wordLimit).join("; ")}.`;
    case "rate":
      return refusal.lane === "work"
        ? `Rate limit reached on plan "${refusal.plan}": ${refusal.violated.map(wordLimit).join("; ")}.`
        : `Too many connection requests: ${refusal.violated.map(wordLimit).join("; ")}.`;
  }
}

function wordWayOn(refusal: Refusal): string {
  const { retryAfterMs, passesAt, cause } = refusal;
  const about = refusal.isEstimated ? "about " : "";
  if (retryAfterMs > LONG_WAIT_MS) {
    const until = new Date(Math.ceil(passesAt / 1_000) * 1_000).toISOString().replace(".000Z", "Z");
    return `Do not wait for it: stop here and say that the limit holds until ${about}${until}.`;
  }
  const wait = `${about}${duration(retryAfterMs)}`;
  if (cause === "repeat") return `The same call is possible again in ${wait}.`;
  return `Wait ${wait}, then send the same call again; sooner, it will be refused again.`;
}

export function wordLimit(limit: Limit): string {
  if (limit.kind === "rate") {
    return limit.burst === limit.perMinute
      ? `${calls(limit.burst)} a minute`
      : `${calls(limit.burst)} at once, refilled at ${limit.perMinute} a minute`;
  }
  return typeof limit.per === "number"
    ? `${calls(limit.calls)} in any ${duration(limit.per)}`
    : `${calls(limit.calls)} a ${limit.per} (UTC)`;
}

function calls(count: number): string {
  return count === 1 ? "1 call" : `${count} calls`;
}

/** Whole units, rounded up: "1 second", "90 seconds", "15 minutes", "2 hours", "7 days". */
export function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1_000);
  for (const [unit, size] of [
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
  ] as const) {
    if (seconds >= 2 * size && seconds % size === 0) return `${seconds / size} ${unit}s`;
  }
  return seconds === 1 ? "1 second" : `${seconds} seconds`;
}
