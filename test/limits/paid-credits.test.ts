/** Credits that money has bought: who spends them, in which order, how many there may be, and that the row keeps all of it. */

import { describe, expect, test } from "vitest";
import { type Account, createAccount } from "../../src/limits/account.ts";
import { ask } from "../../src/limits/ask.ts";
import { createCredits, creditLeft, hasRoomToBuy, MAX_CREDITS, redeem, type Redemption } from "../../src/limits/credits.ts";
import { UNPAYABLE, type Verdict } from "../../src/limits/limit.ts";
import { oweResend } from "../../src/limits/paid-calls.ts";
import { restore, store } from "../../src/limits/stored-account.ts";
import { charge, rateLimit } from "./life.ts";

const NOW = Date.UTC(2026, 10, 21, 12);
const DAY_MS = 86_400_000;
const RATE = { burst: 1_000, perMinute: 0.001 };
const PLAN = [rateLimit(RATE)];
/** Of payments, as the code promises it: what is sold stops a little before. */
const MAX_PAID = 5_000;
const MAX_SOLD = MAX_PAID - 16;

function aRedemption(id: string, more: Partial<Redemption> = {}): Redemption {
  return {
    id,
    redeemableUntil: NOW + DAY_MS,
    calls: 2,
    expiresAt: NOW + 30 * DAY_MS,
    keptFor: { tag: 0, cost: 0 },
    rate: RATE,
    ...more,
  };
}

const bought = (id: string, more: Partial<Redemption> = {}): Redemption => aRedemption(id, { payment: { isForHolder: false }, ...more });
const ofHolder = (id: string, more: Partial<Redemption> = {}): Redemption => aRedemption(id, { payment: { isForHolder: true }, ...more });

/** An account whose plan is used up. */
function anAccount(...redemptions: readonly Redemption[]): Account {
  const account = createAccount(1);
  ask(account, PLAN, [charge(1, RATE.burst)], 0, NOW);
  for (const redemption of redemptions) expect(redeem(account.credits, redemption, NOW)).toMatchObject({ ok: true });
  return account;
}

function call(account: Account, shown = "", { units = 1, tag = 1, now = NOW } = {}): Verdict {
  return ask(account, PLAN, [charge(1, units)], 0, now, { ...UNPAYABLE, payable: 1, tag, shown });
}

/** What is left of each credit, by its id. */
function leftIn({ credits }: Account): Record<string, number> {
  return Object.fromEntries([...credits.open].map(([id, { left }]) => [id, left]));
}

function refusal(verdict: Verdict): Verdict & { kind: "refuse" } {
  if (verdict.kind !== "refuse") throw new Error(`must be refused, and is: ${verdict.kind}`);
  return verdict;
}

/** Its one payment is kept for a call with the tag 9. */
const keptForNine = (): Account => anAccount(bought("ours", { keptFor: { tag: 9, cost: 2 } }));

describe("a payment for whoever shows it", () => {
  test("pays for no call that does not, and says nothing of itself", () => {
    const account = anAccount(ofHolder("mine"));
    for (const shown of ["", "another"]) {
      expect(call(account, shown)).toMatchObject({ kind: "refuse", hasCredit: false });
      expect(creditLeft(account.credits, shown, NOW)).toBe(0);
    }
    expect(call(account, "mine")).toMatchObject({ kind: "admit", paidUnits: 1 });
    expect(creditLeft(account.credits, "mine", NOW)).toBe(1);
  });

  test("is not added to by another's, and is by what belongs to all", () => {
    const account = anAccount(ofHolder("mine"), ofHolder("theirs"), aRedemption("solved"));
    expect(call(account, "mine", { units: 5 })).toMatchObject({ kind: "refuse" });
    expect(call(account, "mine", { units: 4 })).toMatchObject({ kind: "admit", paidUnits: 4 });
    expect(leftIn(account)).toEqual({ theirs: 2 });
  });

  test("tells a call that does not show it no time at which it would pay", () => {
    const account = anAccount(ofHolder("mine", { keptFor: { tag: 9, cost: 2 } }));
    const ofPlan = 60_000 / RATE.perMinute;
    expect(refusal(call(account)).retryAfterMs).toBe(ofPlan);
    expect(call(account, "mine")).toMatchObject({ kind: "admit" });
  });
});

