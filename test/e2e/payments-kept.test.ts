/** What is paid for is not lost when the origin, the client's connection or the node is. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeKey } from "../support/admin.ts";
import { decodeBolt11 } from "../support/bolt11.ts";
import { errorIn, messageRequest, openRequest, problemIn, send, toolCall } from "../support/http.ts";
import { answerTools } from "../support/origin.ts";
import { challengesIn, type Client, clientOf, invoiceIn, l402Header, sha256Hex, startSellingGate } from "../support/selling-gate.ts";
import { openShop, type Shop } from "../support/shop.ts";

const CALLS = 4;
const rate = { perMinute: 1, burst: 8 };
const l402 = { satsPerCall: 3, calls: CALLS };
const POLICY = {
  plans: {
    anonymous: { rate },
    both: { rate, maxWaitSeconds: 0, offers: { l402, pow: { difficulty: 4 } } },
    sold: { rate, maxWaitSeconds: 0, offers: { l402 } },
  },
};

let shop: Shop<keyof typeof POLICY.plans>;
beforeAll(async () => {
  shop = await openShop(POLICY);
});
afterAll(() => shop.stop());

describe("a paid call that does not arrive", () => {
  it("at an origin that is away gives its credit back", async () => {
    const { client, shown } = await shop.makeBuyer("both");
    shop.origin.respond = (_seen, response) => void response.writeHead(503).end();
    expect((await client.call("lost", {}, shown)).status).toBe(503);
    shop.origin.respond = answerTools;
    await expect.poll(async () => (await client.status()).credits).toBe(CALLS);
  });

  it.each<[string, (client: Client, shown: Record<string, string>) => Promise<void>]>([
    [
      "because the origin breaks off in the middle of its answer",
      async (client, shown) => {
        shop.origin.respond = (_seen, response) => {
          response.writeHead(200, { "Content-Type": "text/event-stream" }).write("data: {\n\n");
          setTimeout(() => response.destroy(), 50);
        };
        await client.call("cut off", { precious: true }, shown).catch(() => undefined);
      },
    ],
    [
      "because the client has lost its connection",
      async (client, shown) => {
        shop.origin.respond = (_seen, response) => {
          response.writeHead(200, { "Content-Type": "text/event-stream" }).write("data: {\n\n");
          const timer = setInterval(() => response.write(": still at it\n\n"), 20);
          response.once("close", () => clearInterval(timer));
        };
        const request = openRequest(
          shop.gate.url,
          messageRequest(toolCall("cut off", { precious: true }), { ...client.headers, ...shown }),
        );
        await request.answered;
        request.hangUp();
      },
    ],
  ])("%s may be sent again once for nothing, whatever its id", async (_why, cutOff) => {
    const { client, shown } = await shop.makeBuyer("both");
    await cutOff(client, shown);
    shop.origin.respond = answerTools;
    const again = async (id: number, args: object = { precious: true }) =>
      (await send(shop.gate.url, messageRequest(toolCall("cut off", { ...args }, id), client.headers))).status;
    await expect.poll(async () => (await client.status()).credits).toBe(CALLS - 1);
    // What was just refused to somebody is no other's business: give the gate the moment that it takes to be told.
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await again(77)).toBe(200);
    expect((await client.status()).credits).toBe(CALLS - 1);
    expect(await again(78)).toBe(200);
    expect((await client.status()).credits).toBe(CALLS - 2);
  });
});

describe("when the node is away", () => {
  it("the 402 offers proof of work only and says that paying is not possible, and what was paid before counts all the same", async () => {
    const { client, shown } = await shop.makeBuyer("both");
    const [both, sold] = [await shop.makeClient("both"), await shop.makeClient("sold")];
    await shop.node.stop();
    try {
      const refused = await both.empty();
      expect(refused.status).toBe(402);
      expect(challengesIn(refused).map(({ type }) => type)).toEqual(["pow"]);
      expect(errorIn(refused).error.message).toContain("Paying is not possible at the moment.");
      expect(errorIn(refused).error.data).toMatchObject({ payment: "unavailable" });
      const unsold = await sold.empty();
      expect(unsold.status).toBe(429);
      expect(errorIn(unsold).error.message).toContain("Paying is not possible at the moment.");
      expect(problemIn(await sold.post("/turnpike/challenge", { type: "l402" }))).toBe("payment-unavailable");
      expect((await client.call("paid before", {}, shown)).status).toBe(200);
      expect(shop.gate.logs.join("\n")).toMatch(/node-unavailable.*phoenixd at http:\/\/127\.0\.0\.1:\d+ cannot be reached/);
    } finally {
      await shop.node.start();
    }
    // Asked again once the circuit lets somebody try.
    await expect
      .poll(async () => (await sold.post("/turnpike/challenge", { type: "l402" })).status, { timeout: 25_000, interval: 1_000 })
      .toBe(200);
  }, 60_000);
});

describe("a policy that wants the node's word", () => {
  it("counts a payment once the node says that it is settled, and loses none while the node is away", async () => {
    const careful = await startSellingGate(shop.node, { ...POLICY, lightning: { confirmPayments: true } }, { origin: shop.origin.url });
    try {
      const client = clientOf(careful, { "X-API-Key": (await makeKey(careful, "both")).key });
      const challenge = invoiceIn(await client.empty());
      const preimage = await shop.node.pay(challenge.invoice);
      const shown = { Authorization: l402Header(challenge, preimage) };
      await shop.node.stop();
      const pending = await client.call("paid", {}, shown);
      await shop.node.start();
      expect(pending.status).toBe(503);
      expect(errorIn(pending).error.message).toMatch(/Nothing is lost: send the same again in a few seconds, and do not pay again/);
      expect(pending.headers["retry-after"]).toBe("5");
      expect((await client.call("paid", {}, shown)).status).toBe(200);
      expect(sha256Hex(preimage)).toBe(decodeBolt11(challenge.invoice).paymentHash);
    } finally {
      await careful.stop();
    }
  });
});
