/** 402 with an invoice: refused, paid, and the same call passes, over HTTP against the real gate and a node that makes and pays real invoices. */

import { fetch402, fetchWithL402 } from "@getalby/lightning-tools";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { L402Challenge } from "../../src/challenges/l402.ts";
import { connectAgent } from "../support/agents.ts";
import { decodeBolt11 } from "../support/bolt11.ts";
import { type Answer, errorIn, messageRequest, problemIn, send, toolCall } from "../support/http.ts";
import { challengesIn, clientOf, invoiceIn, l402Header } from "../support/selling-gate.ts";
import { openShop, type Shop } from "../support/shop.ts";

const CALLS = 4;
const l402 = { satsPerCall: 3, calls: CALLS };
const pow = { difficulty: 4, calls: 2, seconds: 60 };
/** Credits have this rate as well: no fewer than what is bought at once. */
const rate = { perMinute: 1, burst: 8 };
const POLICY = {
  plans: {
    anonymous: { rate: { perMinute: 1, burst: 20 }, maxWaitSeconds: 0, offers: { l402, pow } },
    both: { rate, maxWaitSeconds: 0, offers: { l402, pow } },
    sold: { rate: { perMinute: 1, burst: 12 }, maxWaitSeconds: 0, offers: { l402 } },
    single: { rate, maxWaitSeconds: 0, offers: { l402: { satsPerCall: 5, calls: 1 } } },
    firm: { rate: { perMinute: 1, burst: 1 }, maxWaitSeconds: 0 },
    token: { rate, maxWaitSeconds: 0, offers: { l402 } },
  },
  tools: { dear: { cost: 6 } },
  identity: { bearer: { plan: "token" } },
};

let shop: Shop<keyof typeof POLICY.plans>;
beforeAll(async () => {
  shop = await openShop(POLICY);
});
afterAll(() => shop.stop());

describe("a call whose rate is empty", () => {
  it("is answered 402 with an invoice before the proof of work, in the header and in the body", async () => {
    const refused = await (await shop.makeClient("both")).empty();
    expect(refused.status).toBe(402);
    const [sold, earned] = challengesIn(refused);
    expect(sold).toMatchObject({ type: "l402", priceSats: 12, calls: CALLS, verify: new URL("/turnpike/verify", shop.gate.url).href });
    expect(earned).toMatchObject({ type: "pow" });
    const { macaroon, invoice } = sold as L402Challenge;
    const header = refused.headers["www-authenticate"]!;
    expect(header.startsWith(`L402 version="0", token="${macaroon}", macaroon="${macaroon}", invoice="${invoice}", PowChallenge `)).toBe(
      true,
    );
    for (const parameter of ["token", "macaroon", "invoice"]) expect(header.split(`${parameter}=`)).toHaveLength(2);
    expect(decodeBolt11(invoice)).toMatchObject({ amountMsat: 12_000, description: `4 calls at ${new URL(shop.gate.url).host}` });
    expect(errorIn(refused).error.message).toMatch(
      /Or go on at once: pay the Lightning invoice under "challenges" in this error's data \(12 sats for 4 calls\), and send the same call again with the header "Authorization: L402 <macaroon>:<preimage>"; or solve the proof of work there/,
    );
  });

  it.each(["L402", "LSAT", "l402"])(
    "passes with %s in Authorization once it is paid, as often as was paid for, and then needs a fresh invoice",
    async (scheme) => {
      const { client, challenge, preimage } = await shop.makeBuyer("both");
      const shown = { Authorization: l402Header(challenge, preimage, scheme) };
      for (let i = 0; i < CALLS; i++) expect((await client.call("paid", { i }, shown)).status).toBe(200);
      const refused = await client.call("paid", { more: true }, shown);
      expect(refused.status).toBe(402);
      expect(invoiceIn(refused).invoice).not.toBe(challenge.invoice);
    },
  );

  it("is sold as many bundles as it costs", async () => {
    const client = await shop.makeClient("sold");
    await client.empty();
    const challenge = invoiceIn(await client.call("dear"));
    expect(challenge).toMatchObject({ calls: 2 * CALLS, priceSats: 6 * CALLS });
    const { shown } = await shop.pay(challenge);
    expect((await client.call("dear", {}, shown)).status).toBe(200);
    expect((await client.status()).credits).toBe(2 * CALLS - 6);
  });

  it("is sold alone where the plan sells single calls", async () => {
    const { client, challenge, shown } = await shop.makeBuyer("single");
    expect(challenge).toMatchObject({ calls: 1, priceSats: 5 });
    expect((await client.call("one", {}, shown)).status).toBe(200);
    expect((await client.call("two", {}, shown)).status).toBe(402);
  });
});

