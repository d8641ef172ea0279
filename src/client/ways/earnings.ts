/**
 * What was solved or paid for, and is not used up. Calls that are refused together share it: one works or pays while the others
 * wait for their turn, and only when that is used up does the next one work or pay for itself.
 */

import type { Outgoing } from "../outgoing.ts";
import { Turns } from "../turns.ts";
import type { Verified } from "../verify-endpoint.ts";
import type { Obstacle } from "./obstacle.ts";
import type { Refused, Taken } from "./ways-on.ts";

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
  /** To be told when a call that was sent with its headers has passed. */
  readonly onPassed?: () => void;
}

/** @see `Earnings.put` */
export type Earning = { readonly ok: true; readonly earned: Earned } | { readonly ok: false; readonly obstacle: Obstacle };

export class Earnings {
  readonly #turns = new Turns();
  readonly #earned = new Map<string, Earned>();

  /** Takes one call of what there is; else, when it is this call's turn, of what it earns and puts here. */
  async share(refused: Refused, earn: () => Promise<Earning>): Promise<Taken> {
    const endTurn = await this.#turns.next(accountOf(refused.call), refused.signal);
    try {
      refused.signal?.throwIfAborted();
      const there = this.take(refused);
      if (there) return there;
      const earning = await earn();
      return earning.ok ? takeOne(earning.earned) : earning;
    } finally {
      endTurn();
    }
  }

  /** For this call and all others of its account. */
  put(call: Outgoing, earned: Earned): Earned {
    const account = accountOf(call);
    this.#earned.delete(account);
    this.#earned.set(account, earned);
    if (this.#earned.size > MAX_ACCOUNTS) this.#forgetOne();
    return earned;
  }

  /** What is on the account now, whatever can be read of the gate's answer. */
  putOnAccount(call: Outgoing, { token, calls, expiresAt }: Verified): Earned {
    const headers = token === null ? {} : { [PASS_HEADER]: token };
    const worth = { expiresAt: expiresAt ?? Infinity, calls: calls ?? 1, spare: calls ?? 1 };
    return this.put(call, { headers, isOnAccount: true, at: Date.now(), ...worth });
  }

  /** Null when there is nothing that would help. */
  take(refused: Refused): Taken | null {
    return this.helps(refused) ? takeOne(this.#earned.get(accountOf(refused.call))!) : null;
  }

  helps({ call, refusal, sentWith, refusedAt }: Refused): boolean {
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

  /**
   * How many calls work or money would be spent on now. Whoever is refused while the calls of the last proof or payment were still
   * good has used them up, and will the next ones too; a wait is good for one.
   * @param told how many calls the offer says that it is for; as many as the last one was when it does not say
   */
  callsToCome({ call, refusedAt }: Refused, told?: number): number {
    const last = this.#earned.get(accountOf(call));
    return last && last.at < refusedAt && refusedAt < last.expiresAt ? (told ?? last.calls) : 1;
  }

  /** The oldest, except what nobody but this process knows to be paid; the budget bounds how many there are of these. */
  #forgetOne(): void {
    for (const [account, { isOnAccount, spare }] of this.#earned) {
      if (!isOnAccount && spare > 0) continue;
      this.#earned.delete(account);
      return;
    }
  }
}

/** Whoever calls with the same key shares an account. */
export function accountOf({ url, headers }: Outgoing): string {
  return [url.origin, headers.get("authorization"), headers.get("x-api-key")].join("\n");
}

function takeOne(earned: Earned): Taken {
  earned.spare--;
  const { headers, onPassed } = earned;
  return { ok: true, waitedMs: 0, headers, ...(onPassed ? { onPassed } : {}) };
}
