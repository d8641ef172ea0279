/**
 * One consumer: its buckets, windows and repeats, and the newest record of its keys. A thin shell around
 * src/limits/account.ts: read the row, call the function, write the row when it must be written.
 *
 * `ask` has no await between its first read and its last write, so calls never interleave and need no lock. Storage is
 * three rows: "account" (src/limits/stored-account.ts), "keys" (pushed by the admin API) and "accepted" (the origin takes this
 * bearer's token). An alarm deletes them once they say nothing any more.
 */

import { DurableObject } from "cloudflare:workers";
import { type Account, ask, createAccount, refund } from "../src/limits/account.ts";
import type { Limit, Verdict } from "../src/limits/limit.ts";
import { type Ahead, forgettableAt, isBeyond, restore, store, type StoredAccount } from "../src/limits/stored-account.ts";
import { decodeLimits, decodeQuestion, encodeAnswer } from "./consumer-rpc.ts";

/** Objects forget after some ten idle seconds; by then the row must say exactly what memory said. */
const QUIET_MS = 5_000;
/** An alarm costs a row too: one a minute at the most. */
const ALARM_AT_LEAST_MS = 60_000;
/** An alarm whose handler kept failing is gone after six retries: later than this it is set anew. */
const ALARM_LOST_AFTER_MS = 600_000;
/** KV takes a minute or more to tell everywhere; for this long a pushed record outranks it. */
const PUSHED_RECORD_RULES_MS = 300_000;
const PUSHED_RECORD_KEPT_MS = 600_000;
/** The life of a usual access token: its holder may be idle that long, and is then still no stranger. */
const ACCEPTED_KEPT_MS = 3_600_000;
/** Tickets of two instances of one object must not meet: each instance starts its own at a random one. */
const TICKET_RANGE = 2 ** 48;

const ACCOUNT = "account";
const KEYS = "keys";
const ACCEPTED = "accepted";

interface StoredRow extends StoredAccount {
  readonly alarmAt: number;
}

interface PushedRecord {
  readonly record: string;
  readonly version: number;
  readonly pushedAt: number;
}