describe("a payer that knows L402 and not this gate", () => {
  it.each([
    ["fetchWithL402", fetchWithL402],
    ["fetch402", fetch402],
  ])(
    "@getalby/lightning-tools' %s pays the node and gets through, with one payment for all calls that it bought",
    async (_name, fetchPaid) => {
      const client = await shop.makeClient("both");
      await client.empty();
      let payments = 0;
      const wallet = {
        async payInvoice({ invoice }: { invoice: string }) {
          payments++;
          return { preimage: await shop.node.pay(invoice) };
        },
      };
      const { method, headers, body } = messageRequest(toolCall("paid"), client.headers);
      const init = { method: method!, headers: headers as Record<string, string>, body: body as string };
      const first = await fetchPaid(shop.gate.url, init, { wallet });
      expect(first.status).toBe(200);
      expect(await first.json()).toMatchObject({ result: { content: [{ text: "done" }] } });
      const { value } = (first as Response & { payment: { credentials: { value: string } } }).payment.credentials;
      for (let i = 1; i < CALLS; i++) expect((await client.call("paid", { i }, { Authorization: value })).status).toBe(200);
      expect(payments).toBe(1);
      console.log(`@getalby/lightning-tools ${_name}: ${CALLS} calls with ${payments} payment`);
    },
  );
});

/** The last bytes are the signature. */
function withOtherEnd(macaroon: string): string {
  return macaroon.replace(/.{6}$/, (end) => (end.startsWith("A") ? "B" : "A") + end.slice(1));
}

describe("a payment pays and identifies nobody", () => {
  it.each<[string, (text: string) => { headers?: Record<string, string>; meta?: string }]>([
    ["beside an API key, in Authorization", (text) => ({ headers: { Authorization: text } })],
    ["in Turnpike-Pass", (text) => ({ headers: { "Turnpike-Pass": text } })],
    ["in a message's _meta", (text) => ({ meta: text })],
  ])("%s: somebody else's call passes as theirs, and the origin sees nothing of it", async (_where, show) => {
    const buyer = await shop.makeBuyer("both");
    const poor = await shop.makeClient("firm");
    expect((await poor.empty()).status).toBe(429);
    const { headers = {}, meta } = show(buyer.shown.Authorization);
    const message = toolCall("theirs");
    const sent = { ...message, params: { ...message.params, ...(meta ? { _meta: { "turnpike/pass": meta } } : {}) } };
    const [seen, answer] = await Promise.all([
      shop.origin.next(),
      send(shop.gate.url, messageRequest(sent, { ...poor.headers, ...headers })),
    ]);
    expect(answer.status).toBe(200);
    expect(seen.headers["turnpike-plan"]).toBe("firm");
    expect(JSON.stringify(seen.headers)).not.toContain(buyer.challenge.macaroon);
    expect(seen.headers.authorization).toBeUndefined();
    expect((await buyer.client.status()).credits).toBe(CALLS - 1);
  });

  it("goes beside a bearer of the origin's, which the origin still gets", async () => {
    const client = clientOf(shop.gate, { Authorization: "Bearer opaque-token-of-the-origin" });
    // The origin accepts it, and from then on it is a consumer.
    await client.call("hello");
    await expect.poll(async () => invoiceTypes(await client.call("more"))).toContain("l402");
    const { shown } = await shop.pay(invoiceIn(await client.call("more")));
    const [seen, answer] = await Promise.all([shop.origin.next(), client.call("paid", {}, { "Turnpike-Pass": shown.Authorization })]);
    expect(answer.status).toBe(200);
    expect(seen.headers.authorization).toBe("Bearer opaque-token-of-the-origin");
    expect(seen.headers["turnpike-pass"]).toBeUndefined();
  });

  it("is on the account of whoever was refused: the same key needs to show it once only", async () => {
    const { client, shown } = await shop.makeBuyer("both");
    expect((await client.call("first", {}, shown)).status).toBe(200);
    expect((await client.call("second")).status).toBe(200);
    expect((await client.status()).credits).toBe(CALLS - 2);
  });

  it("on an address is spent only by whoever shows it: neighbours share the address", async () => {
    const one = clientOf(shop.gate);
    const { shown } = await shop.pay(invoiceIn(await one.empty()));
    expect((await one.call("mine", {}, shown)).status).toBe(200);
    expect((await one.call("neighbour's")).status).toBe(402);
    expect((await one.status()).credits).toBe(0);
    expect((await one.status(shown)).credits).toBe(CALLS - 1);
    expect((await one.call("mine again", {}, shown)).status).toBe(200);
  });

  it("that is no good changes nothing, and is answered with a fresh invoice once the plan is empty", async () => {
    const { client, challenge, preimage } = await shop.makeBuyer("both");
    for (const [macaroon, shownPreimage] of [
      [withOtherEnd(challenge.macaroon), preimage],
      [challenge.macaroon, "00".repeat(32)],
      ["AAAA", preimage],
      ["", ""],
    ] as const) {
      const refused = await client.call("unpaid", {}, { Authorization: `L402 ${macaroon}:${shownPreimage}` });
      expect(refused.status).toBe(402);
      expect(refused.text + JSON.stringify(refused.headers)).not.toContain(preimage);
    }
    expect((await client.call("paid", {}, { Authorization: l402Header(challenge, preimage) })).status).toBe(200);
    expect(shop.gate.logs.join("\n")).not.toContain(preimage);
    expect(shop.gate.logs.join("\n")).not.toContain(challenge.macaroon);
  });

  it("does not spend while the plan itself lets the call through, and is safe on the account from then on", async () => {
    const buyer = await shop.makeBuyer("both");
    const fresh = await shop.makeClient("both");
    expect((await fresh.call("own tokens", {}, buyer.shown)).status).toBe(200);
    expect((await buyer.client.status()).credits).toBe(CALLS);
  });
});

