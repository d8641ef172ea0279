/**
 * Money that was paid is never lost and never counted twice, whatever is killed in the middle of a purchase: the node, the gate
 * with all its objects, the origin. Each step is a purchase of its own; the list of them is printed at the end.
 */

import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { L402Challenge } from "../../src/challenges/l402.ts";
import { makeKey } from "../support/admin.ts";
import { scratch } from "../support/command.ts";
import type { RunningGate } from "../support/gate.ts";
import type { Answer } from "../support/http.ts";
import { answerTools, type Origin, type Respond, startOrigin } from "../support/origin.ts";
import {
  type Client,
  clientOf,
  challengesIn,
  invoiceIn,
  l402Header,
  startSellingGate,
  startTestNode,
  type TestNode,
} from "../support/selling-gate.ts";

const BOUGHT = 6;
const POLICY = {
  plans: {
    anonymous: { rate: 10 },
    buyer: { rate: { perMinute: 1, burst: 12 }, maxWaitSeconds: 0, offers: { l402: { calls: BOUGHT }, pow: { difficulty: 4 } } },
  },
};

const state = scratch();
const steps: string[] = [];
let node: TestNode;
let origin: Origin;
let gate: RunningGate;

const start = (): Promise<RunningGate> => startSellingGate(node, POLICY, { origin: origin.url, state });

/** SIGKILL to the gate and its workerd, with all objects in it, and a new one on the same state. */
async function killGate(): Promise<void> {
  await gate.kill();
  gate = await start();
}

beforeAll(async () => {
  [node, origin] = await Promise.all([startTestNode(), startOrigin()]);
  gate = await start();
});
afterAll(async () => {
  await gate.stop();
  await Promise.all([node.stop(), origin.stop()]);
  rmSync(state, { recursive: true, force: true });
  console.log(["steps of a purchase at which something was killed:", ...steps].join("\n  "));
});

/** One consumer, with whichever gate is running. */
interface Buyer {
  readonly client: () => Client;
  readonly challenge: L402Challenge;
}

async function aRefusedBuyer(): Promise<Buyer> {
  const { key } = await makeKey(gate, "buyer");
  const client = (): Client => clientOf(gate, { "X-API-Key": key });
  return { client, challenge: invoiceIn(await client().empty()) };
}

function callPaid({ client, challenge }: Buyer, preimage: string, n: number): Promise<Answer> {
  return client().call("paid", { n }, { Authorization: l402Header(challenge, preimage) });
}

/** Calls until one is refused. @returns how many passed */
async function useUp(buyer: Buyer, preimage: string): Promise<number> {
  for (let passed = 0; ; passed++) if ((await callPaid(buyer, preimage, 100 + passed)).status !== 200) return passed;
}

/** @param left calls that must be there afterwards, exactly or between two numbers */
async function expectLeft(buyer: Buyer, preimage: string, [least, most]: readonly [number, number], step: string): Promise<void> {
  const passed = await useUp(buyer, preimage);
  steps.push(`${step}: ${passed} of ${BOUGHT} bought calls passed afterwards`);
  expect(passed).toBeGreaterThanOrEqual(least);
  expect(passed).toBeLessThanOrEqual(most);
}

const ALL = [BOUGHT, BOUGHT] as const;

describe("killing the gate and its objects", () => {
  it("between the invoice, the payment, the redeeming and the calls keeps what there was", async () => {
    const [invoiced, paid, redeemed, spent] = [await aRefusedBuyer(), await aRefusedBuyer(), await aRefusedBuyer(), await aRefusedBuyer()];
    const [two, three, four] = [
      await node.pay(paid.challenge.invoice),
      await node.pay(redeemed.challenge.invoice),
      await node.pay(spent.challenge.invoice),
    ];
    await redeemed.client().post("/turnpike/verify", { macaroon: redeemed.challenge.macaroon, preimage: three });
    for (let n = 0; n < 2; n++) expect((await callPaid(spent, four, n)).status).toBe(200);
    await killGate();
    await expectLeft(invoiced, await node.pay(invoiced.challenge.invoice), ALL, "gate, after it has handed out the invoice");
    await expectLeft(paid, two, ALL, "gate, after the payment and before anybody has shown it");
    await expectLeft(redeemed, three, ALL, "gate, after verify");
    await expectLeft(spent, four, [BOUGHT - 2, BOUGHT - 2], "gate, after two paid calls");
  });

  it("while payments are handed in, over and over, makes one credit of each", async () => {
    const buyers = await paidBuyers(MOMENTS_MS.length);
    const handedIn = await upTo(MOMENTS_MS, (i) => {
      const { client, challenge, preimage } = buyers[i]!;
      return Array.from({ length: 5 }, () => client().post("/turnpike/verify", { macaroon: challenge.macaroon, preimage }));
    });
    await killGate();
    await Promise.allSettled(handedIn);
    for (const [i, buyer] of buyers.entries()) {
      await expectLeft(buyer, buyer.preimage, ALL, `gate, ${MOMENTS_MS[i]} ms into five concurrent verifies`);
    }
  });

  it("while paid calls are on their way costs no more than these", async () => {
    const buyers = await paidBuyers(MOMENTS_MS.length);
    const calls = await upTo(MOMENTS_MS, (i) => Array.from({ length: 3 }, (_, n) => callPaid(buyers[i]!, buyers[i]!.preimage, n)));
    await killGate();
    const answered = await Promise.allSettled(calls);
    for (const [i, buyer] of buyers.entries()) {
      const before = answered.slice(3 * i, 3 * i + 3).filter((call) => call.status === "fulfilled" && call.value.status === 200).length;
      // A call that was on its way when everything died may have been carried out, and one is kept for whoever redeemed the payment.
      const step = `gate, ${MOMENTS_MS[i]} ms into three paid calls (${before} answered before)`;
      await expectLeft(buyer, buyer.preimage, [BOUGHT - 3, BOUGHT - before], step);
    }
  });
});

