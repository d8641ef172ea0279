/** The operator's log: one line of JSON for each refusal. Never a key, a token or an argument. */

import type { Refusal } from "./refusal.ts";
import { statusOf } from "./refusal.ts";

export type LogLine = Readonly<Record<string, unknown>>;

/** @param subject the method and what it is about, such as a tool's name */
export function refusalLine(refusal: Refusal, consumer: string, subject: string, isRemembered: boolean): LogLine {
  return {
    event: "refused",
    consumer,
    plan: refusal.plan,
    lane: refusal.lane,
    subject,
    cause: refusal.cause,
    limits: refusal.violated.map((limit) => limit.name),
    status: statusOf(refusal),
    retryAfterMs: refusal.retryAfterMs,
    requestId: refusal.requestId,
    ...(isRemembered ? { remembered: true } : {}),
  };
}

/** What limits in `observe` mode would have refused. */
export function observedLine(consumer: string, plan: string, subject: string, limits: readonly string[], requestId: string): LogLine {
  return { event: "would-refuse", consumer, plan, subject, limits, requestId };
}
