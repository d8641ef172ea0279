/** The consumer's object in real workerd: what eviction, alarms, failing writes, aborts and concurrency leave of its promises. */

import { abortAllDurableObjects, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Limit } from "../../src/limits/limit.ts";
import { admittedIn, askAtOnce, askFor, type ConsumerStub, newName, rate } from "./asking.ts";

const NOW = Date.UTC(2026, 10, 21, 12);
const QUIET_MS = 5_000;
const KEY_ID = "ab".repeat(32);

beforeEach(() => {
  // The quiet timer too: a timer that waits for five real seconds would keep the object from being evicted.
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"], now: NOW });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function fresh(): ConsumerStub {
  return env.CONSUMERS.getByName(newName());
}

/** Alarms outlive a test otherwise. */
async function silence(stub: ConsumerStub): Promise<void> {
  await runInDurableObject(stub, (_object, state) => state.storage.deleteAlarm());
}

/** Five seconds in which nobody calls, and then the object is gone from memory. */
async function evictWhenQuiet(stub: ConsumerStub): Promise<void> {
  // The timer belongs to the object: it must fire in there.
  await runInDurableObject(stub, () => void vi.advanceTimersByTime(QUIET_MS));
  await evictDurableObject(stub);
}

async function storedRows(stub: ConsumerStub): Promise<number> {
  return runInDurableObject(stub, (_object, state) => [...state.storage.kv.list()].length);
}

describe("eviction", () => {
  test("loses nothing of what was spent", async () => {
    const stub = fresh();
    const limits = [rate(30, 6)];
    for (let i = 0; i < 3; i++) await askFor(stub, { limits });
    await evictWhenQuiet(stub);
    // Three spent, half a token won back in five seconds, one more spent.
    expect(await askFor(stub, { limits })).toMatchObject({ kind: "admit", meters: [{ remaining: 26, resetMs: 5_000 }] });
    await silence(stub);
  });

  test("loses nothing of windows and held calls", async () => {
    const stub = fresh();
    const limits: Limit[] = [
      rate(20, 60),
      { kind: "quota", slot: "quota:day", name: "daily", calls: 50, per: "day", mode: "enforce" },
      { kind: "quota", slot: "quota:3600000", name: "hourly", calls: 40, per: 3_600_000, mode: "enforce" },
    ];
    await askFor(stub, { limits, calls: 20 });
    expect(await askFor(stub, { limits, calls: 10, maxWaitMs: 10_000 })).toMatchObject({ kind: "admit", waitMs: 10_000 });
    await evictWhenQuiet(stub);
    expect(await askFor(stub, { limits })).toMatchObject({
      kind: "refuse",
      cause: "rate",
      retryAfterMs: 6_000,
      meters: [{ remaining: 0 }, { remaining: 20 }, { remaining: 10 }],
    });
    await silence(stub);
  });

  test("after five quiet seconds the row holds the exact value, also for a consumer that was busy", async () => {
    const stub = fresh();
    const limits = [rate(600, 60)];
    for (let i = 0; i < 100; i++) await askFor(stub, { limits });
    await evictWhenQuiet(stub);
    // A hundred spent, five won back, one more spent.
    expect(await askFor(stub, { limits })).toMatchObject({ kind: "admit", meters: [{ remaining: 504, resetMs: 1_000 }] });
    await silence(stub);
  });

  test("is quiet: the timer looks again while calls keep coming, and writes no more than it must", async () => {
    const stub = fresh();
    const limits = [rate(600)];
    const puts = await runInDurableObject(stub, (_object, state) => vi.spyOn(state.storage.kv, "put"));
    await askFor(stub, { limits });
    await askFor(stub, { limits });
    await runInDurableObject(stub, () => void vi.advanceTimersByTime(QUIET_MS - 1_000));
    await askFor(stub, { limits });
    const before = puts.mock.calls.length;
    await runInDurableObject(stub, () => void vi.advanceTimersByTime(QUIET_MS - 1));
    const whileBusy = puts.mock.calls.length;
    await runInDurableObject(stub, () => void vi.advanceTimersByTime(1));
    expect(whileBusy).toBe(before);
    expect(puts.mock.calls.length).toBeLessThanOrEqual(before + 1);
    await runInDurableObject(stub, () => void vi.advanceTimersByTime(60_000));
    expect(puts.mock.calls.length).toBeLessThanOrEqual(before + 1);
    await silence(stub);
  });

  test("before that a crash costs a busy consumer an eighth of its burst at most, and never gives any back", async () => {
    const name = newName();
    const limits = [rate(600)];
    for (let i = 0; i < 100; i++) await askFor(env.CONSUMERS.getByName(name), { limits });
    await abortAllDurableObjects();
    const stub = env.CONSUMERS.getByName(name);
    const answer = await askFor(stub, { limits });
    if (answer.kind !== "admit") throw new Error("must pass");
    expect(answer.meters[0]!.remaining).toBeLessThanOrEqual(499);
    expect(answer.meters[0]!.remaining).toBeGreaterThanOrEqual(499 - 600 / 8);
    await silence(stub);
  });

  test("leaves the told time true after a plan was cut", async () => {
    const stub = fresh();
    await askFor(stub, { limits: [rate(600)], calls: 600 });
    const told = await askFor(stub, { limits: [rate(30)], maxWaitMs: 10_000 });
    if (told.kind !== "refuse") throw new Error("must be refused");
    expect(told.retryAfterMs).toBe((571 / 30) * 60_000);
    await evictWhenQuiet(stub);
    vi.setSystemTime(NOW + told.retryAfterMs - 11_000);
    expect(await askFor(stub, { limits: [rate(30)], maxWaitMs: 10_000 })).toMatchObject({ kind: "refuse", retryAfterMs: 11_000 });
    vi.setSystemTime(NOW + told.retryAfterMs);
    expect(await askFor(stub, { limits: [rate(30)], maxWaitMs: 10_000 })).toMatchObject({ kind: "admit", waitMs: 0 });
    await silence(stub);
  });
});

describe("the alarm", () => {
  test("deletes everything once nothing is left to remember", async () => {
    const stub = fresh();
    await askFor(stub, { calls: 10 });
    expect(await storedRows(stub)).toBe(1);
    vi.setSystemTime(NOW + 120_000);
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await storedRows(stub)).toBe(0);
    expect(await runInDurableObject(stub, (_object, state) => state.storage.getAlarm())).toBeNull();
    expect(await askFor(stub)).toMatchObject({ kind: "admit", meters: [{ remaining: 29 }] });
    await silence(stub);
  });

  test("keeps a busy object, and looks again later", async () => {
    const stub = fresh();
    const limits = [rate(30, 1)];
    await askFor(stub, { limits, calls: 30 });
    vi.setSystemTime(NOW + 120_000);
    await runDurableObjectAlarm(stub);
    expect(await storedRows(stub)).toBe(1);
    expect(await runInDurableObject(stub, (_object, state) => state.storage.getAlarm())).toBeGreaterThan(NOW + 120_000);
    await evictDurableObject(stub);
    expect(await askFor(stub, { limits })).toMatchObject({ kind: "admit", meters: [{ remaining: 1 }] });
    await silence(stub);
  });

  test("keeps a pushed record for ten minutes, and not for longer", async () => {
    const stub = fresh();
    await stub.pushKey(KEY_ID, 2, "{}");
    vi.setSystemTime(NOW + 599_000);
    await runDurableObjectAlarm(stub);
    expect(await storedRows(stub)).toBeGreaterThan(0);
    vi.setSystemTime(NOW + 601_000);
    await runDurableObjectAlarm(stub);
    expect(await storedRows(stub)).toBe(0);
    await silence(stub);
  });
});

