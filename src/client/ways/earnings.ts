/**
 * What was solved or paid for, and is not used up. Calls that are refused together share it: one works or pays while the others
 * wait for their turn, and only when that is used up does the next one work or pay for itself.
 */

import { endpointOf, type Outgoing } from "../outgoing.ts";
import type { Refusal } from "../refusal.ts";
import { Turns } from "../turns.ts";
import type { Verified } from "../verify-endpoint.ts";
import type { Obstacle } from "./obstacle.ts";
import type { Refused, Taken } from "./ways-on.ts";

export const PASS_HEADER = "Turnpike-Pass";
/** Accounts whose earnings are remembered: one client has one, a proxy a few. */
const MAX_ACCOUNTS = 64;

/** What one solution or payment has earned. */
export interface Earned {
  /** To be sent with the calls that were refused and are now paid from it. */
  readonly headers: Readonly<Record<string, string>>;
  use: Use;
  /** Where it was earned. */
  readonly endpoint: string;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly expiresAt: number;
  /** How many it was good for. */
  readonly calls: number;
  /** Calls that nobody who was refused has taken yet. */
  spare: number;
  /** It was shown, and a way on was offered all the same: it is used up. */
  isRefused: boolean;
  /** To be told when a call has passed with it on trial. */
  readonly onTaken?: () => void;
}

export type Use =
  /** The gate spends it by itself, whatever calls show. */
  | "by-account"
  /** It is spent by calls that show its headers, which they do from their start: who is refused first is sent twice. */
  | "by-showing"
  /** The same, as far as is known: it is shown by calls that were refused, until one has passed with it. */
  | "on-trial";

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
  put(call: Outgoing, worth: Omit<Earned, "endpoint" | "at" | "isRefused">): Earned {
    const account = accountOf(call);
    const earned = { ...worth, endpoint: endpointOf(call.url), at: Date.now(), isRefused: false };
    this.#earned.delete(account);
    this.#earned.set(account, earned);
    if (this.#earned.size > MAX_ACCOUNTS) this.#forgetOne();
    return earned;
  }

  /**
   * What the gate has taken, whatever can be read of its answer.
   * @param shown the headers that show it: unlike a pass, they are good for as long as its calls are
   */
  putVerified(call: Outgoing, { token, calls, expiresAt, mustBeShown }: Verified, shown?: Earned["headers"]): Earned {
    const worth = { expiresAt: expiresAt ?? Infinity, calls: calls ?? 1, spare: calls ?? 1 };
    if (mustBeShown && shown) return this.put(call, { headers: shown, use: "by-showing", ...worth });
    return this.put(call, { headers: token === null ? {} : { [PASS_HEADER]: token }, use: "by-account", ...worth });
  }

  /** What a call has to be sent with from its start, so that it is paid from what is there. */
  shownFromStart(call: Outgoing): Earned["headers"] {
    const earned = this.#earned.get(accountOf(call));
    const isShown = earned?.use === "by-showing" && isGood(earned) && earned.endpoint === endpointOf(call.url);
    return isShown ? earned.headers : {};
  }

  /** A call that shows it and is offered nothing has met another limit, or the rate at which it can be spent: it stays good. */
  noteRefused({ call, refusal, sentWith }: Refused): void {
    const shown = this.#shownBy(call, sentWith);
    if (shown && isOffering(refusal)) shown.isRefused = true;
  }

  notePassed(call: Outgoing, sentWith: Headers): void {
    const shown = this.#shownBy(call, sentWith);
    if (shown?.use !== "on-trial") return;
    shown.use = "by-showing";
    shown.onTaken?.();
  }

  /** What is spent by being shown, if the call has shown it. */
  #shownBy(call: Outgoing, sentWith: Headers): Earned | undefined {
    const earned = this.#earned.get(accountOf(call));
    if (!earned || earned.use === "by-account") return undefined;
    return Object.entries(earned.headers).every(([name, value]) => sentWith.get(name) === value) ? earned : undefined;
  }

  /** Null when there is nothing that would help. */
  take(refused: Refused): Taken | null {
    return this.helps(refused) ? takeOne(this.#earned.get(accountOf(refused.call))!) : null;
  }

  helps({ call, refusal, refusedAt }: Refused): boolean {
    // What offers no way on cannot be bought off either: the origin's limit, for one.
    if (!isOffering(refusal)) return false;
    const earned = this.#earned.get(accountOf(call));
    if (!earned || earned.spare < 1 || !isGood(earned)) return false;
    // What is on the account helps a call only if it came there after the refusal: what was there before did not.
    return earned.use !== "by-account" || earned.at >= refusedAt;
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
    for (const [account, earned] of this.#earned) {
      if (earned.use !== "by-account" && isGood(earned)) continue;
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
  return { ok: true, waitedMs: 0, headers: earned.headers };
}

function isGood({ isRefused, expiresAt }: Earned): boolean {
  return !isRefused && expiresAt > Date.now();
}

function isOffering({ challenges, payments }: Refusal): boolean {
  return challenges.length > 0 || payments.length > 0;
}
