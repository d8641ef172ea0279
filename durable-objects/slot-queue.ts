/**
 * The slots of one consumer of one kind, and those who wait for them: first come, first served. A queue cannot live in the
 * synchronous `ask`, so a slot is asked for by an RPC of its own, before the other limits.
 */

import {
  createSlots,
  estimateWait,
  giveSlotsBack,
  type LeaseTicket,
  nextRunOut,
  renewSlots,
  shiftSlots,
  type Slots,
  slotsInUse,
  type StoredSlots,
  takeSlots,
} from "../src/limits/slots.ts";

export type SlotAnswer =
  | { readonly kind: "lent"; readonly lease: LeaseTicket; readonly inUse: number }
  /** `estimateMs` is a guess: nobody knows how long calls take. */
  | { readonly kind: "full"; readonly estimateMs: number };

interface Waiter {
  readonly units: number;
  /** Keys of one owner may be on different plans, and plans change: those who wait together need not have the same number. */
  readonly most: number;
  deadline: number;
  readonly answer: (answer: SlotAnswer) => void;
  readonly fail: (error: unknown) => void;
}

/** A queue longer than this is a flood: those behind it are told at once. */
const MAX_WAITERS = 1_000;

export class SlotQueue {
  #slots: Slots = createSlots();
  #waiters: Waiter[] = [];
  #timer: number | null = null;
  #seenAt = 0;
  readonly #nextId: () => number;
  readonly #onChange: (now: number) => void;

  /**
   * @param nextId a number that no lease of another instance has
   * @param onChange called when slots were lent or given back, before anybody is told; it may throw
   */
  constructor(nextId: () => number, onChange: (now: number) => void) {
    this.#nextId = nextId;
    this.#onChange = onChange;
  }

  get slots(): Slots {
    return this.#slots;
  }

  load(stored: StoredSlots | undefined): void {
    this.#slots = createSlots(stored);
  }

  acquire(units: number, most: number, maxWaitMs: number, now: number): SlotAnswer | Promise<SlotAnswer> {
    this.#keepUpWithClock(now);
    // Whoever came first is served first, but for those who wait because their own number is smaller.
    const lease = this.#waiters.some((waiter) => waiter.most >= most) ? null : this.#take(units, most, now);
    if (lease) return lease;
    if (maxWaitMs <= 0 || this.#waiters.length >= MAX_WAITERS) return this.#full(units, most, this.#waiters);
    return new Promise((answer, fail) => {
      this.#waiters.push({ units, most, deadline: now + maxWaitMs, answer, fail });
      this.#wakeInTime(now);
    });
  }

  /** @returns null when the lease has run out */
  renew(ticket: LeaseTicket, now: number): LeaseTicket | null {
    this.#keepUpWithClock(now);
    const renewed = renewSlots(this.#slots, ticket, now);
    if (renewed) this.#onChange(now);
    return renewed;
  }

  giveBack(ticket: LeaseTicket, now: number): void {
    this.#keepUpWithClock(now);
    giveSlotsBack(this.#slots, ticket, now);
    this.#onChange(now);
    this.#serve(now);
  }

  #take(units: number, most: number, now: number): (SlotAnswer & { kind: "lent" }) | null {
    const lease = takeSlots(this.#slots, this.#nextId(), units, most, now);
    if (!lease) return null;
    this.#onChange(now);
    return { kind: "lent", lease, inUse: slotsInUse(this.#slots, now) };
  }

  #serve(now: number): void {
    this.#keepUpWithClock(now);
    const waiting: Waiter[] = [];
    /** The largest number that is reached: behind it waits everybody whose number is not larger. */
    let reached = 0;
    for (const waiter of this.#waiters) {
      const { units, most, deadline } = waiter;
      try {
        const lent = deadline <= now || most <= reached ? null : this.#take(units, most, now);
        if (lent) {
          waiter.answer(lent);
        } else if (deadline <= now) {
          waiter.answer(this.#full(units, most, waiting));
        } else {
          reached = Math.max(reached, most);
          waiting.push(waiter);
        }
      } catch (error) {
        // It could not be stored: whoever asked is told so, and the others still have their turn.
        waiter.fail(error);
      }
    }
    this.#waiters = waiting;
    this.#wakeInTime(now);
  }

  #full(units: number, most: number, ahead: readonly Waiter[]): SlotAnswer {
    const unitsAhead = ahead.reduce((sum, waiter) => sum + waiter.units, 0);
    return { kind: "full", estimateMs: estimateWait(this.#slots, units, unitsAhead, most) };
  }

  #keepUpWithClock(now: number): void {
    const byMs = this.#seenAt - now;
    if (byMs > 0) {
      shiftSlots(this.#slots, byMs);
      for (const waiter of this.#waiters) waiter.deadline -= byMs;
    }
    this.#seenAt = now;
  }

  /** While somebody waits: at the first deadline, or when a lease runs out. */
  #wakeInTime(now: number): void {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#waiters.length === 0) return;
    const at = Math.min(nextRunOut(this.#slots), ...this.#waiters.map(({ deadline }) => deadline));
    this.#timer = setTimeout(() => this.#serve(Date.now()), Math.max(1, at - now));
  }
}
