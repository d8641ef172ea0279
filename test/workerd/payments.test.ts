/** Payments in the consumer's object in real workerd: each becomes one credit, whatever fails on the way, and is not forgotten too early. */

import { abortAllDurableObjects, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { accountOf, consumerOfAccount, redeemCredit } from "../../durable-objects/ask-consumer.ts";
import type { Answer } from "../../durable-objects/consumer-rpc.ts";
import type { ConsumerStatus } from "../../durable-objects/consumer.ts";
import { admittedIn, askAtOnce, askOnCredit, type ConsumerStub, newName, silence, SLOW, spend } from "./asking.ts";
import { aPayment, DAY_MS, NOW, redeemPayment } from "./sold.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"], now: NOW });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function anEmptyAccount(): Promise<{ name: string; stub: ConsumerStub }> {
  const name = newName();
  const stub = env.CONSUMERS.getByName(name);
  expect(admittedIn(await askAtOnce(20, () => askOnCredit(stub)))).toBe(20);
  return { name, stub };
}

function ticketOf(answer: Answer): number {
  if (answer.kind !== "admit" || answer.paidUnits === 0) throw new Error("must be paid for");
  return answer.ticket;
}

/** Makes the `nth` write from now on fail, and each after it. */
async function failWrites(stub: ConsumerStub, nth: number): Promise<void> {
  await runInDurableObject(stub, (_object, { storage: { kv } }) => {
    const put = kv.put.bind(kv);
    let writes = 0;
    vi.spyOn(kv, "put").mockImplementation((...args) => {
      if (++writes >= nth) throw new Error("storage is away");
      put(...args);
    });
  });
}

describe("a payment", () => {
  test("handed in a thousand times at once is one credit, and each is told what is left", async () => {
    const { stub } = await anEmptyAccount();
    const payment = aPayment();
    const replies = await Promise.all(Array.from({ length: 1_000 }, () => redeemPayment(stub, payment)));
    expect(replies.filter((reply) => reply.ok && reply.isFirst)).toHaveLength(1);
    expect(replies.every((reply) => reply.ok && reply.calls === 10 && reply.expiresAt === payment.expiresAt)).toBe(true);
    expect(admittedIn(await askAtOnce(20, () => askOnCredit(stub)))).toBe(10);
    await silence(stub);
  });

  test("handed in again tells what is left of it, and that it is used up, also after eviction and an abort", async () => {
    const { name, stub } = await anEmptyAccount();
    const payment = aPayment({ calls: 2 });
    await redeemPayment(stub, payment);
    await askOnCredit(stub);
    await evictDurableObject(stub);
    expect(await redeemPayment(stub, { ...payment, calls: 50 })).toMatchObject({ ok: true, isFirst: false, calls: 1 });
    await askOnCredit(stub);
    await abortAllDurableObjects();
    const again = env.CONSUMERS.getByName(name);
    expect(await redeemPayment(again, payment)).toEqual({ ok: false, why: "replayed" });
    await silence(again);
  });

  test("that has run out is used up, and not worth anything anew", async () => {
    const { stub } = await anEmptyAccount();
    const payment = aPayment({ expiresAt: NOW + 60_000 });
    await redeemPayment(stub, payment);
    vi.setSystemTime(NOW + 60_000);
    expect(await redeemPayment(stub, payment)).toEqual({ ok: false, why: "replayed" });
    await silence(stub);
  });

  test("that is handed in too late is expired", async () => {
    const { stub } = await anEmptyAccount();
    const payment = aPayment();
    vi.setSystemTime(payment.redeemableUntil);
    expect(await redeemPayment(stub, payment)).toEqual({ ok: false, why: "expired" });
    expect(await askOnCredit(stub)).toMatchObject({ kind: "admit", paidUnits: 0 });
    await silence(stub);
  });

  test("is put on the account that the macaroon names by its object's id", async () => {
    const { name, stub } = await anEmptyAccount();
    const account = accountOf(env.CONSUMERS, name);
    expect(account).toMatch(/^[\da-f]{64}$/);
    const payment = aPayment();
    expect(await redeemCredit(env.CONSUMERS, consumerOfAccount(account), payment)).toMatchObject({ ok: true, isFirst: true });
    expect(await spend(stub, payment.id, 0)).toMatchObject({ left: 10 });
    await silence(stub);
  });

  test("for its holder is told and spent where it is shown, and nowhere else", async () => {
    const { stub } = await anEmptyAccount();
    const payment = aPayment({ payment: { isForHolder: true } });
    await redeemPayment(stub, payment);
    const credits = async (shown: string) => (JSON.parse(await stub.status(JSON.stringify(SLOW), shown)) as ConsumerStatus).credits;
    expect([await credits(""), await credits(payment.id)]).toEqual([0, 10]);
    expect(await askOnCredit(stub)).toMatchObject({ kind: "refuse", hasCredit: false });
    expect(await askOnCredit(stub, { shown: payment.id })).toMatchObject({ kind: "admit", paidUnits: 1 });
    await silence(stub);
  });

  test.each([
    ["first", 1],
    ["second", 2],
  ])("whose %s write fails is not redeemed, and stays good", async (_which, nth) => {
    const { name, stub } = await anEmptyAccount();
    const payment = aPayment();
    await failWrites(stub, nth);
    await expect(redeemPayment(stub, payment)).rejects.toThrow("storage is away");
    vi.restoreAllMocks();
    expect(await askOnCredit(stub)).toMatchObject({ kind: "refuse", hasCredit: false });
    // Whatever was stored, in this instance and in the next.
    await abortAllDurableObjects();
    const again = env.CONSUMERS.getByName(name);
    expect(await askOnCredit(again)).toMatchObject({ kind: "refuse", hasCredit: false });
    expect(await redeemPayment(again, payment)).toMatchObject({ ok: true, isFirst: true, calls: 10 });
    expect(admittedIn(await askAtOnce(20, () => askOnCredit(again)))).toBe(10);
    await silence(again);
  });

  test("is one credit whatever is aborted while it is handed in and spent", async () => {
    const { name } = await anEmptyAccount();
    const fresh = (): ConsumerStub => env.CONSUMERS.getByName(name);
    const payment = aPayment({ calls: 12 });
    let firsts = 0;
    let paid = 0;
    for (let round = 0; round < 4; round++) {
      const [redeemed, calls] = await Promise.all([
        Promise.allSettled(Array.from({ length: 4 }, () => redeemPayment(fresh(), payment))),
        askAtOnce(4, () => askOnCredit(fresh())),
        abortAllDurableObjects(),
      ]);
      firsts += redeemed.filter((one) => one.status === "fulfilled" && one.value.ok && one.value.isFirst).length;
      paid += admittedIn(calls);
    }
    const last = await redeemPayment(fresh(), payment);
    if (last.ok && last.isFirst) firsts++;
    paid += admittedIn(await askAtOnce(20, () => askOnCredit(fresh())));
    // What was written and not answered is lost to the caller of this test, and never given twice.
    expect(firsts).toBeLessThanOrEqual(1);
    expect(paid).toBeLessThanOrEqual(12);
    expect(await redeemPayment(fresh(), payment)).toEqual({ ok: false, why: "replayed" });
    await silence(fresh());
  });
});

