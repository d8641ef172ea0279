/**
 * What a consumer can buy and has bought: the invoices that are open for it, and the payments that have become credits. Kept in
 * rows of their own beside the account: "sales" for what is open, "paid <hash>" for each payment, until the same could not
 * be handed in any more.
 *
 * A Lightning node makes an invoice for whoever asks, so nobody may make it work by being refused: an open invoice is offered
 * again until it expires, and a few are open at the most. Refusals at the same moment get different ones, or
 * two agents of one consumer would pay the same.
 */

/** Of one consumer at once, on offer or being made. */
export const MAX_OPEN_SALES = 8;
/** Whoever gets an invoice pays it, or does not, within this time: until then it is offered to nobody else. */
const RESERVED_MS = 10_000;
/** Not offered with less time left: a payment takes some. */
const LEAST_TIME_LEFT_MS = 120_000;
/** A gate that makes an invoice waits three seconds for the node. */
const MADE_WITHIN_MS = 6_000;
/** A payment is remembered for longer than it can be handed in, should the clock be set back. */
const REMEMBERED_LONGER_MS = 86_400_000;

const SALES = "sales";
const PAID = "paid ";

/** What is bought, and for how much. */
export interface Order {
  /** Of the key that its macaroon is signed with: nothing is sold that is signed with a former one. */
  readonly keyId: number;
  readonly plan: string;
  /** Of Lightning: nothing is sold for play money that was to be sold for money. */
  readonly network: string;
  readonly calls: number;
  readonly priceSats: number;
}

export interface Sale extends Order {
  /** 64 hexadecimal digits. */
  readonly paymentHash: string;
  /** BOLT11. */
  readonly invoice: string;
  /** Base64. */
  readonly macaroon: string;
  /** Until when the invoice can be paid: epoch milliseconds, a whole second. */
  readonly expiresAt: number;
}

export type SaleOffer =
  | { readonly kind: "open"; readonly sale: Sale }
  /** The gate is to make one, and to hand it in with `keep`, or to say that it could not. */
  | { readonly kind: "make" }
  /** As many are open as may be, for other orders, or as much has been bought as the account can hold. */
  | { readonly kind: "full" };

export class Sales {
  readonly #storage: DurableObjectStorage;
  #open: readonly Sale[];
  /** By payment hash, the one that was offered longest ago first; a new instance knows of none. */
  readonly #offeredAt = new Map<string, number>();
  /** Until when each that is being made is waited for. */
  #making: number[] = [];
  #waiting: (() => void)[] = [];

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#open = this.#read();
  }

  /** An open invoice for this order, or leave to make one. */
  async offer(order: Order): Promise<SaleOffer> {
    const giveUpAt = Date.now() + MADE_WITHIN_MS;
    for (;;) {
      const now = Date.now();
      const open = this.#open.filter((sale) => sale.expiresAt - now >= LEAST_TIME_LEFT_MS);
      const longestUnoffered = this.#longestUnoffered(open.filter((sale) => isSame(sale, order)));
      this.#making = this.#making.filter((until) => until > now);
      const isFree = longestUnoffered && now - this.#offeredTime(longestUnoffered) >= RESERVED_MS;
      if (!isFree && open.length + this.#making.length < MAX_OPEN_SALES) {
        this.#making.push(now + MADE_WITHIN_MS);
        return { kind: "make" };
      }
      if (longestUnoffered) {
        this.#noteOffered(longestUnoffered, now);
        return { kind: "open", sale: longestUnoffered };
      }
      if (this.#making.length === 0 || now >= giveUpAt) return { kind: "full" };
      await this.#nextMade(giveUpAt - now);
    }
  }

  /** One that a gate was to make is there, and has been offered by it; it may have been paid and redeemed before this is told. */
  keep(sale: Sale, now: number): void {
    if (this.isRedeemed(sale.paymentHash)) {
      this.endMaking();
      return;
    }
    const open = [...this.#open.filter(({ expiresAt }) => expiresAt > now), sale];
    this.#storage.kv.put(SALES, open);
    this.#open = open;
    for (const hash of this.#offeredAt.keys()) if (!open.some(({ paymentHash }) => paymentHash === hash)) this.#offeredAt.delete(hash);
    this.#noteOffered(sale, now);
    this.endMaking();
  }

  /** One that a gate was to make is made, or will not come. */
  endMaking(): void {
    this.#making.shift();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  isRedeemed(paymentHash: string): boolean {
    return this.#storage.kv.get(PAID + paymentHash) !== undefined;
  }

  /** @param rememberUntil epoch milliseconds */
  noteRedeemed(paymentHash: string, rememberUntil: number): void {
    this.#storage.kv.put(PAID + paymentHash, rememberUntil + REMEMBERED_LONGER_MS);
    const open = this.#open.filter((sale) => sale.paymentHash !== paymentHash);
    if (open.length === this.#open.length) return;
    this.#storage.kv.put(SALES, open);
    this.#open = open;
  }

  /** Forgets what is over. @returns when nothing of the rest matters any more, in epoch milliseconds */
  clean(now: number): number {
    let until = 0;
    for (const { expiresAt } of this.#open) until = Math.max(until, expiresAt);
    for (const [key, rememberedUntil] of this.#storage.kv.list<number>({ prefix: PAID })) {
      if (rememberedUntil <= now) this.#storage.kv.delete(key);
      else until = Math.max(until, rememberedUntil);
    }
    return until;
  }

  /** Starts from what is stored. */
  load(): void {
    this.#open = this.#read();
  }

  #read(): readonly Sale[] {
    return this.#storage.kv.get<Sale[]>(SALES) ?? [];
  }

  #noteOffered({ paymentHash }: Sale, now: number): void {
    // Many are refused within a millisecond: the order tells them apart.
    this.#offeredAt.delete(paymentHash);
    this.#offeredAt.set(paymentHash, now);
  }

  #offeredTime({ paymentHash }: Sale): number {
    return this.#offeredAt.get(paymentHash) ?? 0;
  }

  #longestUnoffered(sales: readonly Sale[]): Sale | undefined {
    const offered = [...this.#offeredAt.keys()];
    return sales.toSorted((a, b) => offered.indexOf(a.paymentHash) - offered.indexOf(b.paymentHash))[0];
  }

  #nextMade(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

function isSame(a: Order, b: Order): boolean {
  return a.keyId === b.keyId && a.plan === b.plan && a.network === b.network && a.calls === b.calls && a.priceSats === b.priceSats;
}