function invoiceTypes(answer: Answer): string[] {
  return answer.status === 402 ? challengesIn(answer).map(({ type }) => type) : [];
}

describe("POST /turnpike/verify with macaroon and preimage", () => {
  it("puts the calls on the account: the same call passes with nothing added, and handing it in again tells what is left", async () => {
    const { client, challenge, preimage } = await shop.makeBuyer("both");
    const body = { macaroon: challenge.macaroon, preimage };
    const verified = await client.post("/turnpike/verify", body);
    expect(verified.status).toBe(200);
    const answer = JSON.parse(verified.text) as { token: string; calls: number; callsExpireAt: string };
    expect(answer).toMatchObject({ calls: CALLS, token: expect.stringMatching(/^tpass_/) });
    expect((Date.parse(answer.callsExpireAt) - Date.now()) / 86_400_000).toBeCloseTo(30, 1);
    expect((await client.call("paid")).status).toBe(200);
    expect(JSON.parse((await client.post("/turnpike/verify", { ...challenge, preimage })).text)).toMatchObject({ calls: CALLS - 1 });
    for (let i = 1; i < CALLS; i++) expect((await client.call("paid", { i })).status).toBe(200);
    const spent = await client.post("/turnpike/verify", body);
    expect([spent.status, problemIn(spent)]).toEqual([409, "spent-payment"]);
  });

  it("of somebody else's payment gives a pass for it, and leaves the calls where they are", async () => {
    const buyer = await shop.makeBuyer("both");
    const poor = await shop.makeClient("firm");
    await poor.empty();
    const { token } = JSON.parse(
      (await poor.post("/turnpike/verify", { macaroon: buyer.challenge.macaroon, preimage: buyer.preimage })).text,
    ) as {
      token: string;
    };
    expect((await poor.call("without")).status).toBe(429);
    expect((await poor.call("with", {}, { "Turnpike-Pass": token })).status).toBe(200);
    expect((await buyer.client.status()).credits).toBe(CALLS - 1);
    expect(token).not.toContain(Buffer.from("key:consumer").toString("base64url").slice(0, 8));
  });

  it("a thousand at once of one preimage are one credit", async () => {
    const { client, challenge, preimage } = await shop.makeBuyer("sold");
    const answers: Answer[] = [];
    for (let round = 0; round < 10; round++) {
      const batch = Array.from({ length: 100 }, () => client.post("/turnpike/verify", { macaroon: challenge.macaroon, preimage }));
      answers.push(...(await Promise.all(batch)));
    }
    const good = answers.filter(({ status }) => status === 200);
    for (const { text } of good) expect(JSON.parse(text)).toMatchObject({ calls: CALLS });
    expect((await client.status()).credits).toBe(CALLS);
    const statuses = await Promise.all(Array.from({ length: 10 }, async (_, i) => (await client.call("paid", { i })).status));
    const passed = statuses.filter((status) => status === 200).length;
    console.log(`of ${answers.length} concurrent redemptions of one preimage came one credit: ${passed} calls of ${CALLS} bought`);
    expect(passed).toBe(CALLS);
  });

  it.each<[string, number, (good: { macaroon: string; preimage: string }) => object]>([
    ["malformed-solution", 400, ({ macaroon }) => ({ macaroon })],
    ["malformed-solution", 400, ({ preimage }) => ({ macaroon: 7, preimage })],
    ["malformed-solution", 400, ({ macaroon }) => ({ macaroon, preimage: "short" })],
    ["malformed-solution", 400, ({ preimage }) => ({ macaroon: "AAAA", preimage })],
    ["wrong-preimage", 400, ({ macaroon }) => ({ macaroon, preimage: "00".repeat(32) })],
    ["altered-macaroon", 400, ({ macaroon, preimage }) => ({ macaroon: withOtherEnd(macaroon), preimage })],
  ])("%s, and changes nothing", async (kind, status, change) => {
    const { client, challenge, preimage } = await shop.makeBuyer("both");
    const good = { macaroon: challenge.macaroon, preimage };
    const answer = await client.post("/turnpike/verify", change(good));
    expect([answer.status, problemIn(answer)]).toEqual([status, kind]);
    expect((await client.status()).credits).toBe(0);
    expect((await client.post("/turnpike/verify", good)).status).toBe(200);
  });
});

