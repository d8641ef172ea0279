/** What becomes of a call that credits have paid for: given back by ticket or by attempt, or sent again, once. */

import { describe, expect, test } from "vitest";
import { type Account, createAccount, refund } from "../../src/limits/account.ts";
import { ask } from "../../src/limits/ask.ts";
import { spendFor } from "../../src/limits/bill.ts";
import { creditLeft, redeem } from "../../src/limits/credits.ts";
import { type Payment, UNPAYABLE } from "../../src/limits/limit.ts";
import { oweResend, ticketOf } from "../../src/limits/paid-calls.ts";
import { restore, store } from "../../src/limits/stored-account.ts";
import { charge, rateLimit } from "./life.ts";

const NOW = Date.UTC(2026, 10, 21, 12);
const MINUTE_MS = 60_000;
/** Of the plan, and of what its credits are spent through. */
const RATE = { burst: 100, perMinute: 0.001 };
const PLAN = [rateLimit(RATE)];
const TAG = 7;
let attempts = 0;

/** An account whose plan is used up, with ten prepaid calls. */
function anAccount(isForHolder = false): Account {
  const account = createAccount(1);
  redeem(
    account.credits,
    {
      id: "bought",
      redeemableUntil: NOW + 60 * MINUTE_MS,
      payment: { isForHolder },
      calls: 10,
      expiresAt: NOW + 600 * MINUTE_MS,
      keptFor: { tag: 0, cost: 0 },
      rate: RATE,
    },
    NOW,
  );
  ask(account, PLAN, [charge(1, RATE.burst)], 0, NOW);
  return account;
}

function restarted(account: Account, now: number): Account {
  const again = createAccount(1_000_000);
  restore(again, JSON.parse(JSON.stringify(store(account, now).row)) as ReturnType<typeof store>["row"]);
  return again;
}

interface Sent {
  readonly tag?: number;
  readonly units?: number;
  readonly attempt?: number;
}

/** The ticket of a call that is paid with what is shown; null when it is refused. */
function pay(account: Account, { tag = TAG, units = 1, attempt = ++attempts }: Sent = {}, now = NOW): number | null {
  return spendFor(account, { creditId: "bought", units, tag, attempt }, now);
}

function left(account: Account, now = NOW): number {
  return creditLeft(account.credits, "bought", now);
}

describe.each([
  ["by the instance that took it", (account: Account) => account],
  ["after a restart", restarted],
])("what a call was paid with, %s", (_where, later) => {
  test("comes back by its ticket, once", () => {
    let account = anAccount();
    const ticket = pay(account, { units: 3 })!;
    account = later(account, NOW);
    for (let i = 0; i < 2; i++) {
      refund(account, ticket, NOW);
      expect(left(account)).toBe(10);
    }
  });

  test("comes back by the attempt that asked for it, once, and not by another", () => {
    let account = anAccount();
    pay(account, { units: 10, attempt: 91 });
    account = later(account, NOW);
    expect(ticketOf(account.credits, 92)).toBeNull();
    refund(account, ticketOf(account.credits, 91)!, NOW);
    expect(left(account)).toBe(10);
    expect(ticketOf(account.credits, 91)).toBeNull();
  });

  test("is owed for one more try of the same call, of the same size, and of no other call", () => {
    let account = anAccount();
    const ticket = pay(account, { units: 4 })!;
    account = later(account, NOW);
    oweResend(account.credits, ticket, NOW);
    expect(left(account)).toBe(6);
    account = later(account, NOW);
    pay(account, { tag: 8, units: 6 });
    expect(pay(account, { tag: 8 })).toBeNull();
    expect(pay(account, { units: 4 })).not.toBeNull();
    expect(pay(account)).toBeNull();
  });

  test("is neither owed nor given back a second time, and never both", () => {
    let account = anAccount();
    const [owed, given] = [pay(account)!, pay(account)!];
    account = later(account, NOW);
    oweResend(account.credits, owed, NOW);
    refund(account, given, NOW);
    for (const ticket of [owed, given]) {
      oweResend(account.credits, ticket, NOW);
      refund(account, ticket, NOW);
    }
    expect(left(account)).toBe(9);
    pay(account, { tag: 8, units: 9 });
    expect(pay(account)).not.toBeNull();
    expect(pay(account)).toBeNull();
  });
});

/** Pays for a call whose answer is cut off. */
function cutOff(account: Account, sent: Sent = {}): Account {
  oweResend(account.credits, pay(account, sent)!, NOW);
  return account;
}

