/**
 * One consumer: its buckets, windows, loops and slots, and the newest record of its keys. A thin shell around
 * src/limits/account.ts and src/limits/slots.ts, kept in one row (kept-account.ts).
 *
 * Storage is a few rows: "account" (src/limits/stored-account.ts), "keys" (pushed by the admin API), "accepted" (the origin
 * takes this bearer's token), and those of sales.ts. An alarm deletes them once they say nothing any more.
 */

import { DurableObject } from "cloudflare:workers";
import { keepUpWithClock, refund } from "../src/limits/account.ts";
import { ask, readMeters } from "../src/limits/ask.ts";
import { type ForeignBill, spendFor } from "../src/limits/bill.ts";
import { creditLeft, hasRoomToBuy, redeem, type Redeemed, type Redemption } from "../src/limits/credits.ts";
import type { Limit, Meter } from "../src/limits/limit.ts";
import { oweResend, ticketOf } from "../src/limits/paid-calls.ts";
import { coversSlots, exactSlots, type LeaseTicket, NO_SLOTS, slotsAhead, slotsInUse, type StoredSlots } from "../src/limits/slots.ts";
import { decodeLimits, decodeQuestion, encodeAnswer } from "./consumer-rpc.ts";
import { KeptAccount } from "./kept-account.ts";
import { type Order, type Sale, type SaleOffer, Sales } from "./sales.ts";
import { SlotQueue } from "./slot-queue.ts";

/** KV takes a minute or more to tell everywhere; for this long a pushed record outranks it. */
const PUSHED_RECORD_RULES_MS = 300_000;
const PUSHED_RECORD_KEPT_MS = 600_000;
/** The life of a usual access token: its holder may be idle that long, and is then still no stranger. */
const ACCEPTED_KEPT_MS = 3_600_000;
/** The limits of a plan, and those of some tools with limits of their own: as texts that have been parsed. */
const MAX_PARSED_LIMITS = 16;

const KEYS = "keys";
const ACCEPTED = "accepted";

export type SlotKind = "calls" | "streams";
const SLOT_KINDS: readonly SlotKind[] = ["calls", "streams"];

type StoredQueues = Readonly<Record<SlotKind, StoredSlots>>;

/** `ticket` is null when nothing was taken. */
export interface CreditAnswer {
  readonly ticket: number | null;
  /** Calls that the credit is still good for, and until when; 0 for one that is not there. */
  readonly left: number;
  readonly expiresAt: number;
}

export interface ConsumerStatus {
  readonly meters: readonly Meter[];
  readonly credits: number;
  /** As in a verdict that refuses. */
  readonly solves: number;
  readonly easeMs: number;
  readonly slots: Readonly<Record<SlotKind, number>>;
}

interface PushedRecord {
  readonly record: string;
  readonly version: number;
  readonly pushedAt: number;
}