export class Consumer extends DurableObject {
  #account!: Account;
  #ahead!: Ahead;
  #alarmAt = 0;
  #keys: Record<string, PushedRecord> = {};
  #limitsText = "";
  #limits: readonly Limit[] = [];
  #isDirty = false;
  #lastCallAt = 0;
  #quietTimer: number | null = null;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as Cloudflare.Env);
    this.#load();
  }

  /**
   * May a POST pass? See consumer-rpc.ts for the two texts and the answer.
   * @param limitsText `Terms.limitsText`, the same text for as long as the consumer's terms are the same
   */
  ask(limitsText: string, questionText: string): string {
    const now = Date.now();
    const { keyId, keyVersion, maxWaitMs, charges } = decodeQuestion(questionText);
    const newer = this.newerRecord(keyId, keyVersion);
    if (newer !== null) return encodeAnswer({ kind: "stale", record: newer });
    if (limitsText !== this.#limitsText) {
      this.#limits = decodeLimits(limitsText);
      this.#limitsText = limitsText;
    }
    const verdict = ask(this.#account, this.#limits, charges, maxWaitMs, now);
    this.#record(now, verdict);
    return encodeAnswer(verdict);
  }

  /** Gives back what the admission with this ticket took: the origin never had the call. Unknown tickets are ignored. */
  refund(ticket: number): void {
    refund(this.#account, ticket, Date.now());
    this.#isDirty = true;
    this.#flushWhenQuiet();
  }

  /** The record of a key that was pushed here and that KV may not tell yet; null when the caller's is as new. */
  newerRecord(keyId: string, version: number): string | null {
    const pushed = this.#keys[keyId];
    const rules = pushed && pushed.version > version && Date.now() - pushed.pushedAt < PUSHED_RECORD_RULES_MS;
    return rules ? pushed.record : null;
  }

  /** Takes note of a key's record that KV may not tell everywhere yet. */
  pushKey(keyId: string, version: number, record: string): void {
    const now = Date.now();
    const kept = Object.entries(this.#keys).filter(([, key]) => now - key.pushedAt < PUSHED_RECORD_KEPT_MS);
    const keys = { ...Object.fromEntries(kept), [keyId]: { record, version, pushedAt: now } };
    this.ctx.storage.transactionSync(() => {
      this.ctx.storage.kv.put(KEYS, keys);
      this.#write(now);
    });
    this.#keys = keys;
  }

  /** Whether the origin has accepted this bearer's token, and not refused it since. */
  isAccepted(): boolean {
    return this.#acceptedAt() !== undefined;
  }

  /** The origin has accepted this bearer's token. */
  accept(): void {
    const now = Date.now();
    const acceptedAt = this.#acceptedAt() ?? -Infinity;
    if (acceptedAt <= now && now - acceptedAt < ACCEPTED_KEPT_MS / 2) return;
    this.ctx.storage.transactionSync(() => {
      this.ctx.storage.kv.put(ACCEPTED, now);
      this.#write(now);
    });
  }

  /** The origin no longer accepts it. */
  unaccept(): void {
    if (this.isAccepted()) this.ctx.storage.kv.delete(ACCEPTED);
  }

  #acceptedAt(): number | undefined {
    return this.ctx.storage.kv.get<number>(ACCEPTED);
  }

  override async alarm(): Promise<void> {
    const now = Date.now();
    const keysUntil = Object.values(this.#keys).map((key) => key.pushedAt + PUSHED_RECORD_KEPT_MS);
    const acceptedUntil = (this.#acceptedAt() ?? -Infinity) + ACCEPTED_KEPT_MS;
    const at = Math.max(forgettableAt(this.#account, now), acceptedUntil, ...keysUntil);
    if (at > now) {
      this.#setAlarm(Math.max(at, now + ALARM_AT_LEAST_MS));
      this.#write(now);
      return;
    }
    clearTimeout(this.#quietTimer);
    this.#quietTimer = null;
    await this.ctx.storage.deleteAll();
    this.#load();
  }

  /** Starts from what is stored: in a new instance, and after a write that failed. */
  #load(): void {
    const row = this.ctx.storage.kv.get<StoredRow>(ACCOUNT);
    this.#account = createAccount(Math.floor(Math.random() * TICKET_RANGE));
    if (row) restore(this.#account, row);
    this.#ahead = store(this.#account, 0).ahead;
    this.#alarmAt = row?.alarmAt ?? 0;
    this.#keys = this.ctx.storage.kv.get<Record<string, PushedRecord>>(KEYS) ?? {};
    this.#isDirty = false;
  }

  /** Sees to it that what is stored covers what was just decided. */
  #record(now: number, verdict: Verdict): void {
    const ticket = verdict.kind === "admit" ? verdict.ticket : undefined;
    if (isBeyond(this.#account, this.#ahead)) this.#write(now, ticket);
    else if (ticket !== undefined) this.#isDirty = true;
    if (ticket !== undefined) this.#lastCallAt = now;
    if (this.#isDirty) this.#flushWhenQuiet();
  }

  #write(now: number, latest?: number): void {
    try {
      const { row, ahead } = store(this.#account, now, latest);
      if (this.#alarmAt === 0 || this.#alarmAt + ALARM_LOST_AFTER_MS < now) {
        this.#setAlarm(Math.max(forgettableAt(this.#account, now), now + ALARM_AT_LEAST_MS));
      }
      this.ctx.storage.kv.put(ACCOUNT, { ...row, alarmAt: this.#alarmAt } satisfies StoredRow);
      this.#ahead = ahead;
      this.#isDirty = !ahead.isExact;
    } catch (error) {
      // Nothing was stored, so nothing was taken: the caller is told that the object could not be asked.
      this.#load();
      throw error;
    }
  }

  #setAlarm(at: number): void {
    this.#alarmAt = at;
    void this.ctx.storage.setAlarm(at);
  }

  /** One timer, which looks again when calls have come since it was set. */
  #flushWhenQuiet(afterMs = QUIET_MS): void {
    this.#quietTimer ??= setTimeout(() => {
      this.#quietTimer = null;
      if (!this.#isDirty) return;
      const now = Date.now();
      const leftMs = this.#lastCallAt + QUIET_MS - now;
      if (leftMs > 0) this.#flushWhenQuiet(Math.min(leftMs, QUIET_MS));
      else this.#write(now);
    }, afterMs);
  }
}
