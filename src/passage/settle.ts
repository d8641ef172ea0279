/** What is left to do once the origin has answered, or has not: after the answer, never before it. */

import { refundConsumer } from "../../durable-objects/ask-consumer.ts";
import { refundOriginQuota } from "../../durable-objects/ask-origin-quota.ts";
import type { Pass } from "./decision.ts";
import type { Passage } from "./passage.ts";
import { giveSlotsBack } from "./slots.ts";

/** The origin never had the call: whoever was charged for it gets everything back. */
export function giveBack(passage: Passage, pass: Pass): void {
  const { ctx, env } = passage;
  const { caller, ticket, originTicket, slots, alongside, payer } = pass;
  if (ticket !== null) ctx.waitUntil(refundConsumer(env.CONSUMERS, caller.id, ticket));
  if (originTicket !== null && env.ORIGIN_QUOTAS) {
    ctx.waitUntil(refundOriginQuota(env.ORIGIN_QUOTAS, originTicket.quota, originTicket.ticket));
  }
  giveSlotsBack(passage, slots);
  if (payer) ctx.waitUntil(refundConsumer(env.CONSUMERS, payer.consumer, payer.ticket));
  if (alongside) giveBack(passage, alongside);
}

/** What the origin's answer tells of a bearer: that it takes the token, or no longer does. */
export function learnOfBearer({ ctx, env, gate, messages }: Passage, { caller, alongside }: Pass, status: number, now: number): void {
  if (caller.kind !== "bearer") return;
  const isToRequest = messages.some((message) => message.kind === "request");
  const told = gate.acceptances.learn(env.CONSUMERS, caller.id, alongside === undefined, { status, isToRequest }, now);
  if (told !== null) ctx.waitUntil(told);
}
