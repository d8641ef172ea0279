/** What befalls a consumer's object, whatever it is asked: time, crashes, evictions, successors, other plans, a clock that steps. */

import * as fc from "fast-check";
import type { Limit } from "../../src/limits/limit.ts";
import { createDisk, Instance, quotaLimit, rateLimit } from "./life.ts";

/** Half an hour before the end of a month: lives run over it. */
export const LIFE_START = Date.UTC(2026, 10, 30, 23, 30);
export const SLIDING_MS = 20_000;

export type PlanNumbers = {
  readonly burst: number;
  readonly perMinute: number;
  readonly handshake: number;
  readonly sliding: number;
  readonly daily: number;
};

export const planNumbers: fc.Arbitrary<PlanNumbers> = fc.record({
  burst: fc.integer({ min: 1, max: 40 }),
  perMinute: fc.integer({ min: 1, max: 600 }),
  handshake: fc.integer({ min: 1, max: 60 }),
  sliding: fc.integer({ min: 1, max: 60 }),
  daily: fc.integer({ min: 1, max: 200 }),
});

export function limitsOf(plan: PlanNumbers): Limit[] {
  return [
    rateLimit({ burst: plan.burst, perMinute: plan.perMinute }),
    rateLimit({ burst: plan.handshake, perMinute: plan.handshake, slot: "handshake" }),
    quotaLimit({ calls: plan.sliding, per: SLIDING_MS }),
    quotaLimit({ calls: plan.daily, per: "day" }),
  ];
}

export type Happening =
  | { readonly kind: "nap"; readonly ms: number }
  /** Memory is lost, and a new instance starts from the row. */
  | { readonly kind: "crash" }
  /** The quiet timer fires, then the object is evicted. */
  | { readonly kind: "evict" }
  /** A new instance starts while the old one goes on answering those who still reach it. */
  | { readonly kind: "supersede" }
  | { readonly kind: "plan"; readonly which: number }
  | { readonly kind: "clock"; readonly ms: number };

export const aCrash: fc.Arbitrary<Happening> = fc.constant({ kind: "crash" });
export const anEviction: fc.Arbitrary<Happening> = fc.constant({ kind: "evict" });
export const aSuccession: fc.Arbitrary<Happening> = fc.constant({ kind: "supersede" });
export const aPlanChange: fc.Arbitrary<Happening> = fc.record({ kind: fc.constant("plan" as const), which: fc.nat(2) });

/** Steps of the clock back and forward, each range of them as likely as the next. */
export function clockStepsWithin(...mostMs: readonly number[]): fc.Arbitrary<Happening> {
  const ms = fc.oneof(...mostMs.map((most) => fc.integer({ min: -most, max: most })));
  return fc.record({ kind: fc.constant("clock" as const), ms });
}

/** One of what there has been, by any number; undefined when there was nothing. */
export function pickOne<T>(from: readonly T[], which: number): T | undefined {
  return from[which % Math.max(1, from.length)];
}

/** From `from` on, the object worked with these numbers of a bucket. */
export interface InForce {
  readonly slot: string;
  readonly from: number;
  readonly burst: number;
  readonly perMinute: number;
}

export class World {
  now = LIFE_START;
  /** The object's clock without its steps back: where a step goes back, no time passes. */
  elapsed = 0;
  plan: PlanNumbers;
  readonly inForce: InForce[] = [];
  readonly #plans: readonly PlanNumbers[];
  readonly #disk = createDisk();
  current = new Instance(this.#disk);
  #old: Instance | null = null;
  #seenAt = this.now;

  constructor(plans: readonly PlanNumbers[]) {
    this.#plans = plans;
    this.plan = plans[0]!;
  }

  /** Who answers: a superseded instance only whom it still reaches, and only as long as there is one. */
  findInstance({ toOld = false }: { readonly toOld?: boolean }): Instance | null {
    return toOld ? this.#old : this.current;
  }

  listInstances(): readonly Instance[] {
    return this.#old ? [this.current, this.#old] : [this.current];
  }

  /** Its row cannot be written: callers get an error, and it is over with that instance. */
  endOld(): void {
    this.#old = null;
  }

  /** The object reads its clock. */
  observe(): void {
    this.elapsed += Math.max(0, this.now - this.#seenAt);
    this.#seenAt = this.now;
  }

  noteInForce(slot: string, burst: number, perMinute: number): void {
    const known = this.inForce.findLast((entry) => entry.slot === slot);
    if (known?.burst !== burst || known.perMinute !== perMinute) this.inForce.push({ slot, from: this.elapsed, burst, perMinute });
  }

  undergo(happening: Happening): void {
    switch (happening.kind) {
      case "nap":
      case "clock":
        this.now += happening.ms;
        break;
      case "crash":
        this.current = new Instance(this.#disk);
        break;
      case "evict":
        // The timer reads the clock as well.
        this.observe();
        this.current.flush(this.now);
        this.current = new Instance(this.#disk);
        break;
      case "supersede":
        this.#old = this.current;
        this.#old.isSuperseded = true;
        this.current = new Instance(this.#disk);
        break;
      case "plan":
        this.plan = this.#plans[happening.which % this.#plans.length]!;
        break;
    }
  }
}