describe("a call that is sent again", () => {
  test("is paid for before anything else is touched, also by the account's own question", () => {
    const account = cutOff(anAccount());
    const payment: Payment = { ...UNPAYABLE, payable: 1, tag: TAG };
    expect(ask(account, PLAN, [charge(1)], 0, NOW, payment)).toMatchObject({ kind: "admit", paidUnits: 1 });
    expect(left(account)).toBe(9);
  });

  test("is not owed for again when it is cut off as well", () => {
    const account = cutOff(cutOff(anAccount()));
    pay(account, { tag: 8, units: 9 });
    expect(ask(account, PLAN, [charge(1)], 0, NOW, { ...UNPAYABLE, payable: 1, tag: TAG })).toMatchObject({ kind: "refuse" });
    expect(pay(account)).toBeNull();
  });

  test("stays for this call alone when it comes back, or when it cost less than before", () => {
    const account = cutOff(anAccount(), { units: 3 });
    pay(account, { tag: 8, units: 7 });
    refund(account, pay(account, { units: 3 })!, NOW);
    expect(pay(account, { tag: 8 })).toBeNull();
    expect(pay(account, { units: 1 })).not.toBeNull();
    expect(pay(account, { tag: 8 })).toBeNull();
    expect(pay(account, { units: 2 })).not.toBeNull();
  });

  test("must be shown what its first try was paid with, where that is for its holder", () => {
    const account = cutOff(anAccount(true));
    const askAgain = (shown: string) => ask(account, PLAN, [charge(1)], 0, NOW, { ...UNPAYABLE, payable: 1, tag: TAG, shown });
    for (const other of ["", "another"]) expect(askAgain(other)).toMatchObject({ kind: "refuse" });
    expect(askAgain("bought")).toMatchObject({ kind: "admit" });
    expect(left(account)).toBe(9);
  });

  test("is counted as a prepaid call nowhere, and is over five minutes later", () => {
    const account = cutOff(anAccount());
    expect(left(account)).toBe(9);
    pay(account, { tag: 8, units: 9 });
    const afterFive = restarted(account, NOW);
    expect(pay(account, {}, NOW + 5 * MINUTE_MS - 1)).not.toBeNull();
    expect(pay(afterFive, {}, NOW + 5 * MINUTE_MS)).toBeNull();
  });

  test("must be a call: what a backend has sold is not sent again", () => {
    const account = anAccount();
    oweResend(account.credits, spendFor(account, { creditId: "bought", units: 1, tag: null, attempt: 1 }, NOW)!, NOW);
    expect(account.credits.open.size).toBe(1);
  });

  test("may be one of 64 at a time: whoever breaks off every answer gets no more for nothing", () => {
    const account = anAccount();
    account.credits.open.get("bought")!.left = 100;
    for (let i = 0; i < 100; i++) cutOff(account, { tag: i + 1 });
    expect([left(account), account.credits.open.size]).toEqual([0, 64]);
  });
});

describe("paid calls are remembered", () => {
  test("for 15 minutes", () => {
    const late = [14.99, 15].map((minutes) => {
      const account = anAccount();
      const [first, second] = [pay(account)!, pay(account)!];
      refund(account, first, NOW + minutes * MINUTE_MS);
      oweResend(account.credits, second, NOW + minutes * MINUTE_MS);
      return [left(account, NOW + minutes * MINUTE_MS), account.credits.open.size];
    });
    expect(late).toEqual([
      [9, 2],
      [8, 1],
    ]);
  });

  test("64 at the most, the latest", () => {
    const account = anAccount();
    account.credits.open.get("bought")!.left = 65;
    const tickets = Array.from({ length: 65 }, () => pay(account)!);
    for (const ticket of tickets) refund(account, ticket, NOW);
    expect(left(account)).toBe(64);
  });

  test("by a clock that is set back, as long as they would have been", () => {
    const account = anAccount();
    const ticket = pay(account)!;
    pay(account, {}, NOW - 60 * MINUTE_MS);
    refund(account, ticket, NOW - 46 * MINUTE_MS);
    expect(left(account, NOW - 46 * MINUTE_MS)).toBe(9);
  });

  test("and give nothing back to a credit that has run out", () => {
    const account = anAccount();
    account.credits.open.get("bought")!.expiresAt = NOW + 10 * MINUTE_MS;
    const last = pay(account, { units: 10 })!;
    refund(account, last, NOW + 10 * MINUTE_MS);
    expect(account.credits.open.size).toBe(0);
  });

  test("and are none where the plan itself let the call through", () => {
    const account = createAccount(1);
    expect(ask(account, PLAN, [charge(1)], 0, NOW, { ...UNPAYABLE, payable: 1, tag: TAG, attempt: 5 })).toMatchObject({ kind: "admit" });
    expect(ticketOf(account.credits, 5)).toBeNull();
  });
});
