/**
 * Credits over whole lives: won once, spent as often as they say, no more and no less, no faster than the plan's own rate
 * again, and a told time and an offer that stay true with them there.
 */

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createAccount, refund } from "../../src/limits/account.ts";
import { ask } from "../../src/limits/ask.ts";
import { type ForeignBill, spendFor } from "../../src/limits/bill.ts";
import { createCredits, creditLeft, MAX_CREDITS, MAX_REDEEMED, redeem, type Redemption } from "../../src/limits/credits.ts";
import { type Payment, UNPAYABLE, type Verdict } from "../../src/limits/limit.ts";
import { charge, createDisk, Instance, rateLimit } from "./life.ts";
import {
  aClockStep,
  aSmallClockStep,
  type CreditAdmitted,
  creditLife,
  type CreditLife,
  type CreditMoment,
  liveOnCredit,
  numbers,
  RATE_AND_QUOTA,
  RATE_ONLY,
  type Won,
} from "./credit-life.ts";
import { aCrash, anEviction, aPlanChange, aSuccession } from "./world.ts";
import { slackOf, worstExcess } from "./worst-excess.ts";

const SECOND_MS = 1_000;
const START = Date.UTC(2026, 10, 21, 12);
const plan = fc.tuple(numbers);
const plans = fc.tuple(numbers, numbers, numbers);
const payables = fc.constantFrom(RATE_ONLY, RATE_AND_QUOTA);

function expectHonest(lived: CreditLife): void {
  const { won, admitted } = lived;
  for (const { calls, times, spent } of won.values()) {
    expect(times).toBe(1);
    expect(spent).toBeGreaterThanOrEqual(0);
    expect(spent).toBeLessThanOrEqual(calls);
  }
  for (const call of admitted) for (const { id } of call.spent) expectRightful(call, won.get(id)!, id);
  for (const { resendOf } of won.values()) if (resendOf) expectResendable(resendOf, lived);
  for (const slot of ["rate", "handshake", "credits"]) expect(worstExcess(lived, slot)).toBeLessThanOrEqual(slackOf(lived));
}

/** What is for whoever shows it pays for nobody else, and what is for one call for no other. */
function expectRightful(call: CreditAdmitted, { isForHolder, resendOf }: Won, id: string): void {
  if (resendOf) expect(call.tag).toBe(resendOf.tag);
  else if (isForHolder || call.isForeign) expect(call.shown).toBe(id);
}

/** A call may be sent again once, at what it has cost, and a call that was such a one not again. */
function expectResendable(call: CreditAdmitted, { won }: CreditLife): void {
  const resends = [...won.values()].filter(({ resendOf }) => resendOf === call);
  expect(resends.map(({ calls }) => calls)).toEqual([call.spent.reduce((sum, { units }) => sum + units, 0)]);
  expect(call.tag).not.toBe(0);
  for (const { id } of call.spent) expect(won.get(id)!.resendOf).toBeNull();
}

/** Never less than was bought: what has not run out is there to the last unit. For lives whose clock goes forward. */
function expectAllThere({ won, left, end }: CreditLife): void {
  for (const [id, { calls, spent, expiresAt }] of won) if (expiresAt > end) expect(left.get(id) ?? 0).toBe(calls - spent);
}

function expectHonestAndWhole(lived: CreditLife): void {
  expectHonest(lived);
  expectAllThere(lived);
}

describe("a credit is won once and spent as often as it says, no faster than the plan again", () => {
  test("over calls, passes, refunds, cut-offs and replays", () => {
    fc.assert(
      fc.property(plan, payables, creditLife(), (all, payable, steps) => expectHonestAndWhole(liveOnCredit(all, payable, steps))),
      { numRuns: 500 },
    );
  });

  test("over crashes and evictions at any point", () => {
    fc.assert(
      fc.property(plan, payables, creditLife(aCrash, anEviction), (all, payable, steps) =>
        expectHonestAndWhole(liveOnCredit(all, payable, steps)),
      ),
      { numRuns: 500 },
    );
  });

  test("with a superseded instance that goes on answering", () => {
    fc.assert(
      fc.property(plan, payables, creditLife(aSuccession, aCrash), (all, payable, steps) =>
        expectHonestAndWhole(liveOnCredit(all, payable, steps)),
      ),
      { numRuns: 500 },
    );
  });

  test("over changes of the plan and a clock that steps back and forward", () => {
    fc.assert(
      fc.property(plans, payables, creditLife(aPlanChange, aClockStep, aCrash, anEviction, aSuccession), (all, payable, steps) =>
        expectHonest(liveOnCredit(all, payable, steps)),
      ),
      { numRuns: 700 },
    );
  });
});