/** How long before the gate is killed something begins. */
const MOMENTS_MS = [60, 30, 20, 14, 9, 5, 2, 0];

async function paidBuyers(count: number): Promise<(Buyer & { readonly preimage: string })[]> {
  const buyers = [];
  for (let i = 0; i < count; i++) {
    const buyer = await aRefusedBuyer();
    buyers.push({ ...buyer, preimage: await node.pay(buyer.challenge.invoice) });
  }
  return buyers;
}

/** Begins each at its moment. @returns once the last moment is there, what has begun, in the order of the moments */
async function upTo<T>(momentsMs: readonly number[], begin: (i: number) => Promise<T>[]): Promise<Promise<T>[]> {
  const begun: Promise<T>[] = [];
  for (const [i, ms] of momentsMs.entries()) {
    const some = begin(i);
    for (const one of some) one.catch(() => undefined);
    begun.push(...some);
    await new Promise((resolve) => setTimeout(resolve, ms - (momentsMs[i + 1] ?? 0)));
  }
  return begun;
}

describe("killing the node", () => {
  it("before there is an invoice leaves the proof of work, and sells again when it is back", async () => {
    const { key } = await makeKey(gate, "buyer");
    const client = (): Client => clientOf(gate, { "X-API-Key": key });
    await node.stop();
    const refused = await client().empty();
    await node.start();
    expect(challengesIn(refused).map(({ type }) => type)).toEqual(["pow"]);
    const challenge = invoiceIn(await client().call("again"));
    await expectLeft({ client, challenge }, await node.pay(challenge.invoice), ALL, "node, before it could make the invoice");
  });

  it("between the invoice and the payment, or after it, loses nothing: no node is needed to redeem", async () => {
    const [early, late] = [await aRefusedBuyer(), await aRefusedBuyer()];
    const latePreimage = await node.pay(late.challenge.invoice);
    await node.stop();
    await expectLeft(late, latePreimage, ALL, "node, after the payment");
    await node.start();
    await expectLeft(early, await node.pay(early.challenge.invoice), ALL, "node, between invoice and payment");
  });
});

describe("killing the origin", () => {
  it.each<[string, Respond]>([
    ["before it answers", (_seen, response) => response.destroy()],
    ["so that something in between says 502", (_seen, response) => void response.writeHead(502).end()],
  ])("%s gives the call back", async (when, respond) => {
    const buyer = await aRefusedBuyer();
    const preimage = await node.pay(buyer.challenge.invoice);
    origin.respond = respond;
    for (let n = 0; n < 3; n++) expect((await callPaid(buyer, preimage, n)).status).toBe(502);
    origin.respond = answerTools;
    await expect.poll(async () => (await buyer.client().status()).credits).toBe(BOUGHT);
    await expectLeft(buyer, preimage, ALL, `origin, ${when}`);
  });

  it("in the middle of its answer makes the same call free once", async () => {
    const buyer = await aRefusedBuyer();
    const preimage = await node.pay(buyer.challenge.invoice);
    origin.respond = (_seen, response) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" }).write("data: {\n\n");
      setTimeout(() => response.destroy(), 20);
    };
    await callPaid(buyer, preimage, 1).catch(() => null);
    origin.respond = answerTools;
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect((await callPaid(buyer, preimage, 1)).status).toBe(200);
    await expectLeft(buyer, preimage, [BOUGHT - 1, BOUGHT - 1], "origin, in the middle of its answer, and the same call again for nothing");
  });

  it("and the gate in the moment of giving back costs that call at the most", async () => {
    const buyer = await aRefusedBuyer();
    const preimage = await node.pay(buyer.challenge.invoice);
    origin.respond = (_seen, response) => void response.writeHead(503).end();
    expect((await callPaid(buyer, preimage, 1)).status).toBe(503);
    origin.respond = answerTools;
    await killGate();
    // The refund follows the answer: at this moment it may have been on its way.
    await expectLeft(buyer, preimage, [BOUGHT - 1, BOUGHT], "origin, and the gate in the moment of giving back");
  });
});