describe("a write that fails", () => {
  test("answers an error and takes nothing", async () => {
    const stub = fresh();
    await askFor(stub, { calls: 4 });
    await runInDurableObject(stub, (_object, state) => {
      vi.spyOn(state.storage.kv, "put").mockImplementation(() => {
        throw new Error("storage is away");
      });
    });
    await expect(askFor(stub)).rejects.toThrow("storage is away");
    await expect(askFor(stub)).rejects.toThrow("storage is away");
    vi.restoreAllMocks();
    expect(await askFor(stub)).toMatchObject({ kind: "admit", meters: [{ remaining: 25 }] });
    await evictDurableObject(stub);
    expect(await askFor(stub)).toMatchObject({ kind: "admit", meters: [{ remaining: 24 }] });
    await silence(stub);
  });

  test("of a pushed record is told to whoever pushed it, and changes nothing", async () => {
    const stub = fresh();
    await runInDurableObject(stub, (_object, state) => {
      vi.spyOn(state.storage.kv, "put").mockImplementation(() => {
        throw new Error("storage is away");
      });
    });
    const push = async (): Promise<void> => {
      await stub.pushKey(KEY_ID, 2, "{}");
    };
    await expect(push()).rejects.toThrow("storage is away");
    vi.restoreAllMocks();
    expect(await askFor(stub, { keyId: KEY_ID, keyVersion: 1 })).toMatchObject({ kind: "admit" });
    await silence(stub);
  });
});