function expectTrueTime({ instance, limits, charges, payment, maxWaitMs, now, verdict }: CreditMoment): void {
  if (verdict.kind !== "refuse") return;
  const { retryAfterMs } = verdict;
  const alone = structuredClone(instance.account);
  const askAfter = (ms: number, waitMs: number) => ask(alone, limits, charges, waitMs, now + ms, payment);
  const early = retryAfterMs - maxWaitMs - SECOND_MS;
  if (early > 0) expect(askAfter(early, maxWaitMs)).toMatchObject({ kind: "refuse" });
  if (retryAfterMs > 2) expect(askAfter(retryAfterMs - 2, 0)).toMatchObject({ kind: "refuse" });
  expect(askAfter(retryAfterMs, maxWaitMs)).toMatchObject({ kind: "admit", waitMs: 0 });
}

let redemptions = 0;

function aRedemption(more: Partial<Redemption> = {}): Redemption {
  return {
    id: `credit-${++redemptions}`,
    redeemableUntil: START + 300_000,
    calls: 10,
    expiresAt: START + 300_000,
    keptFor: { tag: 0, cost: 0 },
    rate: { burst: 60, perMinute: 60 },
    ...more,
  };
}

function expectTrueOffer({ instance, limits, charges, payment, maxWaitMs, now, verdict, plan }: CreditMoment): void {
  if (verdict.kind !== "refuse" || !verdict.isPayable) return;
  const account = structuredClone(instance.account);
  const { burst, perMinute } = plan;
  const { cost } = charges[0]!;
  const terms = {
    redeemableUntil: now + 300_000,
    expiresAt: now + 60_000,
    calls: cost,
    keptFor: { tag: payment.tag, cost },
    rate: { burst, perMinute },
  };
  const paid = { kind: "admit", waitMs: 0, paidUnits: cost };
  const bought = aRedemption({ ...terms, payment: { isForHolder: true } });
  const buyer = structuredClone(account);
  expect(redeem(buyer.credits, bought, now)).toMatchObject({ ok: true });
  expect(ask(buyer, limits, charges, maxWaitMs, now, { ...payment, shown: bought.id })).toMatchObject(paid);
  if (!verdict.mayEarn) return;
  expect(redeem(account.credits, aRedemption(terms), now)).toMatchObject({ ok: true });
  expect(ask(account, limits, charges, maxWaitMs, now, payment)).toMatchObject(paid);
}

describe("with credits there", () => {
  test("the time told is true: a call that waits it passes, one that comes a second earlier does not", () => {
    fc.assert(
      fc.property(plans, payables, creditLife(aPlanChange, aClockStep, aCrash, anEviction), (all, payable, steps) => {
        liveOnCredit(all, payable, steps, expectTrueTime);
      }),
      { numRuns: 500 },
    );
  });

  test("a refusal that can be paid for lets the call through once it is", () => {
    fc.assert(
      fc.property(plans, payables, creditLife(aPlanChange, aSmallClockStep, aCrash, anEviction), (all, payable, steps) => {
        liveOnCredit(all, payable, steps, expectTrueOffer);
      }),
      { numRuns: 300 },
    );
  });

  test("a refused call changes nothing: asked again at the same moment it is told the same", () => {
    fc.assert(
      fc.property(plan, payables, creditLife(), (all, payable, steps) => {
        liveOnCredit(all, payable, steps, ({ instance, limits, charges, payment, maxWaitMs, now, verdict }) => {
          if (verdict.kind !== "refuse") return;
          const { version } = instance.account.credits;
          expect(ask(instance.account, limits, charges, maxWaitMs, now, payment)).toEqual(verdict);
          expect(instance.account.credits.version).toBe(version);
        });
      }),
      { numRuns: 200 },
    );
  });
});

const SLOW = rateLimit({ burst: 1, perMinute: 1 });
let attempts = 0;
const payment = (tag: number, more: Partial<Payment> = {}): Payment => ({ ...UNPAYABLE, payable: 1, tag, attempt: ++attempts, ...more });

const bill = (creditId: string, units: number, tag: number | null = 1): ForeignBill => ({ creditId, units, tag, attempt: ++attempts });

function refusal(verdict: Verdict): Verdict & { kind: "refuse" } {
  if (verdict.kind !== "refuse") throw new Error(`must be refused, and is: ${verdict.kind}`);
  return verdict;
}

