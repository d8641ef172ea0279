/** Credits in the consumer's object in real workerd: over eviction, aborts, failing writes, alarms and a thousand at once. */

import { abortAllDurableObjects, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { undoConsumer } from "../../durable-objects/ask-consumer.ts";
import type { Redeemed, Redemption } from "../../src/limits/credits.ts";
import { askAtOnce, askOnCredit, admittedIn, type ConsumerStub, newName, silence, SLOW, spend } from "./asking.ts";

const NOW = Date.UTC(2026, 10, 21, 12);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"], now: NOW });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

let redemptions = 0;

function aRedemption(more: Partial<Redemption> = {}): Redemption {
  return {
    id: `challenge-${++redemptions}`,
    redeemableUntil: NOW + 300_000,
    solvesAtIssue: 0,
    calls: 5,
    expiresAt: NOW + 300_000,
    keptFor: { tag: 0, cost: 0 },
    rate: { burst: 20, perMinute: 1 },
    ...more,
  };
}

async function redeem(stub: ConsumerStub, redemption: Redemption): Promise<Redeemed> {
  return JSON.parse(await stub.redeem(redemption)) as Redeemed;
}

async function anEmptyAccount(): Promise<{ name: string; stub: ConsumerStub }> {
  const name = newName();
  const stub = env.CONSUMERS.getByName(name);
  expect(admittedIn(await askAtOnce(20, () => askOnCredit(stub)))).toBe(20);
  return { name, stub };
}

describe("a credit in the object", () => {
  test("is there, and its solution is spent, after eviction and after an abort", async () => {
    const { name, stub } = await anEmptyAccount();
    const solved = aRedemption();
    expect(await redeem(stub, solved)).toMatchObject({ ok: true, calls: 5 });
    await evictDurableObject(stub);
    expect(await redeem(stub, solved)).toEqual({ ok: false, why: "replayed" });
    expect(await askOnCredit(stub)).toMatchObject({ kind: "admit", paidUnits: 1 });
    await abortAllDurableObjects();
    const again = env.CONSUMERS.getByName(name);
    expect(await redeem(again, solved)).toEqual({ ok: false, why: "replayed" });
    expect(await spend(again, solved.id, 0)).toMatchObject({ left: 4 });
    await silence(again);
  });

  test("is spent as often as it says, whatever is aborted in between", async () => {
    const { name } = await anEmptyAccount();
    const fresh = (): ConsumerStub => env.CONSUMERS.getByName(name);
    const solved = aRedemption({ calls: 12 });
    await redeem(fresh(), solved);
    let paid = 0;
    for (let round = 0; round < 4; round++) {
      const [calls, passes] = await Promise.all([
        askAtOnce(4, () => askOnCredit(fresh())),
        Promise.allSettled(Array.from({ length: 4 }, () => spend(fresh(), solved.id, 1))),
        abortAllDurableObjects(),
      ]);
      paid += admittedIn(calls) + passes.filter((one) => one.status === "fulfilled" && one.value.ticket !== null).length;
    }
    paid += admittedIn(await askAtOnce(20, () => askOnCredit(fresh())));
    // What was written and not answered is lost to the caller, and never given twice.
    expect(paid).toBeLessThanOrEqual(12);
    expect(await spend(fresh(), solved.id, 0)).toMatchObject({ left: 0 });
    await silence(fresh());
  });

  test("a thousand solutions of one challenge at once are one credit, and a thousand challenges no more than fit", async () => {
    const { stub } = await anEmptyAccount();
    const solved = aRedemption();
    const replies = await Promise.all(Array.from({ length: 1_000 }, () => redeem(stub, solved)));
    expect(replies.filter(({ ok }) => ok)).toHaveLength(1);
    const others = await Promise.all(Array.from({ length: 1_000 }, () => redeem(stub, aRedemption())));
    // Five were issued before too many others had been solved.
    expect(others.filter(({ ok }) => ok)).toHaveLength(4);
    expect(admittedIn(await askAtOnce(100, () => askOnCredit(stub)))).toBe(20);
    await silence(stub);
  });

  test("that cannot be written is not won, and its solution stays good", async () => {
    const { stub } = await anEmptyAccount();
    const solved = aRedemption();
    await runInDurableObject(stub, (_object, state) => {
      vi.spyOn(state.storage.kv, "put").mockImplementation(() => {
        throw new Error("storage is away");
      });
    });
    await expect(redeem(stub, solved)).rejects.toThrow("storage is away");
    vi.restoreAllMocks();
    expect(await askOnCredit(stub)).toMatchObject({ kind: "refuse", hasCredit: false });
    expect(await redeem(stub, solved)).toMatchObject({ ok: true });
    await silence(stub);
  });

  test("is given back for a question that had no answer in time, also when that comes to be decided after it was given up", async () => {
    vi.useRealTimers();
    const { name, stub } = await anEmptyAccount();
    const solved = aRedemption({ redeemableUntil: Date.now() + 300_000, expiresAt: Date.now() + 300_000 });
    await redeem(stub, solved);
    const attempt = 7_000_000;
    const undone = undoConsumer(env.CONSUMERS, name, attempt);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await askOnCredit(stub, { attempt })).toMatchObject({ kind: "admit", paidUnits: 1 });
    await undone;
    expect(await spend(stub, solved.id, 0)).toMatchObject({ left: 5 });
    await silence(stub);
  });

  test("given back is stored at once, and once, also by an instance that did not take it", async () => {
    const { stub } = await anEmptyAccount();
    const solved = aRedemption();
    await redeem(stub, solved);
    const [first, second] = [await spend(stub, solved.id, 2), await askOnCredit(stub)];
    if (first.ticket === null || second.kind !== "admit") throw new Error("must be paid");
    await stub.refund(first.ticket);
    await stub.refund(first.ticket);
    await evictDurableObject(stub);
    expect(await spend(stub, solved.id, 0)).toMatchObject({ left: 4 });
    await stub.refund(second.ticket);
    await evictDurableObject(stub);
    await stub.refund(second.ticket);
    expect(await spend(stub, solved.id, 0)).toMatchObject({ left: 5 });
    await silence(stub);
  });

  test("is kept by the alarm for as long as it lasts, and its solution for as long as it could come again", async () => {
    const { stub } = await anEmptyAccount();
    const lasting = aRedemption({ expiresAt: NOW + 3_600_000 });
    await redeem(stub, lasting);
    vi.setSystemTime(NOW + 3_599_000);
    await runDurableObjectAlarm(stub);
    expect(await spend(stub, lasting.id, 0)).toMatchObject({ left: 5 });
    vi.setSystemTime(NOW + 3_600_000);
    await runDurableObjectAlarm(stub);
    expect(await runInDurableObject(stub, (_object, state) => [...state.storage.kv.list()].length)).toBe(0);
    expect(await redeem(stub, lasting)).toEqual({ ok: false, why: "expired" });
    await silence(stub);
  });

  test("on an account that has not been asked for long is spent by a pass no faster than its plan", async () => {
    const stub = env.CONSUMERS.getByName(newName());
    const solved = aRedemption({ calls: 50, rate: { burst: 3, perMinute: 3 } });
    await redeem(stub, solved);
    await evictDurableObject(stub);
    const spends = await Promise.all(Array.from({ length: 20 }, () => spend(stub, solved.id, 1)));
    expect(spends.filter(({ ticket }) => ticket !== null)).toHaveLength(3);
    // A backend sells what the origin never sees.
    expect(await spend(stub, solved.id, 40, null)).toMatchObject({ left: 7 });
    await silence(stub);
  });

  test("what looks at it writes nothing", async () => {
    const { stub } = await anEmptyAccount();
    const solved = aRedemption({ calls: 1 });
    await redeem(stub, solved);
    await askOnCredit(stub);
    const puts = await runInDurableObject(stub, (_object, state) => vi.spyOn(state.storage.kv, "put"));
    for (let i = 0; i < 20; i++) {
      expect((await askOnCredit(stub)).kind).toBe("refuse");
      await stub.status(JSON.stringify(SLOW), "");
      await spend(stub, solved.id, 0);
      await redeem(stub, solved);
    }
    expect(puts).not.toHaveBeenCalled();
    await silence(stub);
  });
});