export class Consumer extends DurableObject {
  readonly #kept: KeptAccount<StoredQueues>;
  readonly #queues: Readonly<Record<SlotKind, SlotQueue>>;
  #keys: Record<string, PushedRecord>;
  readonly #limits = new Map<string, readonly Limit[]>();
  readonly #sales: Sales;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as Cloudflare.Env);
    const queue = (): SlotQueue =>
      new SlotQueue(
        () => this.#kept.nextTicket(),
        (now) => this.#kept.recordRest(now),
      );
    this.#queues = { calls: queue(), streams: queue() };
    this.#kept = new KeptAccount<StoredQueues>(ctx.storage, {
      load: (stored) => {
        for (const kind of SLOT_KINDS) this.#queues[kind].load(stored?.[kind]);
      },
      save: (now, isExact) => this.#saveSlots(now, isExact),
      isCovered: (stored, now) => SLOT_KINDS.every((kind) => coversSlots(stored?.[kind] ?? NO_SLOTS, this.#queues[kind].slots, now)),
      forgettableAt: (now) => Math.max(...SLOT_KINDS.map((kind) => exactSlots(this.#queues[kind].slots, now).until)),
    });
    this.#keys = this.#readKeys();
    this.#sales = new Sales(ctx.storage);
  }

  /**
   * May a POST pass? See consumer-rpc.ts for the two texts and the answer.
   * @param limitsText `LimitSet.limitsText`, the same text for as long as the consumer's terms are the same
   */
  ask(limitsText: string, questionText: string): string {
    const now = Date.now();
    const { keyId, keyVersion, maxWaitMs, charges, payment } = decodeQuestion(questionText);
    const newer = this.newerRecord(keyId, keyVersion);
    if (newer !== null) return encodeAnswer({ kind: "stale", record: newer });
    const verdict = ask(this.#kept.account, this.#parseLimits(limitsText), charges, maxWaitMs, now, payment);
    this.#kept.record(now, verdict);
    return encodeAnswer(verdict);
  }

  /** Gives back what the admission with this ticket took: the origin never had the call. Unknown tickets are ignored. */
  refund(ticket: number): void {
    const now = Date.now();
    refund(this.#kept.account, ticket, now);
    this.#kept.noteGivenBack(now);
  }

  /**
   * The same for what an attempt was paid with, when the answer that told its ticket was lost.
   * @returns whether there was something: the attempt may yet come
   */
  undo(attempt: number): boolean {
    const ticket = ticketOf(this.#kept.account.credits, attempt);
    if (ticket !== null) this.refund(ticket);
    return ticket !== null;
  }

  /** The answer to the paid call with this ticket was cut off: the same call may be sent again once for nothing. */
  oweResend(ticket: number): void {
    const now = Date.now();
    keepUpWithClock(this.#kept.account, now);
    oweResend(this.#kept.account.credits, ticket, now);
    this.#kept.recordChange(now);
  }

  /** Turns a solved challenge into prepaid calls, once. @returns a `Redeemed` as JSON */
  redeem(redemption: Redemption): string {
    const now = Date.now();
    keepUpWithClock(this.#kept.account, now);
    const redeemed = redeem(this.#kept.account.credits, redemption, now);
    this.#kept.recordChange(now);
    return JSON.stringify(redeemed);
  }

  /**
   * The same for a payment, whose id is the payment hash. Redeeming it again changes nothing, and tells what is left of it: its
   * payer may not have had the first answer.
   * @param rememberUntil when the macaroon can be handed in no longer, as it was minted: later than `redeemableUntil` where its
   * holder has made that sooner
   */
  redeemPayment(redemption: Redemption, rememberUntil: number): string {
    const now = Date.now();
    keepUpWithClock(this.#kept.account, now);
    const { id } = redemption;
    const before = this.#redeemedBefore(id, now);
    if (before) return JSON.stringify(before);
    const redeemed = redeem(this.#kept.account.credits, redemption, now);
    if (redeemed.ok) {
      try {
        this.ctx.storage.transactionSync(() => {
          this.#sales.noteRedeemed(id, rememberUntil);
          this.#kept.recordChange(now);
        });
      } catch (error) {
        this.#kept.load();
        this.#sales.load();
        throw error;
      }
    }
    return JSON.stringify(redeemed);
  }

  /** Whether this payment has become a credit before. */
  isRedeemed(paymentHash: string): boolean {
    return this.#redeemedBefore(paymentHash, Date.now()) !== null;
  }

  #redeemedBefore(paymentHash: string, now: number): Redeemed | null {
    const credit = this.#kept.account.credits.open.get(paymentHash);
    // The credit outlives what is remembered of its payment.
    if (credit && credit.expiresAt > now) return { ok: true, isFirst: false, calls: credit.left, expiresAt: credit.expiresAt };
    return this.#sales.isRedeemed(paymentHash) ? { ok: false, why: "replayed" } : null;
  }

  /** An open invoice for what is to be bought, or leave to make one. @returns a `SaleOffer` as JSON */
  async offerSale(order: Order): Promise<string> {
    const hasRoom = hasRoomToBuy(this.#kept.account.credits, Date.now());
    return JSON.stringify(hasRoom ? await this.#sales.offer(order) : ({ kind: "full" } satisfies SaleOffer));
  }

  /** Takes note of an invoice that a gate was to make; null when it could not. */
  keepSale(sale: Sale | null): void {
    if (!sale) {
      this.#sales.endMaking();
      return;
    }
    const now = Date.now();
    this.#sales.keep(sale, now);
    this.#kept.seeToAlarm(now);
  }

  /**
   * Takes units of one credit for what this consumer was not asked about: see limits/bill.ts. With 0 units it only tells.
   * @returns a `CreditAnswer` as JSON
   */
  spend(bill: ForeignBill): string {
    const now = Date.now();
    const ticket = bill.units === 0 ? null : spendFor(this.#kept.account, bill, now);
    this.#kept.recordChange(now);
    const credit = this.#kept.account.credits.open.get(bill.creditId);
    const left = credit && credit.expiresAt > now ? credit.left : 0;
    return JSON.stringify({ ticket, left, expiresAt: credit?.expiresAt ?? 0 } satisfies CreditAnswer);
  }

  /**
   * What this consumer has of each limit, and of prepaid calls.
   * @param shown the credit whose proof was shown; empty for none
   * @returns a `ConsumerStatus` as JSON
   */
  status(limitsText: string, shown: string): string {
    const now = Date.now();
    const { account } = this.#kept;
    keepUpWithClock(account, now);
    const limits = this.#parseLimits(limitsText);
    const { solves } = account.credits;
    const [calls, streams] = SLOT_KINDS.map((kind) => slotsInUse(this.#queues[kind].slots, now));
    return JSON.stringify({
      meters: readMeters(account, limits, (1 << limits.length) - 1, now),
      credits: creditLeft(account.credits, shown, now),
      solves: solves.count,
      easeMs: Math.max(0, Math.ceil(solves.easedAt - now)),
      slots: { calls: calls!, streams: streams! },
    } satisfies ConsumerStatus);
  }

  /**
   * A slot for each call of a POST that is about to be on its way, all or none.
   * @param most how many may be lent at once, these included
   * @param maxWaitMs how long to wait for them
   * @returns a `SlotAnswer` as JSON
   */
  async acquireSlots(kind: SlotKind, units: number, most: number, maxWaitMs: number): Promise<string> {
    return JSON.stringify(await this.#queues[kind].acquire(units, most, maxWaitMs, Date.now()));
  }

  /** @returns the lease, renewed, as JSON; `null` when it has run out */
  renewSlots(kind: SlotKind, ticket: LeaseTicket): string {
    return JSON.stringify(this.#queues[kind].renew(ticket, Date.now()));
  }

  returnSlots(kind: SlotKind, ticket: LeaseTicket): void {
    this.#queues[kind].giveBack(ticket, Date.now());
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
      this.#kept.write(now);
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
      this.#kept.write(now);
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
    const keysUntil = Object.values(this.#keys).map((key) => key.pushedAt + PUSHED_RECORD_KEPT_MS);
    const acceptedUntil = (this.#acceptedAt() ?? -Infinity) + ACCEPTED_KEPT_MS;
    const now = Date.now();
    await this.#kept.clean(now, Math.max(this.#sales.clean(now), acceptedUntil, ...keysUntil));
    this.#keys = this.#readKeys();
    this.#sales.load();
  }

  #saveSlots(now: number, isExact: boolean): StoredQueues | undefined {
    const [calls, streams] = SLOT_KINDS.map((kind) => (isExact ? exactSlots : slotsAhead)(this.#queues[kind].slots, now));
    return calls!.units === 0 && streams!.units === 0 ? undefined : { calls: calls!, streams: streams! };
  }

  #readKeys(): Record<string, PushedRecord> {
    return this.ctx.storage.kv.get<Record<string, PushedRecord>>(KEYS) ?? {};
  }

  #parseLimits(text: string): readonly Limit[] {
    let limits = this.#limits.get(text);
    if (!limits) {
      if (this.#limits.size >= MAX_PARSED_LIMITS) this.#limits.clear();
      limits = decodeLimits(text);
      this.#limits.set(text, limits);
    }
    return limits;
  }
}