describe("the told time with a credit in sight", () => {
  test("is when the first call is no longer kept for another", () => {
    const account = createAccount(1);
    ask(account, [SLOW], [charge(1)], 0, START, payment(0));
    redeem(account.credits, aRedemption({ calls: 1, keptFor: { tag: 7, cost: 1 } }), START);
    expect(refusal(ask(account, [SLOW], [charge(1)], 0, START + 1_000, payment(8))).retryAfterMs).toBe(9_000);
    expect(ask(account, [SLOW], [charge(1)], 0, START + 10_000, payment(8))).toMatchObject({ kind: "admit", paidUnits: 1 });
  });

  test("is not when a credit could be spent again that has run out by then", () => {
    const account = createAccount(1);
    const limits = [SLOW, rateLimit({ burst: 3, perMinute: 1, slot: "other" })];
    redeem(account.credits, aRedemption({ calls: 5, expiresAt: START + 20_000 }), START);
    for (let i = 0; i < 2; i++) expect(ask(account, limits, [charge(3)], 0, START, payment(0))).toMatchObject({ kind: "admit" });
    const told = refusal(ask(account, limits, [charge(1)], 0, START + 1_000, payment(0)));
    expect(told.retryAfterMs).toBe(59_000);
    expect(told.isPayable).toBe(false);
  });

  test("is when what cannot be paid for lets it, and not when the plan does", () => {
    const account = createAccount(1);
    const limits = [SLOW, rateLimit({ burst: 1, perMinute: 12, slot: "tool" })];
    ask(account, limits, [charge(3)], 0, START, payment(0));
    redeem(account.credits, aRedemption(), START);
    expect(refusal(ask(account, limits, [charge(3)], 0, START, payment(0))).retryAfterMs).toBe(5_000);
    expect(ask(account, limits, [charge(3)], 0, START + 5_000, payment(0))).toMatchObject({ kind: "admit", paidUnits: 1 });
  });

  test("of a call that costs more than credits may ever give at once is the plan's own", () => {
    const account = createAccount(1);
    const limits = [
      rateLimit({ burst: 2, perMinute: 60, mode: "observe" }),
      { kind: "quota" as const, slot: "quota:60000", name: "minute", calls: 5, per: 60_000, mode: "enforce" as const },
    ];
    ask(account, limits, [charge(3, 3)], 0, START, payment(0, { payable: 3 }));
    redeem(account.credits, aRedemption(), START);
    const told = refusal(ask(account, limits, [charge(3, 3)], 0, START, payment(0, { payable: 3 })));
    expect(told).toMatchObject({ retryAfterMs: 60_000, isPayable: false });
  });
});

describe("what is redeemed", () => {
  test("counts once, also when its time runs out between the look at it and the account", () => {
    const credits = createCredits();
    const solved = aRedemption({ solvesAtIssue: 0 });
    expect(redeem(credits, solved, START)).toMatchObject({ ok: true });
    expect(redeem(credits, solved, START + 299_999)).toEqual({ ok: false, why: "replayed" });
    expect(redeem(credits, solved, START + 300_000)).toEqual({ ok: false, why: "expired" });
  });

  test("counts once, also when the clock went past its time and came back", () => {
    const disk = createDisk();
    const solved = aRedemption();
    const first = new Instance(disk);
    expect(first.redeem(solved, START)).toMatchObject({ ok: true });
    first.redeem(aRedemption({ redeemableUntil: START + 900_000 }), START + 600_000);
    expect(new Instance(disk).redeem(solved, START + 1_000)).toEqual({ ok: false, why: "expired" });
  });

  test("is nothing more where there is no room, and no refusal offers it then", () => {
    const account = createAccount(1);
    ask(account, [SLOW], [charge(1)], 0, START, payment(0));
    expect(refusal(ask(account, [SLOW], [charge(1)], 0, START, payment(0)))).toMatchObject({ isPayable: true, mayEarn: true });
    for (let i = 0; i < MAX_CREDITS; i++) redeem(account.credits, aRedemption({ calls: 1, keptFor: { tag: 9, cost: 1 } }), START);
    expect(redeem(account.credits, aRedemption(), START)).toEqual({ ok: false, why: "too-many" });
    expect(refusal(ask(account, [SLOW], [charge(1)], 0, START, payment(8))).mayEarn).toBe(false);
    // Spent at once, each leaves its id behind for as long as it could be handed in again.
    const busy = createAccount(1);
    ask(busy, [SLOW], [charge(1)], 0, START, payment(0));
    for (let i = 0; i < MAX_REDEEMED; i++) {
      const one = aRedemption({ calls: 1 });
      redeem(busy.credits, one, START);
      spendFor(busy, bill(one.id, 1, null), START);
    }
    expect(refusal(ask(busy, [SLOW], [charge(1)], 0, START, payment(0))).mayEarn).toBe(false);
  });
});

describe("a pass", () => {
  test("spends no faster than the plan of its account, also where that has not been asked about lately", () => {
    const disk = createDisk();
    const solved = aRedemption({ calls: 100, rate: { burst: 5, perMinute: 5 } });
    new Instance(disk).redeem(solved, START);
    let instance = new Instance(disk);
    let passed = 0;
    for (let i = 0; i < 50; i++) {
      if (instance.spend(bill(solved.id, 1, 3), START + i) !== null) passed++;
      if (i % 7 === 0) instance = new Instance(disk);
    }
    expect(passed).toBe(5);
  });

  test("gives back what it took, once", () => {
    const account = createAccount(1);
    const solved = aRedemption({ calls: 5 });
    redeem(account.credits, solved, START);
    const [some, rest] = [spendFor(account, bill(solved.id, 2), START)!, spendFor(account, bill(solved.id, 3), START)!];
    expect(creditLeft(account.credits, "", START)).toBe(0);
    // From nothing, and beside what is there.
    for (const [ticket, left] of [
      [rest, 3],
      [rest, 3],
      [some, 5],
      [some, 5],
    ] as const) {
      refund(account, ticket, START + 10);
      expect(creditLeft(account.credits, "", START + 10)).toBe(left);
    }
  });
});