describe("a payment", () => {
  test("of a consumer's own account pays for any of its calls, shown or not", () => {
    const account = anAccount(bought("ours"));
    expect(call(account)).toMatchObject({ kind: "admit", paidUnits: 1 });
    expect(call(account, "ours")).toMatchObject({ kind: "admit", paidUnits: 1 });
    expect(leftIn(account)).toEqual({});
  });

  test("is spent after what runs out earlier, and before what runs out later", () => {
    const account = anAccount(
      bought("month"),
      aRedemption("solved", { expiresAt: NOW + 60_000 }),
      ofHolder("week", { expiresAt: NOW + 7 * DAY_MS }),
    );
    const spent = Array.from({ length: 6 }, () => {
      expect(call(account, "week")).toMatchObject({ kind: "admit" });
      return leftIn(account);
    });
    expect(spent).toEqual([{ month: 2, solved: 1, week: 2 }, { month: 2, week: 2 }, { month: 2, week: 1 }, { month: 2 }, { month: 1 }, {}]);
  });

  test("is kept for the call that it was bought for, from all but whoever shows it", () => {
    const told = refusal(call(keptForNine()));
    expect(told).toMatchObject({ retryAfterMs: 10_000, hasCredit: true });
    for (const [shown, tag] of [
      ["", 9],
      ["ours", 1],
      ["ours", 9],
    ] as const) {
      expect(call(keptForNine(), shown, { tag })).toMatchObject({ kind: "admit", paidUnits: 1 });
    }
    const spent = keptForNine();
    call(spent, "", { tag: 9 });
    expect(call(spent)).toMatchObject({ kind: "admit" });
  });

  test("that comes too late is worth nothing, also where the clock was beyond that time once", () => {
    const { credits } = anAccount();
    expect(redeem(credits, bought("late", { redeemableUntil: NOW }), NOW)).toEqual({ ok: false, why: "expired" });
    // What was solved and is forgotten may have counted; a payment is looked up elsewhere, and may not be lost.
    redeem(credits, aRedemption("solved", { redeemableUntil: NOW + 60_000 }), NOW);
    redeem(credits, aRedemption("later", { redeemableUntil: NOW + DAY_MS }), NOW + 120_000);
    const back = NOW + 1_000;
    expect(redeem(credits, aRedemption("other", { redeemableUntil: NOW + 60_000 }), back)).toEqual({ ok: false, why: "expired" });
    expect(redeem(credits, bought("paid", { redeemableUntil: NOW + 60_000 }), back)).toMatchObject({ ok: true });
  });
});

describe("room", () => {
  test("for what is earned is not taken by what is bought, nor the other way", () => {
    const credits = createCredits();
    for (let i = 0; i < MAX_CREDITS + 10; i++) expect(redeem(credits, bought(`paid ${i}`), NOW)).toMatchObject({ ok: true });
    for (let i = 0; i < MAX_CREDITS; i++) expect(redeem(credits, aRedemption(`solved ${i}`), NOW)).toMatchObject({ ok: true });
    expect(redeem(credits, aRedemption("one more"), NOW)).toEqual({ ok: false, why: "too-many" });
    expect(redeem(credits, bought("one more paid"), NOW)).toMatchObject({ ok: true });
  });

  test("is told: nothing is sold that might not be redeemed, whatever is paid for first", () => {
    const account = anAccount();
    for (let i = 0; i < MAX_SOLD - 1; i++) redeem(account.credits, ofHolder(`paid ${i}`), NOW);
    expect(hasRoomToBuy(account.credits, NOW)).toBe(true);
    redeem(account.credits, ofHolder("the last that is sold"), NOW);
    expect(hasRoomToBuy(account.credits, NOW)).toBe(false);
    expect(refusal(call(account))).toMatchObject({ isPayable: true, mayEarn: true });
    for (let i = MAX_SOLD; i < MAX_PAID; i++) expect(redeem(account.credits, ofHolder(`open ${i}`), NOW)).toMatchObject({ ok: true });
    expect(redeem(account.credits, ofHolder("too many"), NOW)).toEqual({ ok: false, why: "too-many" });
    // Room comes back with time, and then the same payment is good.
    const later = NOW + 30 * DAY_MS;
    expect(redeem(account.credits, ofHolder("too many", { redeemableUntil: later + 1 }), later)).toMatchObject({ ok: true });
  });
});

describe("the row", () => {
  test("keeps all of it: who spends what, for which call, what was paid, and what is owed", () => {
    const account = anAccount(
      ofHolder("mine", { calls: 5 }),
      bought("ours", { calls: 5, keptFor: { tag: 9, cost: 3 } }),
      aRedemption("solved", { keptFor: { tag: 3, cost: 1 } }),
    );
    const paid = call(account, "mine", { units: 3, tag: 3 });
    const cutOff = call(account, "mine", { units: 4, tag: 4 });
    if (paid.kind !== "admit" || cutOff.kind !== "admit") throw new Error("must be paid");
    oweResend(account.credits, cutOff.ticket, NOW);
    call(account, "mine", { units: 1, tag: 4 });
    expect(new Set([...account.credits.open.values()].map(({ resendOf }) => resendOf))).toContain("mine");

    const again = createAccount(1_000_000);
    restore(again, JSON.parse(JSON.stringify(store(account, NOW).row)) as ReturnType<typeof store>["row"]);
    expect({ ...again.credits, version: 0 }).toEqual({ ...account.credits, version: 0 });
  });

  test("of an earlier version, without any of it, is read as it was meant", () => {
    const again = createAccount(1);
    const open = [["solved", 2, NOW + 60_000, 0, 0, 0]] as const;
    restore(again, {
      v: 1,
      seenAt: NOW,
      buckets: [],
      windows: [],
      repeats: [],
      credits: { open, redeemed: [], solves: again.credits.solves },
    });
    expect(again.credits.open.get("solved")).toMatchObject({ left: 2, isPaid: false, isForHolder: false });
    expect(again.credits.paidCalls).toEqual([]);
  });
});
