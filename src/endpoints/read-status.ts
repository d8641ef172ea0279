/** What a caller has of each limit, and of prepaid calls. */

import { readConsumerStatus } from "../../durable-objects/ask-consumer.ts";
import type { ConsumerStatus as StoredStatus } from "../../durable-objects/consumer.ts";
import type { Terms } from "../limits/terms.ts";
import { NO_PAYMENT } from "../passage/shop.ts";
import { unavailableAnswer } from "../refusals/gate-errors.ts";
import { quantityOf, type MeteredLimit, tightestFirst, windowSecondsOf } from "../refusals/ratelimit-fields.ts";
import type { Known, Visit } from "./caller.ts";
import { type Done, failed } from "./done.ts";

/** The numbers of the `RateLimit` fields, and prepaid calls. */
export interface Status {
  readonly consumer: string;
  readonly plan: string;
  /** The tightest first. */
  readonly limits: readonly {
    readonly name: string;
    readonly quota: number;
    readonly windowSeconds: number;
    readonly remaining: number;
    readonly resetSeconds: number;
  }[];
  readonly credits: number;
}

export async function readStatus({ env, request, gate }: Visit, { caller, terms }: Known): Promise<Done<Status>> {
  const shown = gate.shop ? await gate.shop.look(request, [], gate, env) : NO_PAYMENT;
  const stored = await readConsumerStatus(env.CONSUMERS, caller.id, terms.limitsText, shown.kind === "paid" ? shown.paid.paymentHash : "");
  if (!stored) return failed(unavailableAnswer());
  const now = Date.now();
  const limits = tightestFirst(meteredIn(terms, stored)).map(({ limit, meter }) => ({
    name: limit.name,
    quota: quantityOf(limit),
    windowSeconds: windowSecondsOf(limit, now),
    remaining: meter.remaining,
    resetSeconds: Math.ceil(meter.resetMs / 1_000),
  }));
  return { ok: true, value: { consumer: caller.id, plan: terms.plan, limits, credits: stored.credits } };
}

function meteredIn(terms: Terms, { meters, slots }: StoredStatus): MeteredLimit[] {
  const atOnce = [
    ...(terms.concurrency ? [{ limit: terms.concurrency, inUse: slots.calls }] : []),
    { limit: terms.streams, inUse: slots.streams },
  ];
  return [
    ...terms.limits.map((limit, i) => ({ limit, meter: meters[i]! })),
    ...atOnce.map(({ limit, inUse }) => ({ limit, meter: { remaining: Math.max(0, limit.calls - inUse), resetMs: 0 } })),
  ];
}
