/**
 * An account (src/limits/account.ts) kept in an object's storage: read the row, let a function decide, write the row when it
 * must be written. Each object that counts is a thin shell around one of these.
 *
 * Nothing here awaits between the first read and the last write, so calls never interleave and need no lock.
 */

import { type Account, createAccount } from "../src/limits/account.ts";
import type { Verdict } from "../src/limits/limit.ts";
import { type Ahead, forgettableAt, isBeyond, restore, store, type StoredAccount } from "../src/limits/stored-account.ts";

/** Objects forget after some ten idle seconds; by then the row must say exactly what memory said. */
const QUIET_MS = 5_000;
/** An alarm costs a row too: one a minute at the most. */
const ALARM_AT_LEAST_MS = 60_000;
/** An alarm whose handler kept failing is gone after six retries: later than this it is set anew. */
const ALARM_LOST_AFTER_MS = 600_000;
/** Tickets of two instances of one object must not meet: each instance starts its own at a random one. */
const TICKET_RANGE = 2 ** 48;

const ACCOUNT = "account";

/** What an object keeps in the row beside the account. */
export interface Rest<T> {
  /** To start from: in a new instance (undefined when nothing is stored), and after a write that failed. */
  load(stored: T | undefined): void;
  /** What to store; exactly as it is when `isExact`, or with what the next calls may need. Undefined when there is nothing. */
  save(now: number, isExact: boolean): T | undefined;
  /** Whether the row, written with `stored`, still covers what is in memory. */
  isCovered(stored: T | undefined, now: number): boolean;
  /** When it says nothing any more. */
  forgettableAt(now: number): number;
}

type StoredRow<T> = StoredAccount & { readonly alarmAt: number; readonly rest?: T };

export class KeptAccount<T> {
  readonly #storage: DurableObjectStorage;
  readonly #rest: Rest<T>;
  #account!: Account;
  #ahead!: Ahead;
  #storedRest: T | undefined;
  #alarmAt = 0;
  #isDirty = false;
  #lastCallAt = 0;
  #quietTimer: number | null = null;

  constructor(storage: DurableObjectStorage, rest: Rest<T>) {
    this.#storage = storage;
    this.#rest = rest;
    this.load();
  }

  get account(): Account {
    return this.#account;
  }

  /** A number that no other admission or lease of this object has. */
  nextTicket(): number {
    return this.#account.nextTicket++;
  }

  /** Starts from what is stored. */
  load(): void {
    const row = this.#storage.kv.get<StoredRow<T>>(ACCOUNT);
    this.#account = createAccount(Math.floor(Math.random() * TICKET_RANGE));
    if (row) restore(this.#account, row);
    this.#rest.load(row?.rest);
    this.#storedRest = row?.rest;
    this.#ahead = store(this.#account, 0).ahead;
    this.#alarmAt = row?.alarmAt ?? 0;
    this.#isDirty = false;
  }

  /** Sees to it that what is stored covers what was just decided. */
  record(now: number, verdict: Verdict): void {
    const ticket = verdict.kind === "admit" ? verdict.ticket : undefined;
    if (isBeyond(this.#account, this.#ahead)) this.write(now, ticket);
    else if (ticket !== undefined) this.#isDirty = true;
    if (ticket !== undefined) this.#lastCallAt = now;
    if (this.#isDirty) this.#flushWhenQuiet();
  }

  /** The same for what was decided without a verdict. */
  recordChange(now: number): void {
    if (isBeyond(this.#account, this.#ahead)) this.write(now, null);
  }

  /** The same for what is kept beside the account. */
  recordRest(now: number): void {
    if (!this.#rest.isCovered(this.#storedRest, now)) this.write(now, null);
    this.#isDirty = true;
    this.#lastCallAt = now;
    this.#flushWhenQuiet();
  }

  /** Something was stored beside the row: the alarm that will delete it must be set. */
  seeToAlarm(now: number): void {
    if (this.#alarmAt === 0) this.write(now);
  }

  /** Something was given back: what is stored says too much, which the next quiet time sets right. A credit is stored at once. */
  noteGivenBack(now: number): void {
    this.recordChange(now);
    this.#isDirty = true;
    this.#flushWhenQuiet();
  }

  /**
   * Writes the row. When that fails, nothing was stored, so nothing was taken: it throws, and the caller of the object is told
   * that it could not be asked.
   * @param latest the ticket of the admission that is being written, or null when it is not about one: what is stored
   * then runs ahead. Left out, it says exactly what memory says.
   */
  write(now: number, latest?: number | null): void {
    try {
      const isExact = latest === undefined;
      const { row, ahead } = store(this.#account, now, latest ?? undefined);
      const rest = this.#rest.save(now, isExact);
      if (this.#alarmAt === 0 || this.#alarmAt + ALARM_LOST_AFTER_MS < now) this.#setAlarm(this.#forgettableAt(now), now);
      this.#storage.kv.put(ACCOUNT, { ...row, alarmAt: this.#alarmAt, ...(rest === undefined ? {} : { rest }) } satisfies StoredRow<T>);
      this.#ahead = ahead;
      this.#storedRest = rest;
      this.#isDirty = !ahead.isExact || (rest !== undefined && !isExact);
    } catch (error) {
      this.load();
      throw error;
    }
  }

  /**
   * The object's alarm: deletes everything once nothing says anything any more.
   * @param keepUntil what else the object still needs
   */
  async clean(now: number, keepUntil = 0): Promise<void> {
    const at = Math.max(this.#forgettableAt(now), keepUntil);
    if (at > now) {
      this.#setAlarm(at, now);
      this.write(now);
      return;
    }
    clearTimeout(this.#quietTimer);
    this.#quietTimer = null;
    await this.#storage.deleteAll();
    this.load();
  }

  #setAlarm(at: number, now: number): void {
    this.#alarmAt = Math.max(at, now + ALARM_AT_LEAST_MS);
    void this.#storage.setAlarm(this.#alarmAt);
  }

  #forgettableAt(now: number): number {
    return Math.max(forgettableAt(this.#account, now), this.#rest.forgettableAt(now));
  }

  /** One timer, which looks again when calls have come since it was set. */
  #flushWhenQuiet(afterMs = QUIET_MS): void {
    this.#quietTimer ??= setTimeout(() => {
      this.#quietTimer = null;
      if (!this.#isDirty) return;
      const now = Date.now();
      const leftMs = this.#lastCallAt + QUIET_MS - now;
      if (leftMs > 0) this.#flushWhenQuiet(Math.min(leftMs, QUIET_MS));
      else this.write(now);
    }, afterMs);
  }
}
