/** Who waits for a slot is served in turn, whatever happens to the plan, the clock or the storage meanwhile. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type SlotAnswer, SlotQueue } from "../../durable-objects/slot-queue.ts";

const START = Date.UTC(2026, 10, 21, 12);
const LEASE_MS = 30_000;
const SHORTLY_MS = 100;

let now = START;
let queue: SlotQueue;
let store: () => void;
beforeEach(() => {
  // The clock alone: timers are real.
  vi.useFakeTimers({ toFake: ["Date"], now: (now = START) });
  let ids = 0;
  store = () => undefined;
  queue = new SlotQueue(
    () => ++ids,
    () => store(),
  );
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

async function lease(most: number, units = 1) {
  const answer = await queue.acquire(units, most, 0, now);
  if (answer.kind !== "lent") throw new Error("must be lent");
  return answer.lease;
}

/** Waits, and says what came of it. */
async function wait(most: number, maxWaitMs = 10_000, units = 1): Promise<SlotAnswer["kind"] | "failed"> {
  try {
    return (await queue.acquire(units, most, maxWaitMs, now)).kind;
  } catch {
    return "failed";
  }
}

const shortly = () => new Promise<"waits">((resolve) => setTimeout(() => resolve("waits"), SHORTLY_MS));

describe("those who wait", () => {
  test("with a smaller number do not keep back whoever has a larger one", async () => {
    const held = await lease(1);
    const small = wait(1);
    expect(await wait(5, 0)).toBe("lent");
    expect(await wait(Number.MAX_SAFE_INTEGER, 0)).toBe("lent");
    queue.giveBack(held, now);
    // Two others are still lent, and its number is one.
    expect(await Promise.race([small, shortly()])).toBe("waits");
  });

  test("with the same number do, and one who needs many is not passed by those who need one", async () => {
    const leases = [await lease(3), await lease(3), await lease(3)];
    const batch = wait(3, 10_000, 3);
    const single = wait(3);
    queue.giveBack(leases[0]!, now);
    queue.giveBack(leases[1]!, now);
    expect(await Promise.race([batch, single, shortly()])).toBe("waits");
    queue.giveBack(leases[2]!, now);
    expect(await batch).toBe("lent");
    expect(await Promise.race([single, shortly()])).toBe("waits");
  });

  test("behind one with a smaller number get what is free for them", async () => {
    const leases = [await lease(4), await lease(4), await lease(4), await lease(4)];
    const small = wait(2);
    const large = wait(4);
    queue.giveBack(leases[0]!, now);
    expect(await large).toBe("lent");
    expect(await Promise.race([small, shortly()])).toBe("waits");
  });

  test("are told in time when the clock is set back", async () => {
    await lease(1);
    const waiting = wait(1, 50);
    vi.setSystemTime((now = START - 3_600_000));
    queue.renew({ id: 99, units: 1, until: 0, forMs: 0 }, now);
    vi.setSystemTime((now += 60));
    expect(await Promise.race([waiting, shortly()])).toBe("full");
  });

  test("are told when their slot cannot be stored, and the next in turn gets it", async () => {
    const held = await lease(1);
    const first = wait(1);
    const second = wait(1);
    let writes = 0;
    // The row is written when the slot comes back, and again when it is lent.
    store = () => {
      if (++writes !== 2) return;
      queue.load(undefined);
      throw new Error("no storage");
    };
    queue.giveBack(held, now);
    expect(await first).toBe("failed");
    expect(await second).toBe("lent");
  });
});

test("waiting costs no timer after timer when slots of an earlier instance have run out", async () => {
  queue.load({ units: 4, until: START + LEASE_MS });
  vi.setSystemTime((now = START + LEASE_MS + 1));
  await lease(1);
  const timers = vi.spyOn(globalThis, "setTimeout");
  const waiting = wait(1, 5_000);
  await shortly();
  expect(timers.mock.calls.length).toBeLessThan(5);
  vi.setSystemTime((now += 5_000));
  queue.renew({ id: 99, units: 1, until: 0, forMs: 0 }, now);
  void waiting;
});
