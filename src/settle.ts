/** After the answer, never before it: what the origin did not get is given back, and slots are. */

import { refundConsumer } from "../durable-objects/ask-consumer.ts";
import { refundOriginQuota } from "../durable-objects/ask-origin-quota.ts";
import type { Pass } from "./decision.ts";
import type { Passage } from "./passage.ts";
import { giveSlotsBack } from "./slots.ts";

/** Everything that a call took: the origin never had it. */
export function giveBack(passage: Passage, pass: Pass): void {
  const { ctx, env } = passage;
  const { caller, ticket, originTicket, slots } = pass;
  if (ticket !== null) ctx.waitUntil(refundConsumer(env.CONSUMERS, caller.id, ticket));
  if (originTicket !== null && env.ORIGIN_QUOTAS) {
    ctx.waitUntil(refundOriginQuota(env.ORIGIN_QUOTAS, originTicket.credential, originTicket.ticket));
  }
  giveSlotsBack(passage, slots);
}
