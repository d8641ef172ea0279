/**
 * A consumer's object without the object: the account, its row, and what the shell around them promises (durable-objects/
 * consumer.ts): the row is written before an answer leaves whenever memory is beyond it, and exactly when it has been quiet.
 */

import { type Account, createAccount, keepUpWithClock, refund } from "../../src/limits/account.ts";
import { ask } from "../../src/limits/ask.ts";
import { type ForeignBill, spendFor } from "../../src/limits/bill.ts";
import { redeem, type Redeemed, type Redemption } from "../../src/limits/credits.ts";
import { type Charge, type Limit, type LoopKind, type Payment, UNPAYABLE, type Verdict, type Watch } from "../../src/limits/limit.ts";
import { oweResend, ticketOf } from "../../src/limits/paid-calls.ts";
import { type Ahead, isBeyond, restore, store, type StoredAccount } from "../../src/limits/stored-account.ts";

export interface Disk {
  row: StoredAccount | null;
  /** Payments that have become credits (durable-objects/sales.ts). */
  readonly paid: Set<string>;
  writes: number;
}

export function createDisk(): Disk {
  return { row: null, paid: new Set(), writes: 0 };
}

/** What was given back. */
export interface GivenBack {
  /** The tokens of an admission, or else only what credits have paid. */
  readonly isAdmission: boolean;
  readonly isPaid: boolean;
}

let instances = 0;
/** Far enough apart for the tickets of two instances never to meet. */
const TICKETS_APART = 1_000_000;

export class Instance {
  readonly account: Account;
  /** A newer instance has taken over: what this one would write goes nowhere. */
  isSuperseded = false;
  readonly #disk: Disk;
  #ahead: Ahead;
  #isDirty = false;

  constructor(disk: Disk) {
    this.#disk = disk;
    this.account = createAccount(++instances * TICKETS_APART);
    if (disk.row) restore(this.account, structuredClone(disk.row));
    this.#ahead = store(this.account, 0).ahead;
  }

  /** @returns null when the answer could not leave, because what it hands out could not be written */
  ask(limits: readonly Limit[], charges: readonly Charge[], maxWaitMs: number, now: number, payment: Payment = UNPAYABLE): Verdict | null {
    const verdict = ask(this.account, limits, charges, maxWaitMs, now, payment);
    const ticket = verdict.kind === "admit" ? verdict.ticket : undefined;
    if (!isBeyond(this.account, this.#ahead)) this.#isDirty ||= ticket !== undefined;
    else if (!this.#write(now, ticket)) return null;
    return verdict;
  }

  /** @returns null as for `ask` */
  refund(ticket: number, now: number): GivenBack | null {
    // A clock that went back makes it forget admissions: that is not giving them back.
    keepUpWithClock(this.account, now);
    const { admissions, credits } = this.account;
    const before = { admissions: admissions.length, paidCalls: ticketsIn(credits) };
    refund(this.account, ticket, now);
    if (!this.#cover(now)) return null;
    this.#isDirty = true;
    const isPaid = before.paidCalls.has(ticket) && !ticketsIn(credits).has(ticket);
    return { isAdmission: admissions.length < before.admissions, isPaid };
  }

  /** @returns as `refund` */
  undo(attempt: number, now: number): GivenBack | null {
    const ticket = ticketOf(this.account.credits, attempt);
    return ticket === null ? { isAdmission: false, isPaid: false } : this.refund(ticket, now);
  }

  /** @returns the id of the credit that pays for sending the call again; null when there is none, or as for `ask` */
  oweResend(ticket: number, now: number): string | null {
    keepUpWithClock(this.account, now);
    const { open } = this.account.credits;
    const before = new Set(open.keys());
    oweResend(this.account.credits, ticket, now);
    if (!this.#cover(now)) return null;
    return [...open.keys()].find((id) => !before.has(id)) ?? null;
  }

  /** @returns null as for `ask` */
  redeem(redemption: Redemption, now: number): Redeemed | null {
    keepUpWithClock(this.account, now);
    const { id, payment } = redemption;
    if (payment && this.#disk.paid.has(id)) return { ok: false, why: "replayed" };
    const redeemed = redeem(this.account.credits, redemption, now);
    if (!this.#cover(now)) return null;
    if (payment && redeemed.ok) this.#disk.paid.add(id);
    return redeemed;
  }

  /** @returns the ticket, or null when there is not enough, or as for `ask` */
  spend(bill: ForeignBill, now: number): number | null {
    const ticket = spendFor(this.account, bill, now);
    return this.#cover(now) ? ticket : null;
  }

  /** What would start from the row if this instance were gone. */
  afterCrash(): Instance {
    return new Instance(structuredClone(this.#disk));
  }

  /** What the timer does after some quiet seconds. */
  flush(now: number): void {
    if (this.#isDirty && !this.isSuperseded) this.#write(now);
  }

  #cover(now: number): boolean {
    return !isBeyond(this.account, this.#ahead) || this.#write(now);
  }

  /** @returns whether it could be written */
  #write(now: number, latest?: number): boolean {
    if (this.isSuperseded) return false;
    const { row, ahead } = store(this.account, now, latest);
    this.#disk.row = structuredClone(row);
    this.#disk.writes++;
    this.#ahead = ahead;
    this.#isDirty = !ahead.isExact;
    return true;
  }
}

function ticketsIn({ paidCalls }: Account["credits"]): Set<number> {
  return new Set(paidCalls.map(({ ticket }) => ticket));
}

export function rateLimit(numbers: {
  burst: number;
  perMinute: number;
  slot?: string;
  mode?: "enforce" | "observe";
}): Limit & { kind: "rate" } {
  const { burst, perMinute, slot = "rate", mode = "enforce" } = numbers;
  return { kind: "rate", slot, name: slot, burst, perMinute, mode };
}

export function quotaLimit(numbers: {
  calls: number;
  per: "day" | "month" | number;
  mode?: "enforce" | "observe";
}): Limit & { kind: "quota" } {
  const { calls, per, mode = "enforce" } = numbers;
  return { kind: "quota", slot: `quota:${per}`, name: `per-${per}`, calls, per, mode };
}

/** One call that falls under the limits whose bits are set. */
export function charge(limits: number, cost = 1, repeat?: { fingerprint: number; allowed: number; windowMs: number }): Charge {
  const watches = repeat ? [watch("identical", repeat.fingerprint, repeat.allowed, repeat.windowMs)] : [];
  return { limits, cost, countedBy: 0, watches };
}

export function watch(
  kind: LoopKind,
  fingerprint: number,
  calls: number,
  windowMs: number,
  mode: "enforce" | "observe" = "enforce",
): Watch {
  return { kind, fingerprint, calls, windowMs, mode };
}
