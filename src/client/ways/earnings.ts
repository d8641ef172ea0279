/**
 * What was solved or paid for, and is not used up. Calls that are refused together share it: one works or pays while the others
 * wait for their turn, and only when that is used up does the next one work or pay for itself.
 */

import type { Obstacle } from "./obstacle.ts";
import type { Outgoing } from "../outgoing.ts";
import { Turns } from "../turns.ts";
import type { Verified } from "../verify-endpoint.ts";
import type { Refused, Taken, WayOn } from "./ways-on.ts";

export const PASS_HEADER = "Turnpike-Pass";
/** Accounts whose earnings are remembered: one client has one, a proxy a few. */
const MAX_ACCOUNTS = 64;

/** What one solution or payment has earned. */
export interface Earned {
  /** To be sent with the calls that use it. */
  readonly headers: Readonly<Record<string, string>>;
  /** The gate spends it without being shown anything. If not, it is worth something only with its headers. */
  readonly isOnAccount: boolean;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly expiresAt: number;
  /** How many it was good for. */
  readonly calls: number;
  /** Calls that nobody of this process has taken yet. */
  spare: number;
}

export type Earning = { readonly ok: true; readonly earned: Earned } | { readonly ok: false; readonly obstacle: Obstacle };

export class Earnings {
  readonly #turns = new Turns();
  readonly #earned = new Map<string, Earned>();

  /** Takes one call of what there is; else, when it is this call's turn, of what it earns. */
  async share(refused: Refused, earn: () => Promise<Earning>): Promise<Taken> {
    const account = accountOf(refused.call);
    const endTurn = await this.#turns.next(account, refused.signal);
    try {
      refused.signal?.throwIfAborted();
      const there = this.take(refused);
      if (there) return there;
      const earning = await earn();
      if (!earning.ok) return earning;
      this.put(account, earning.earned);
      return takeOne(earning.earned);
    } finally {
      endTurn();
    }
  }

  put(account: string, earned: Earned): void {
    this.#earned.delete(account);
    this.#earned.set(account, earned);
    if (this.#earned.size > MAX_ACCOUNTS) this.#earned.delete(this.#earned.keys().next().value!);
  }

  /** Null when there is nothing that would help. */
  take(refused: Refused): Taken | null {
    return this.helps(refused) ? takeOne(this.#earned.get(accountOf(refused.call))!) : null;
  }

  /**
   * How many calls work or money would be spent on now. Whoever is refused while the calls of the last proof or payment were still
   * good has used them up, and will the next ones too; a wait is good for one.
   * @param told how many calls the offer says that it is for; as many as the last one was when it does not say
   */
  callsToCome({ call, refusedAt }: Refused, told?: number): number {
    const last = this.#earned.get(accountOf(call));
    return last && last.at < refusedAt && refusedAt < last.expiresAt ? (told ?? last.calls) : 1;
  }

  helps({ call, refusal, refusedAt, sentWith }: Refused): boolean {
    // What offers no way on cannot be bought off either: the origin's limit, for one.
    if (refusal.challenges.length === 0 && refusal.payments.length === 0) return false;
    const earned = this.#earned.get(accountOf(call));
    if (!earned || earned.spare < 1 || earned.expiresAt <= Date.now()) return false;
    // What is on the account helps a call only if it came there after the refusal: what was there before did not.
    if (earned.isOnAccount) return earned.at >= refusedAt;
    if (!Object.entries(earned.headers).every(([name, value]) => sentWith.get(name) === value)) return true;
    // It was shown, and refused.
    earned.spare = 0;
    return false;
  }
}

/** What is on the account now, whatever can be read of the gate's answer. */
export function onAccount({ token, calls, expiresAt }: Verified, now: number): Earned {
  const headers = token === null ? {} : { [PASS_HEADER]: token };
  return { headers, isOnAccount: true, at: now, expiresAt: expiresAt ?? Infinity, calls: calls ?? 1, spare: calls ?? 1 };
}

/** The way on that costs nothing any more: what others have solved or paid for. */
export function createCreditWay(earnings: Earnings): WayOn {
  return {
    kind: "credit",
    consider: (refused) => (earnings.helps(refused) ? { isOpen: true, expectedMs: 0, priceSats: 0 } : null),
    take: (refused) => Promise.resolve(earnings.take(refused) ?? { ok: false, obstacle: USED_UP }),
  };
}

const USED_UP: Obstacle = { code: "paid-already", why: "what was solved or paid for is used up" };

/** Whoever calls with the same key shares an account. */
export function accountOf({ url, headers }: Outgoing): string {
  return [url.origin, headers.get("authorization"), headers.get("x-api-key")].join("\n");
}

function takeOne(earned: Earned): Taken {
  earned.spare--;
  return { ok: true, waitedMs: 0, headers: earned.headers };
}
