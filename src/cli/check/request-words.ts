/** What a request would be charged, in words: its messages, then a section for each plan. */

import type { Line, Section } from "./layout.ts";
import { count, mostOf } from "./limit-report.ts";
import type { ChargeReport, MessageReport, PricedPlan, RequestReport } from "./request-report.ts";

/** Names come from the request; a line is not theirs to fill. */
const MAX_NAME_CHARS = 100;

export function wordRequest({ lane, isBatch, messages, plans }: RequestReport): Section[] {
  const what = isBatch ? `A batch of ${count(messages.length, "message")}` : "One message";
  return [
    { title: `${what}, in the lane "${lane}".`, lines: messages.flatMap(wordMessage) },
    ...plans.map((plan) => ({
      title: `PLAN ${plan.plan}: ${plan.refused ? "can never pass" : "passes"}`,
      lines: wordPlan(plan, messages),
    })),
  ];
}

function wordMessage(message: MessageReport, at: number): Line[] {
  const { lane, loops, loopsOf } = message;
  const what: Line = [`message ${at + 1}`, `${nameOf(message)}, lane "${lane}"`];
  if (lane !== "work") return [what];
  const whose = loopsOf === null ? "" : `, by repeats.tools ${JSON.stringify(loopsOf)}`;
  if (loops.length === 0) return [what, ["", `loops are not looked for${whose}`]];
  return [what, ...loops.map(({ words }): Line => ["", `loops: ${words}${whose}`])];
}

function wordPlan(plan: PricedPlan, messages: readonly MessageReport[]): Line[] {
  const { refused, limits, observed, rateLimitPolicy, rateLimit } = plan;
  const charges = plan.messages.flatMap((charge, at): Line[] => (charge ? [[`message ${at + 1}`, wordCharge(charge)]] : []));
  const counted: Line[] = [["costs", wordCost(plan.cost, charges.length, messages.length)], ...charges];
  if (refused) return [["answered", `${refused.status}: ${refused.why}`], ...counted];
  return [
    ...counted,
    ...limits.map(({ limit, takes, remaining }): Line => [
      limit.name,
      `${takes} taken, ${remaining} of ${mostOf(limit)} left${limit.mode === "observe" ? " (observe)" : ""}`,
    ]),
    ...(observed.length > 0 ? [["observed", `would be refused by ${observed.join(", ")}, if these were enforced`] as const] : []),
    ...(rateLimitPolicy === null
      ? []
      : [["headers", `RateLimit-Policy: ${rateLimitPolicy}`] as const, ["", `RateLimit: ${rateLimit}`] as const]),
  ];
}

function wordCost(cost: number, charged: number, messages: number): string {
  if (charged === 0) return "nothing: no limit of calls counts it";
  return charged < messages ? `${cost}; the messages that are not listed cost nothing` : String(cost);
}

function wordCharge({ cost, limits, entry, isCostMissing }: ChargeReport): string {
  const by = entry === null ? "" : `, by ${entry}`;
  const missing = isCostMissing ? " (its function gave no whole number from 0 to 1000000, which the gate's log will say)" : "";
  return `costs ${cost}${by}${missing}; falls under ${limits.join(", ")}`;
}

function nameOf({ kind, method, subject }: MessageReport): string {
  if (method === null) return "an answer to a request of the server's";
  const what = kind === "notification" ? `the notification ${shown(method)}` : shown(method);
  return subject === "" ? what : `${what} ${JSON.stringify(subject.slice(0, MAX_NAME_CHARS))}`;
}

/** A method that could not be one may hold anything. */
function shown(method: string): string {
  return /^[\w./$-]{1,100}$/.test(method) ? method : JSON.stringify(method.slice(0, MAX_NAME_CHARS));
}