/** As the alarms ring by themselves, up to `until`. */
async function ringUntil(stub: ConsumerStub, until: number): Promise<void> {
  for (;;) {
    const at = await runInDurableObject(stub, (_object, state) => state.storage.getAlarm());
    if (at === null || at > until) break;
    vi.setSystemTime(Math.max(at, Date.now()));
    await runDurableObjectAlarm(stub);
  }
  vi.setSystemTime(until);
}

const rows = (stub: ConsumerStub): Promise<number> => runInDurableObject(stub, (_object, state) => [...state.storage.kv.list()].length);

describe("the alarm", () => {
  test("forgets a payment only when it cannot be handed in any more, and then everything", async () => {
    const { stub } = await anEmptyAccount();
    const payment = aPayment({ expiresAt: NOW + 3_600_000 });
    await redeemPayment(stub, payment);
    await ringUntil(stub, payment.redeemableUntil - 1);
    expect(await redeemPayment(stub, payment)).toEqual({ ok: false, why: "replayed" });
    await ringUntil(stub, NOW + 4 * DAY_MS);
    expect(await rows(stub)).toBe(0);
    expect(await redeemPayment(stub, payment)).toEqual({ ok: false, why: "expired" });
  });

  test("does not go by a time that the holder has tightened: the macaroon without that is as good", async () => {
    const { stub } = await anEmptyAccount();
    const payment = aPayment({ expiresAt: NOW + 3_600_000, redeemableUntil: NOW + 2 * DAY_MS });
    expect(await redeemPayment(stub, { ...payment, redeemableUntil: NOW + 1_000 }, payment.redeemableUntil)).toMatchObject({ ok: true });
    await ringUntil(stub, payment.redeemableUntil - 1);
    expect(await redeemPayment(stub, payment)).toEqual({ ok: false, why: "replayed" });
    await ringUntil(stub, NOW + 4 * DAY_MS);
    expect(await rows(stub)).toBe(0);
  });
});

async function aBuyer(): Promise<{ stub: ConsumerStub; id: string }> {
  const { stub } = await anEmptyAccount();
  const payment = aPayment();
  await redeemPayment(stub, payment);
  return { stub, id: payment.id };
}

describe("a paid call", () => {
  test("whose answer was lost is given back by its attempt, once, also by the next instance", async () => {
    const { stub, id } = await aBuyer();
    await askOnCredit(stub, { attempt: 7_001 });
    await askOnCredit(stub, { attempt: 7_002 });
    await stub.undo(7_001);
    await evictDurableObject(stub);
    for (let i = 0; i < 2; i++) {
      await stub.undo(7_001);
      await stub.undo(7_002);
      await stub.undo(7_003);
      expect(await spend(stub, id, 0)).toMatchObject({ left: 10 });
    }
    await evictDurableObject(stub);
    expect(await spend(stub, id, 0)).toMatchObject({ left: 10 });
    await silence(stub);
  });

  test("whose answer was cut off may be sent again once for nothing, also to the next instance", async () => {
    const { stub, id } = await aBuyer();
    const ticket = ticketOf(await askOnCredit(stub, { tag: 3 }));
    await evictDurableObject(stub);
    await stub.oweResend(ticket);
    await evictDurableObject(stub);
    await stub.oweResend(ticket);
    await stub.refund(ticket);
    expect(await spend(stub, id, 0)).toMatchObject({ left: 9 });
    const again = ticketOf(await askOnCredit(stub, { tag: 3 }));
    expect(await spend(stub, id, 0)).toMatchObject({ left: 9 });
    await stub.oweResend(again);
    ticketOf(await askOnCredit(stub, { tag: 3 }));
    expect(await spend(stub, id, 0)).toMatchObject({ left: 8 });
    await silence(stub);
  });
});
