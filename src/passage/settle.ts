/** What is left to do once the origin has answered, or has not: after the answer, never before it. */

import { oweResend, refundConsumer } from "../../durable-objects/ask-consumer.ts";
import { refundOriginQuota } from "../../durable-objects/ask-origin-quota.ts";
import type { Pass } from "./decision.ts";
import type { Passage } from "./passage.ts";
import { giveSlotsBack } from "./slots.ts";
import { watchToEnd } from "./watched-answer.ts";

/** The origin never had the call: whoever was charged for it gets everything back. */
export function giveBack(passage: Passage, pass: Pass): void {
  const { ctx, env } = passage;
  const { caller, ticket, originTicket, slots, alongside, payer } = pass;
  if (ticket !== null) ctx.waitUntil(refundConsumer(env.CONSUMERS, caller.id, ticket));
  if (originTicket !== null && env.ORIGIN_QUOTAS) {
    ctx.waitUntil(refundOriginQuota(env.ORIGIN_QUOTAS, originTicket.quota, originTicket.ticket));
  }
  giveSlotsBack(passage, slots);
  if (payer && payer.ticket !== ticket) ctx.waitUntil(refundConsumer(env.CONSUMERS, payer.consumer, payer.ticket));
  if (alongside) giveBack(passage, alongside);
}

/** The client has left while the origin had the call: what it got of the answer, nobody knows. */
export function giveUp(passage: Passage, pass: Pass): void {
  giveSlotsBack(passage, pass.slots);
  void owe(passage, pass);
}

/** The origin's answer. At its end slots are given back; where it was cut off, a paid call may be sent again for nothing. */
export function settleAtEnd(passage: Passage, pass: Pass, answer: Response): Response {
  const { slots } = pass;
  if (slots.length === 0 && payersOf(pass).length === 0) return answer;
  return watchToEnd(answer, passage.ctx, passage.request.signal, (isWhole) =>
    Promise.all([...slots.map((slot) => slot.giveBack()), ...(isWhole ? [] : [owe(passage, pass)])]),
  );
}

function owe({ ctx, env }: Passage, pass: Pass): Promise<unknown> {
  const owed = Promise.all(payersOf(pass).map(({ consumer, ticket }) => oweResend(env.CONSUMERS, consumer, ticket)));
  ctx.waitUntil(owed);
  return owed;
}

function payersOf({ payer, alongside }: Pass): NonNullable<Pass["payer"]>[] {
  return [payer, alongside?.payer].filter((each) => each !== undefined);
}

/** What the origin's answer tells of a bearer: that it takes the token, or no longer does. */
export function learnOfBearer({ ctx, env, gate, messages }: Passage, { caller, alongside }: Pass, status: number, now: number): void {
  if (caller.kind !== "bearer") return;
  const isToRequest = messages.some((message) => message.kind === "request");
  const told = gate.acceptances.learn(env.CONSUMERS, caller.id, alongside === undefined, { status, isToRequest }, now);
  if (told !== null) ctx.waitUntil(told);
}
