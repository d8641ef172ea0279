/** Slots in the consumer's object: lent in turn, run out in time, and remembered over evictions and crashes. */

import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { SlotAnswer } from "../../durable-objects/slot-queue.ts";
import type { LeaseTicket } from "../../src/limits/slots.ts";
import { type ConsumerStub, newName } from "./asking.ts";

const START = Date.UTC(2026, 10, 21, 12);
const LEASE_MS = 30_000;

beforeEach(() => {
  // The object's clock alone: its timers are real.
  vi.useFakeTimers({ toFake: ["Date"], now: START });
});
afterEach(() => {
  vi.useRealTimers();
});

async function acquire(stub: ConsumerStub, most: number, maxWaitMs = 0, units = 1): Promise<SlotAnswer> {
  return JSON.parse(await stub.acquireSlots("calls", units, most, maxWaitMs)) as SlotAnswer;
}

async function lease(stub: ConsumerStub, most: number): Promise<LeaseTicket> {
  const answer = await acquire(stub, most);
  if (answer.kind !== "lent") throw new Error("must be lent");
  return answer.lease;
}

async function rows(stub: ConsumerStub): Promise<unknown> {
  return runInDurableObject(stub, (_object, state) => state.storage.kv.get("account"));
}

describe("waiting for a slot", () => {
  test("is first come, first served, and by all or none of a batch's slots", async () => {
    const stub = env.CONSUMERS.getByName(newName());
    const first = await lease(stub, 2);
    const second = await lease(stub, 2);
    const order: string[] = [];
    const waiting = [
      acquire(stub, 2, 5_000, 2).then((answer) => {
        order.push(`batch ${answer.kind}`);
        return answer.kind === "lent" ? answer.lease : null;
      }),
      acquire(stub, 2, 5_000).then((answer) => {
        order.push(`late ${answer.kind}`);
        return null;
      }),
    ];
    await stub.returnSlots("calls", first);
    await stub.returnSlots("calls", second);
    const batch = await waiting[0];
    expect(order).toEqual(["batch lent"]);
    await stub.returnSlots("calls", batch!);
    await waiting[1];
    expect(order).toEqual(["batch lent", "late lent"]);
  });

  test("ends after the time it may take, with an estimate from how long calls have taken", async () => {
    const stub = env.CONSUMERS.getByName(newName());
    const short = await lease(stub, 1);
    vi.setSystemTime(START + 8_000);
    await stub.returnSlots("calls", short);
    await lease(stub, 1);
    expect(await acquire(stub, 1, 0)).toEqual({ kind: "full", estimateMs: 8_000 });
    const waited = acquire(stub, 1, 50);
    await new Promise((resolve) => setTimeout(resolve, 10));
    vi.setSystemTime(START + 9_000);
    expect(await waited).toMatchObject({ kind: "full" });
  });
});

describe("a slot whose gate is gone", () => {
  test("is free again when its lease has run out, and a renewed one is not", async () => {
    const stub = env.CONSUMERS.getByName(newName());
    await lease(stub, 2);
    const kept = await lease(stub, 2);
    vi.setSystemTime(START + LEASE_MS - 1);
    expect((await acquire(stub, 2)).kind).toBe("full");
    expect(JSON.parse(await stub.renewSlots("calls", kept))).toMatchObject({ until: START + 2 * LEASE_MS - 1 });
    vi.setSystemTime(START + LEASE_MS);
    expect((await acquire(stub, 2)).kind).toBe("lent");
    expect((await acquire(stub, 2)).kind).toBe("full");
  });
});

describe.each([
  ["an eviction", (stub: ConsumerStub) => evictDurableObject(stub)],
  ["a crash", () => abortAllDurableObjects()],
])("after %s", (_what, end) => {
  test("slots that were lent stay lent, until their gates give them back or their time is over", async () => {
    const name = newName();
    const stub = env.CONSUMERS.getByName(name);
    const leases = [await lease(stub, 4), await lease(stub, 4), await lease(stub, 4), await lease(stub, 4)];
    await end(stub);
    const again = env.CONSUMERS.getByName(name);
    expect((await acquire(again, 4)).kind).toBe("full");
    await again.returnSlots("calls", leases[0]!);
    expect((await acquire(again, 4)).kind).toBe("lent");
    expect((await acquire(again, 4)).kind).toBe("full");
    expect(JSON.parse(await again.renewSlots("calls", leases[1]!))).toMatchObject({ units: 1 });
    // What a crash leaves behind is free after twice a lease at the latest.
    vi.setSystemTime(START + 2 * LEASE_MS);
    const free: string[] = [];
    for (let i = 0; i < 5; i++) free.push((await acquire(again, 4)).kind);
    expect(free).toEqual(["lent", "lent", "lent", "lent", "full"]);
  });
});

describe("what slots cost in rows", () => {
  test("is a row for many calls one after the other, and none is left when all have come back", async () => {
    const name = newName();
    const stub = env.CONSUMERS.getByName(name);
    const writes = await runInDurableObject(stub, (_object, state) => vi.spyOn(state.storage.kv, "put"));
    for (let i = 0; i < 100; i++) await stub.returnSlots("calls", await lease(stub, 4));
    expect(writes).toHaveBeenCalledTimes(1);
    expect(await rows(stub)).toHaveProperty("rest");
    vi.setSystemTime(START + 20_000);
    await expect.poll(async () => JSON.stringify((await rows(stub)) ?? {}), { timeout: 15_000 }).not.toContain("rest");
  });
});