describe("an agent with tools alone", () => {
  it.each(["sdk-1", "client-2-modern"] as const)("%s buys calls by challenge, its wallet, and verify", async (dialect) => {
    const client = await shop.makeClient("both");
    await client.empty();
    const key = client.headers["X-API-Key"]!;
    const tools = await connectAgent(dialect, new URL("/turnpike/mcp", shop.gate.url).href, { key });
    const asked = await tools.call("challenge", { type: "l402" });
    expect(asked.text).toContain("Pay the invoice with a Lightning wallet before");
    const { macaroon, invoice } = JSON.parse(asked.text.split("\n").at(-1)!) as L402Challenge;
    const wrong = await tools.call("verify", { macaroon, preimage: "00".repeat(32) });
    expect(wrong).toMatchObject({ isError: true, text: expect.stringContaining("does not belong to the macaroon's invoice") });
    expect((await tools.call("verify", { macaroon })).text).toContain("arguments.preimage is missing");
    const verified = await tools.call("verify", { macaroon, preimage: await shop.node.pay(invoice) });
    expect(verified.text).toMatch(/^Accepted: 4 prepaid calls are on your account until/);
    expect((await client.call("paid")).status).toBe(200);
    await tools.close();
  });

  it("that is known by its address is told to show its payment", async () => {
    const tools = await connectAgent("sdk-1", new URL("/turnpike/mcp", shop.gate.url).href);
    const { macaroon, invoice } = JSON.parse((await tools.call("challenge", { type: "l402" })).text.split("\n").at(-1)!) as L402Challenge;
    const verified = await tools.call("verify", { macaroon, preimage: await shop.node.pay(invoice) });
    expect(verified.text).toContain(
      'spent only by calls that show what paid for them: the header "Authorization: L402 <macaroon>:<preimage>"',
    );
    await tools.close();
  });
});

function invoicesMade(): number {
  return shop.gate.logs.filter((line) => line.includes('"event":"invoice"')).length;
}

describe("what is sold", () => {
  it("is told to everybody before they call", async () => {
    const { plans } = JSON.parse((await send(new URL("/turnpike/limits", shop.gate.url).href)).text) as {
      plans: Record<string, { offers: object[] }>;
    };
    const sold = { type: "l402", priceSats: 12, calls: CALLS, satsPerCall: 3, forSeconds: 30 * 86_400 };
    expect(plans["sold"]!.offers).toEqual([sold]);
    expect(plans["both"]!.offers).toEqual([sold, expect.objectContaining({ type: "pow" })]);
  });

  it("can be asked for without being refused, by type", async () => {
    const client = await shop.makeClient("both");
    const ask = async (body: object) => client.post("/turnpike/challenge", body);
    expect(JSON.parse((await ask({ type: "l402" })).text)).toMatchObject({ type: "l402", priceSats: 12 });
    expect(JSON.parse((await ask({ type: "pow" })).text)).toMatchObject({ type: "pow" });
    expect(JSON.parse((await ask({})).text)).toMatchObject({ type: "pow" });
    expect(problemIn(await ask({ type: "cash" }))).toBe("malformed-challenge-request");
    expect(problemIn(await (await shop.makeClient("firm")).post("/turnpike/challenge", { type: "l402" }))).toBe("not-offered");
    expect(JSON.parse((await (await shop.makeClient("sold")).post("/turnpike/challenge", {})).text)).toMatchObject({ type: "l402" });
  });

  it("is an open invoice again rather than a new one, others at the same moment, and eight at the most, so that no flood reaches the node", async () => {
    const client = await shop.makeClient("sold");
    await client.empty();
    const before = invoicesMade();
    const refused = await Promise.all(Array.from({ length: 60 }, (_, i) => client.call("flood", { i })));
    const invoices = refused.filter(({ status }) => status === 402).map((answer) => invoiceIn(answer).invoice);
    expect(new Set(invoices).size).toBeGreaterThan(1);
    for (let i = 0; i < 20; i++) await client.call("flood again", { i });
    expect(invoicesMade() - before).toBeLessThanOrEqual(8);
    console.log(`80 refusals of one consumer: ${invoicesMade() - before} invoices made by the node`);
  });
});
