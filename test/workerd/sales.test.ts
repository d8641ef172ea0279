/** Open invoices in the consumer's object in real workerd: offered again, different ones at once, few, and none twice that is paid. */

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { MAX_OPEN_SALES, type Sale } from "../../durable-objects/sales.ts";
import { type ConsumerStub, newName, silence } from "./asking.ts";
import { aPayment, aSale, DAY_MS, keepSale, NOW, offerSale, ORDER, redeemPayment } from "./sold.ts";

let stub: ConsumerStub;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"], now: NOW });
  stub = env.CONSUMERS.getByName(newName());
});

afterEach(async () => {
  await silence(stub);
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Makes an invoice as a gate does that has leave to. */
async function make(more: Partial<Sale> = {}): Promise<Sale> {
  expect(await offerSale(stub, { ...ORDER, ...pick(more) })).toEqual({ kind: "make" });
  const sale = aSale(more);
  await keepSale(stub, sale);
  return sale;
}

function pick({
  keyId = ORDER.keyId,
  network = ORDER.network,
  plan = ORDER.plan,
  calls = ORDER.calls,
  priceSats = ORDER.priceSats,
}: Partial<Sale>): typeof ORDER {
  return { keyId, network, plan, calls, priceSats };
}

async function makeAll(): Promise<Sale[]> {
  const sales: Sale[] = [];
  for (let i = 0; i < MAX_OPEN_SALES; i++) sales.push(await make());
  return sales;
}

/** The invoices that are offered, each time one. */
async function offered(times: number): Promise<string[]> {
  const invoices: string[] = [];
  for (let i = 0; i < times; i++) {
    const offer = await offerSale(stub);
    invoices.push(offer.kind === "open" ? offer.sale.paymentHash : offer.kind);
  }
  return invoices;
}

const hashes = (sales: readonly Sale[]): string[] => sales.map(({ paymentHash }) => paymentHash);

/** Lets an answer that can be given at once be given, and no time pass. */
async function isWaiting(answer: Promise<unknown>): Promise<boolean> {
  let isThere = false;
  void answer.then(() => (isThere = true));
  await runInDurableObject(stub, () => {});
  await runInDurableObject(stub, () => {});
  return !isThere;
}

describe("an open invoice", () => {
  test("is offered again to the same order once ten seconds have passed, also after a restart", async () => {
    const sale = await make();
    expect(await offered(1)).toEqual(["make"]);
    await keepSale(stub, null);
    vi.setSystemTime(NOW + 10_000);
    expect(await offerSale(stub)).toEqual({ kind: "open", sale });
    await evictDurableObject(stub);
    expect(await offerSale(stub)).toEqual({ kind: "open", sale });
  });

  test.each([{ plan: "free" }, { calls: 20 }, { priceSats: 40 }])("is not offered to another order, %o", async (other) => {
    await make();
    vi.setSystemTime(NOW + 10_000);
    expect(await offerSale(stub, { ...ORDER, ...other })).toEqual({ kind: "make" });
  });

  test("is not offered with less than two minutes left to pay it, nor by a new instance", async () => {
    const { expiresAt, paymentHash } = await make();
    vi.setSystemTime(expiresAt - 120_000);
    expect(await offered(1)).toEqual([paymentHash]);
    vi.setSystemTime(expiresAt - 119_999);
    expect(await offered(1)).toEqual(["make"]);
    await evictDurableObject(stub);
    expect(await offered(1)).toEqual(["make"]);
  });

  test("is a different one for each refusal at the same moment, as long as there are", async () => {
    const sales = await makeAll();
    vi.setSystemTime(NOW + 10_000);
    const all = await offered(MAX_OPEN_SALES);
    expect(new Set(all)).toEqual(new Set(hashes(sales)));
    // No more are made: the one that was offered longest ago is offered again.
    expect(await offered(MAX_OPEN_SALES)).toEqual(all);
  });

  test("that has been paid is not offered any more, in this instance and the next", async () => {
    const [paid, open] = [await make(), await make()];
    vi.setSystemTime(NOW + 10_000);
    expect(await redeemPayment(stub, aPayment({ id: paid.paymentHash }))).toMatchObject({ ok: true });
    expect(await offered(2)).toEqual([open.paymentHash, "make"]);
    await evictDurableObject(stub);
    vi.setSystemTime(NOW + 20_000);
    expect(await offered(2)).toEqual([open.paymentHash, "make"]);
  });

  test("that was paid before the object was told of it is not offered either", async () => {
    const sale = aSale();
    expect(await offered(1)).toEqual(["make"]);
    expect(await redeemPayment(stub, aPayment({ id: sale.paymentHash }))).toMatchObject({ ok: true });
    await keepSale(stub, sale);
    vi.setSystemTime(NOW + 10_000);
    expect(await offered(1)).toEqual(["make"]);
  });

  test("that could not be stored is not offered: its payment is good all the same", async () => {
    const sale = aSale();
    expect(await offered(1)).toEqual(["make"]);
    await runInDurableObject(stub, (_object, state) => {
      vi.spyOn(state.storage.kv, "put").mockImplementation(() => {
        throw new Error("storage is away");
      });
    });
    await expect(keepSale(stub, sale)).rejects.toThrow("storage is away");
    vi.restoreAllMocks();
    vi.setSystemTime(NOW + 10_000);
    expect(await offered(1)).toEqual(["make"]);
    expect(await redeemPayment(stub, aPayment({ id: sale.paymentHash }))).toMatchObject({ ok: true });
  });
});

describe("no more than eight are open", () => {
  test("or being made, at once: of a thousand that ask, eight make one, and the others share what they have made", async () => {
    const asked = Array.from({ length: 1_000 }, () => offerSale(stub));
    const first = await Promise.race([...asked, new Promise((resolve) => setTimeout(resolve, 5_000))]);
    expect(first).toEqual({ kind: "make" });
    const sales = Array.from({ length: MAX_OPEN_SALES }, () => aSale());
    for (const sale of sales) await keepSale(stub, sale);
    const offers = await Promise.all(asked);
    expect(offers.filter(({ kind }) => kind === "make")).toHaveLength(MAX_OPEN_SALES);
    const shared = offers.flatMap((offer) => (offer.kind === "open" ? [offer.sale.paymentHash] : []));
    expect(shared).toHaveLength(1_000 - MAX_OPEN_SALES);
    for (const hash of shared) expect(hashes(sales)).toContain(hash);
  });

  test("of all orders together: a further one of another kind finds it full", async () => {
    await makeAll();
    expect(await offerSale(stub, { ...ORDER, calls: 20 })).toEqual({ kind: "full" });
    vi.setSystemTime(NOW + 900_000 - 119_000);
    expect(await offerSale(stub, { ...ORDER, calls: 20 })).toEqual({ kind: "make" });
  });

  test("and one that is redeemed makes room", async () => {
    const [first] = await makeAll();
    await redeemPayment(stub, aPayment({ id: first!.paymentHash }));
    expect(await offerSale(stub, { ...ORDER, calls: 20 })).toEqual({ kind: "make" });
  });
});

async function askForAll(): Promise<void> {
  expect(await offered(MAX_OPEN_SALES)).toEqual(Array.from({ length: MAX_OPEN_SALES }, () => "make"));
}

describe("while all are being made, whoever asks", () => {
  test("waits for the next that is made", async () => {
    await askForAll();
    const waiting = offerSale(stub);
    expect(await isWaiting(waiting)).toBe(true);
    const sale = aSale();
    await keepSale(stub, sale);
    expect(await waiting).toEqual({ kind: "open", sale });
  });

  test("is given leave in place of one that could not", async () => {
    await askForAll();
    const waiting = offerSale(stub);
    expect(await isWaiting(waiting)).toBe(true);
    await keepSale(stub, null);
    expect(await waiting).toEqual({ kind: "make" });
  });

  test("is given leave in place of one that has died, six seconds later", async () => {
    await askForAll();
    const waiting = offerSale(stub);
    expect(await isWaiting(waiting)).toBe(true);
    await runInDurableObject(stub, () => vi.advanceTimersByTimeAsync(6_001));
    expect(await waiting).toEqual({ kind: "make" });
    await evictDurableObject(stub);
    expect(await offered(1)).toEqual(["make"]);
  });

  test("with another order than theirs waits no longer than a gate does", async () => {
    await askForAll();
    const waiting = offerSale(stub, { ...ORDER, calls: 20 });
    for (let i = 0; i < MAX_OPEN_SALES; i++) await keepSale(stub, aSale());
    expect(await waiting).toEqual({ kind: "full" });
  });
});

describe("the alarm", () => {
  test("forgets an invoice that cannot be paid any more, and what is paid for it afterwards counts", async () => {
    const { expiresAt, paymentHash } = await make();
    const rows = (): Promise<number> => runInDurableObject(stub, (_object, state) => [...state.storage.kv.list()].length);
    vi.setSystemTime(expiresAt - 1);
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await rows()).toBeGreaterThan(0);
    vi.setSystemTime(expiresAt);
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await rows()).toBe(0);
    // Handed in a while after it was paid in time.
    vi.setSystemTime(expiresAt + DAY_MS - 1);
    expect(await redeemPayment(stub, aPayment({ id: paymentHash, redeemableUntil: expiresAt + DAY_MS }))).toMatchObject({ ok: true });
  });
});
