/** What is left to do once the origin has answered, or has not: after the answer, never before it. */

import { refundConsumer } from "../durable-objects/ask-consumer.ts";
import type { Decision } from "./ask.ts";
import type { Passage } from "./passage.ts";

export type Pass = Decision & { readonly kind: "pass" };

/** The origin never had the call: whoever was charged for it gets it back. */
export function giveBack({ ctx, env }: Passage, { caller, ticket, alongside }: Pass): void {
  if (ticket !== null) ctx.waitUntil(refundConsumer(env.CONSUMERS, caller.id, ticket));
  if (alongside && alongside.ticket !== null) ctx.waitUntil(refundConsumer(env.CONSUMERS, alongside.caller.id, alongside.ticket));
}

/** What the origin's answer tells of a bearer: that it takes the token, or no longer does. */
export function learnOfBearer({ ctx, env, gate, messages }: Passage, { caller, alongside }: Pass, status: number, now: number): void {
  if (caller.kind !== "bearer") return;
  const isToRequest = messages.some((message) => message.kind === "request");
  const told = gate.acceptances.learn(env.CONSUMERS, caller.id, alongside === undefined, { status, isToRequest }, now);
  if (told !== null) ctx.waitUntil(told);
}