describe("what a call costs in rows", () => {
  test("at a steady 600 a minute at most a tenth of a row for each call admitted", async () => {
    const stub = fresh();
    const limits: Limit[] = [rate(600), { kind: "quota", slot: "quota:day", name: "daily", calls: 100_000, per: "day", mode: "enforce" }];
    const written = await runInDurableObject(stub, (_object, state) => ({
      puts: vi.spyOn(state.storage.kv, "put"),
      alarms: vi.spyOn(state.storage, "setAlarm"),
    }));
    let admitted = 0;
    for (let i = 0; i < 1_200; i++) {
      vi.setSystemTime(NOW + i * 100);
      if ((await askFor(stub, { limits })).kind === "admit") admitted++;
    }
    expect(admitted).toBe(1_200);
    const rows = written.puts.mock.calls.length + written.alarms.mock.calls.length;
    expect(rows).toBeGreaterThan(0);
    expect(rows / admitted).toBeLessThanOrEqual(0.1);
    await silence(stub);
  });

  test("a refused call writes nothing", async () => {
    const stub = fresh();
    await askFor(stub, { calls: 30 });
    const puts = await runInDurableObject(stub, (_object, state) => vi.spyOn(state.storage.kv, "put"));
    for (let i = 0; i < 50; i++) expect((await askFor(stub)).kind).toBe("refuse");
    expect(puts).not.toHaveBeenCalled();
    await silence(stub);
  });
});

describe("a pushed record", () => {
  test("is answered to a caller whose record is older, for five minutes", async () => {
    const stub = fresh();
    await stub.pushKey(KEY_ID, 3, '{"plan":"pro"}');
    expect(await askFor(stub, { keyId: KEY_ID, keyVersion: 2 })).toEqual({ kind: "stale", record: '{"plan":"pro"}' });
    vi.setSystemTime(NOW + 299_999);
    expect((await askFor(stub, { keyId: KEY_ID, keyVersion: 2 })).kind).toBe("stale");
    vi.setSystemTime(NOW + 300_000);
    expect((await askFor(stub, { keyId: KEY_ID, keyVersion: 2 })).kind).toBe("admit");
    await silence(stub);
  });

  test("is no business of callers who know it, of other keys, or of callers without one", async () => {
    const stub = fresh();
    await stub.pushKey(KEY_ID, 3, "{}");
    expect((await askFor(stub, { keyId: KEY_ID, keyVersion: 3 })).kind).toBe("admit");
    expect((await askFor(stub, { keyId: "cd".repeat(32), keyVersion: 1 })).kind).toBe("admit");
    expect((await askFor(stub)).kind).toBe("admit");
    await silence(stub);
  });

  test("survives eviction, and a stale answer takes nothing", async () => {
    const stub = fresh();
    await stub.pushKey(KEY_ID, 2, "{}");
    await evictDurableObject(stub);
    expect((await askFor(stub, { keyId: KEY_ID, keyVersion: 1 })).kind).toBe("stale");
    expect(await askFor(stub, { keyId: KEY_ID, keyVersion: 2 })).toMatchObject({ kind: "admit", meters: [{ remaining: 29 }] });
    await silence(stub);
  });
});

describe("concurrency", () => {
  test("two hundred at once on a burst of 30 admit exactly 30", async () => {
    const name = newName();
    const answers = await askAtOnce(200, () => askFor(env.CONSUMERS.getByName(name)));
    expect(answers).toHaveLength(200);
    expect(admittedIn(answers)).toBe(30);
    await silence(env.CONSUMERS.getByName(name));
  });

  test.each([30, 600])("an abort half-way never lets more than a burst of %i through", async (burst) => {
    const name = newName();
    const ask = () => askFor(env.CONSUMERS.getByName(name), { limits: [rate(burst)] });
    const first = askAtOnce(Math.ceil(burst * 0.7), ask);
    await ask();
    await abortAllDurableObjects();
    const second = askAtOnce(burst, ask);
    const admitted = 1 + admittedIn(await first) + admittedIn(await second);
    expect(admitted).toBeLessThanOrEqual(burst);
    expect(admitted).toBeGreaterThanOrEqual(burst - Math.ceil(burst / 8));
    await silence(env.CONSUMERS.getByName(name));
  });
});

describe("a refund", () => {
  test("gives back what was taken, once", async () => {
    const stub = fresh();
    const answer = await askFor(stub, { calls: 5 });
    if (answer.kind !== "admit") throw new Error("must pass");
    await stub.refund(answer.ticket);
    await stub.refund(answer.ticket);
    expect(await askFor(stub)).toMatchObject({ kind: "admit", meters: [{ remaining: 29 }] });
    await silence(stub);
  });

  test("is refused by an instance that did not take the tokens", async () => {
    const stub = fresh();
    const answer = await askFor(stub, { calls: 5 });
    if (answer.kind !== "admit") throw new Error("must pass");
    await evictDurableObject(stub);
    await stub.refund(answer.ticket);
    expect(await askFor(stub)).toMatchObject({ kind: "admit", meters: [{ remaining: 24 }] });
    await silence(stub);
  });

  test("gives back at most one burst in the time that a burst takes", async () => {
    const stub = fresh();
    for (let round = 0; round < 2; round++) {
      const answers = await askAtOnce(30, () => askFor(stub));
      expect(admittedIn(answers)).toBe(30);
      for (const answer of answers) if (answer.kind === "admit") await stub.refund(answer.ticket);
    }
    expect((await askFor(stub)).kind).toBe("refuse");
    await silence(stub);
  });
});
