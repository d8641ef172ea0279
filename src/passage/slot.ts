/** A slot of a consumer's, as the gate holds it: a lease, which is renewed in time for as long as it is kept. */

import { acquireSlots, type ConsumerNamespace, renewSlots, returnSlots } from "../../durable-objects/ask-consumer.ts";
import type { SlotKind } from "../../durable-objects/consumer.ts";
import type { LeaseTicket } from "../limits/slots.ts";

/** Renewed when this part of the lease is over: one renewal may fail. */
const RENEW_AFTER = 1 / 3;

export type SlotTaken =
  | { readonly kind: "lent"; readonly slot: Slot; readonly inUse: number }
  | { readonly kind: "full"; readonly estimateMs: number }
  /** The object cannot be asked. */
  | { readonly kind: "unasked" };

export async function takeSlot(
  consumers: ConsumerNamespace,
  consumer: string,
  kind: SlotKind,
  units: number,
  most: number,
  maxWaitMs: number,
): Promise<SlotTaken> {
  const answer = await acquireSlots(consumers, consumer, kind, units, most, maxWaitMs);
  if (answer === null) return { kind: "unasked" };
  if (answer.kind === "full") return answer;
  return { kind: "lent", slot: new Slot(consumers, consumer, kind, answer.lease), inUse: answer.inUse };
}

export class Slot {
  readonly #consumers: ConsumerNamespace;
  readonly #consumer: string;
  readonly #kind: SlotKind;
  #lease: LeaseTicket;
  #timer: ReturnType<typeof setTimeout> | null;

  constructor(consumers: ConsumerNamespace, consumer: string, kind: SlotKind, lease: LeaseTicket) {
    this.#consumers = consumers;
    this.#consumer = consumer;
    this.#kind = kind;
    this.#lease = lease;
    this.#timer = this.#renewInTime();
  }

  /** Gives the slot back. More than once is once. */
  async giveBack(): Promise<void> {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    await returnSlots(this.#consumers, this.#consumer, this.#kind, this.#lease);
  }

  #renewInTime(): ReturnType<typeof setTimeout> {
    return setTimeout(() => void this.#renew(), this.#lease.forMs * RENEW_AFTER);
  }

  async #renew(): Promise<void> {
    const renewed = await renewSlots(this.#consumers, this.#consumer, this.#kind, this.#lease);
    if (this.#timer === null) return;
    if (renewed) this.#lease = renewed;
    this.#timer = this.#renewInTime();
  }
}
