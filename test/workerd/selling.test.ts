/** Calls sold for Lightning payments, through the whole gate: refused, paid, shown, spent, and what becomes of it when something is away. */

import { beforeEach, describe, expect, test, vi } from "vitest";
import type { L402Challenge } from "../../src/challenges/l402.ts";
import { MAX_OPEN_SALES } from "../../durable-objects/sales.ts";
import { MEMO_MS } from "../../src/limits/refusal-memo.ts";
import { lightning } from "../../src/selling/lightning.ts";
import { aKey, anAddress, call, open, type Refused, SECRET, type Send, watchWire, wire } from "./prepaid-gate.ts";
import { node, NODE_URL, pay, resetNode } from "./node-stand-in.ts";

const BURST = 20;
const CALLS = 3;
const shop = { rate: { perMinute: 1, burst: BURST }, maxWaitSeconds: 0 };
const sold = { l402: { satsPerCall: 2, calls: CALLS } };
const SELLING = {
  lightning: lightning({ kind: "phoenixd", url: NODE_URL }),
  plans: {
    anonymous: { ...shop, offers: sold },
    small: { ...shop, offers: sold },
    either: { ...shop, offers: { ...sold, pow: { difficulty: 1, maxDifficulty: 2, calls: 5, seconds: 60 } } },
    members: shop,
  },
} as const;
const SECRETS = { CHALLENGE_SECRET: SECRET, LIGHTNING_SECRET: "limited-access-password" };

watchWire();
beforeEach(resetNode);

const openShop = (changes: object = {}): Send => open(SECRETS, { ...SELLING, ...changes });
let calls = 0;
const otherCall = (): object => call("spend", { call: ++calls });

/** Uses a plan up, and returns the refusal of the call after. */
async function refusedFor(send: Send, headers: Record<string, string>, body: object = otherCall()): Promise<Response> {
  await send({ headers, body: Array.from({ length: BURST }, (_, i) => call("fill", { i, calls: ++calls }, i + 1)) });
  return send({ headers, body });
}

async function invoiceIn(response: Response): Promise<L402Challenge> {
  expect(response.status).toBe(402);
  const { error } = await response.json<Refused>();
  return (error.data["challenges"] as L402Challenge[])[0]!;
}

async function buy(send: Send, headers: Record<string, string>): Promise<{ authorization: string; macaroon: string; preimage: string }> {
  const { macaroon, invoice } = await invoiceIn(await refusedFor(send, headers));
  const preimage = pay(invoice);
  return { authorization: `L402 ${macaroon}:${preimage}`, macaroon, preimage };
}

async function statuses(send: Send, times: number, headers: Record<string, string>): Promise<number[]> {
  const all: number[] = [];
  for (let i = 0; i < times; i++) all.push((await send({ headers, body: otherCall() })).status);
  return all;
}

async function waysIn(response: Response): Promise<unknown> {
  const { error } = await response.json<Refused>();
  return { types: (error.data["challenges"] as { type: string }[]).map(({ type }) => type), payment: error.data["payment"] };
}

function brokenBody(): ReadableStream<Uint8Array> {
  let isBegun = false;
  return new ReadableStream({
    pull(controller) {
      if (isBegun) controller.error(new Error("connection reset"));
      else controller.enqueue(new TextEncoder().encode("{"));
      isBegun = true;
    },
  });
}

const creditsOf = async (send: Send, headers: Record<string, string>): Promise<number> =>
  (await (await send({ method: "GET", path: "/gate/status", headers })).json<{ credits: number }>()).credits;

describe("a refusal where calls are sold", () => {
  test("offers an invoice, its price, what it buys and until when, first in the header, and its payment lets the call through", async () => {
    const send = openShop();
    const headers = await aKey("small");
    const mine = otherCall();
    const refused = await refusedFor(send, headers, mine);
    expect(refused.headers.get("www-authenticate")).toMatch(/^L402 version="0", token="[^"]+", macaroon="[^"]+", invoice="lnbc60n1/);
    const challenge = await invoiceIn(refused);
    expect(challenge).toMatchObject({ type: "l402", priceSats: 6, calls: CALLS, verify: "https://gate.example/gate/verify" });
    expect(Date.parse(challenge.expiresAt)).toBeGreaterThan(Date.now() + 800_000);
    wire.forwarded = [];
    const authorization = `L402 ${challenge.macaroon}:${pay(challenge.invoice)}`;
    expect((await send({ headers: { ...headers, Authorization: authorization }, body: mine })).status).toBe(200);
    // What was shown is the gate's: the origin does not see it.
    expect(wire.forwarded.map((request) => request.headers.get("authorization"))).toEqual([null]);
    expect(wire.logged.join("\n")).not.toContain(challenge.macaroon);
  });

  test("offers a payment before a proof of work, and the work alone while the node is away", async () => {
    const send = openShop();
    const headers = await aKey("either");
    expect(await waysIn(await refusedFor(send, headers))).toEqual({ types: ["l402", "pow"], payment: undefined });
    node.isAway = true;
    expect(await waysIn(await refusedFor(send, await aKey("either")))).toEqual({ types: ["pow"], payment: "unavailable" });
    const alone = await refusedFor(send, await aKey("small"));
    expect(alone.status).toBe(429);
    expect(await alone.text()).toContain("Paying is not possible at the moment.");
    expect(wire.logged.filter((line) => line.includes("node-unavailable"))).not.toEqual([]);
  });

  test("sells as many bundles as a batch needs", async () => {
    const send = openShop();
    const headers = await aKey("small");
    const batch = Array.from({ length: CALLS + 1 }, (_, i) => call("spend", { i }, i + 1));
    await refusedFor(send, headers);
    const refused = await send({ headers, body: batch });
    expect(refused.status).toBe(402);
    const [{ error }] = await refused.json<[Refused]>();
    expect((error.data["challenges"] as L402Challenge[])[0]).toMatchObject({ calls: 2 * CALLS, priceSats: 4 * CALLS });
  });

  test("is not made dearer by being asked again: a flood of refusals has a few invoices made, and different ones at once", async () => {
    const send = openShop();
    const headers = await aKey("small");
    await refusedFor(send, headers);
    const refused = await Promise.all(Array.from({ length: 50 }, () => send({ headers, body: otherCall() })));
    const invoices = await Promise.all(refused.map(async (response) => (await invoiceIn(response)).invoice));
    expect(node.made.length).toBeLessThanOrEqual(MAX_OPEN_SALES);
    expect(new Set(invoices).size).toBeGreaterThan(1);
    for (const invoice of invoices) expect(node.made.map((made) => made.invoice)).toContain(invoice);
  });
});

describe("a payment", () => {
  test("of a key pays for so many of its calls, shown or not, and is then used up", async () => {
    const send = openShop();
    const headers = await aKey("small");
    const { authorization } = await buy(send, headers);
    const shown = { ...headers, Authorization: authorization };
    expect(await statuses(send, 1, shown)).toEqual([200]);
    expect(await creditsOf(send, headers)).toBe(CALLS - 1);
    // Until then the isolate remembers that it was refused.
    await new Promise((resolve) => setTimeout(resolve, MEMO_MS));
    expect(await statuses(send, CALLS - 1, headers)).toEqual([200, 200]);
    expect(await statuses(send, 1, headers)).toEqual([402]);
    expect(await statuses(send, 1, shown)).toEqual([402]);
    expect(wire.logged.filter((line) => line.includes('"redeemed"'))).toHaveLength(1);
  });

  test("of an address is spent by whoever shows it, from wherever, and by none of its neighbours", async () => {
    const send = openShop();
    const address = anAddress();
    const { authorization } = await buy(send, address);
    const shown = { Authorization: authorization };
    expect(await statuses(send, 1, { ...address, ...shown })).toEqual([200]);
    expect(await statuses(send, 1, address)).toEqual([402]);
    expect([await creditsOf(send, address), await creditsOf(send, { ...address, ...shown })]).toEqual([0, CALLS - 1]);
    const elsewhere = anAddress();
    await refusedFor(send, elsewhere);
    expect(await statuses(send, CALLS, { ...elsewhere, ...shown })).toEqual([200, 200, 402]);
  });

  test("that is shown before it is needed is on its account from then on", async () => {
    const send = openShop();
    const headers = await aKey("small");
    const { authorization } = await buy(send, headers);
    const idle = { ...(await aKey("members")), Authorization: authorization };
    expect(await statuses(send, 1, idle)).toEqual([200]);
    expect(await creditsOf(send, headers)).toBe(CALLS);
  });

  test("in _meta or Turnpike-Pass pays as well, where Authorization is the origin's", async () => {
    const send = openShop();
    const headers = await aKey("small");
    const { authorization } = await buy(send, headers);
    const own = { ...headers, Authorization: "Bearer of-the-origin" };
    wire.forwarded = [];
    expect(await statuses(send, 1, { ...own, "Turnpike-Pass": authorization })).toEqual([200]);
    const params = { name: "spend", arguments: { call: ++calls }, _meta: { "turnpike/pass": authorization } };
    expect((await send({ headers: own, body: { jsonrpc: "2.0", id: 1, method: "tools/call", params } })).status).toBe(200);
    expect(wire.forwarded.map((request) => request.headers.get("authorization"))).toEqual(Array(2).fill("Bearer of-the-origin"));
  });

  test("that is wrong changes nothing: the refusal stays what it was", async () => {
    const send = openShop();
    const headers = await aKey("small");
    const { macaroon, preimage } = await buy(send, headers);
    for (const credential of [`${macaroon}:${"00".repeat(32)}`, `AAAA:${preimage}`, macaroon, ""]) {
      expect(await statuses(send, 1, { ...headers, Authorization: `L402 ${credential}` })).toEqual([402]);
    }
    expect(await creditsOf(send, headers)).toBe(0);
  });

  test("is given back what it paid for when the origin never had the call", async () => {
    const send = openShop();
    const headers = await aKey("small");
    const { authorization } = await buy(send, headers);
    const shown = { ...headers, Authorization: authorization };
    wire.originStatus = 0;
    expect(await statuses(send, 2, shown)).toEqual([502, 502]);
    wire.originStatus = 200;
    expect(await statuses(send, CALLS + 1, shown)).toEqual([200, 200, 200, 402]);
  });

  test("pays once for a call whose answer was cut off and that is sent again, and for no other with it", async () => {
    const send = openShop();
    const headers = await aKey("small");
    const { authorization } = await buy(send, headers);
    const shown = { ...headers, Authorization: authorization };
    const mine = otherCall();
    vi.mocked(fetch).mockImplementationOnce(() => Promise.resolve(new Response(brokenBody())));
    expect(await (await send({ headers: shown, body: mine })).text()).toBe("");
    expect(await creditsOf(send, headers)).toBe(CALLS - 1);
    for (const left of [CALLS - 1, CALLS - 2]) {
      expect((await send({ headers: shown, body: mine })).status).toBe(200);
      expect(await creditsOf(send, headers)).toBe(left);
    }
  });

  test("waits for the node to say that the money has come, where the policy wants that", async () => {
    const send = openShop({ lightning: lightning({ ...SELLING.lightning.policy, confirmPayments: true }) });
    const headers = await aKey("small");
    const { authorization } = await buy(send, headers);
    const shown = { ...headers, Authorization: authorization };
    node.made[0]!.isPaid = false;
    const pending = await send({ headers: shown, body: otherCall() });
    expect([pending.status, pending.headers.get("retry-after")]).toEqual([503, "5"]);
    expect(await pending.text()).toContain("do not pay again");
    node.made[0]!.isPaid = true;
    expect(await statuses(send, 1, shown)).toEqual([200]);
  });
});

const hand = (send: Send, body: object, headers: Record<string, string>): Promise<Response> =>
  send({ path: "/gate/verify", headers, body });

describe("a payment handed in at /verify", () => {
  test("is put on the account it was bought for, whoever hands it in, and again tells what is left", async () => {
    const send = openShop();
    const headers = await aKey("small");
    const { macaroon, preimage } = await buy(send, headers);
    const first = await hand(send, { macaroon, preimage }, anAddress());
    expect(await first.json()).toMatchObject({ calls: CALLS, token: expect.stringMatching(/^tpass_/) as unknown });
    expect(await statuses(send, 1, headers)).toEqual([200]);
    expect(await (await hand(send, { macaroon, preimage }, headers)).json()).toMatchObject({ calls: CALLS - 1 });
    expect(await statuses(send, CALLS - 1, headers)).toEqual([200, 200]);
    const spent = await hand(send, { macaroon, preimage }, headers);
    expect([spent.status, await spent.json()]).toMatchObject([409, { type: "urn:turnpike:problem:spent-payment" }]);
  });

  test("for an address must be shown: by its pass, which pays until the credit is used up", async () => {
    const send = openShop();
    const address = anAddress();
    const { macaroon, preimage } = await buy(send, address);
    const { token, mustBeShown } = await (
      await hand(send, { macaroon, preimage }, address)
    ).json<{ token: string; mustBeShown: unknown }>();
    expect(mustBeShown).toBe(true);
    expect(await statuses(send, 1, address)).toEqual([402]);
    expect(await statuses(send, CALLS + 1, { ...address, "Turnpike-Pass": token })).toEqual([200, 200, 200, 402]);
  });

  test.each([
    ["another preimage", { preimage: "00".repeat(32) }, 400, "wrong-preimage"],
    ["an altered macaroon", { macaroon: "AAAA" }, 400, "malformed-solution"],
    ["no preimage", { preimage: undefined }, 400, "malformed-solution"],
  ])("with %s is told so, and stays good", async (_what, change, status, type) => {
    const send = openShop();
    const headers = await aKey("small");
    const { macaroon, preimage } = await buy(send, headers);
    const wrong = await hand(send, { macaroon, preimage, ...change }, { ...headers, ...anAddress() });
    expect([wrong.status, await wrong.json()]).toMatchObject([status, { type: `urn:turnpike:problem:${type}` }]);
    expect((await hand(send, { macaroon, preimage }, headers)).status).toBe(200);
  });
});

describe("without the node's secret", () => {
  test("nothing is sold, and the log says once how to set it", async () => {
    const send = open({ CHALLENGE_SECRET: SECRET }, SELLING);
    for (let i = 0; i < 2; i++) expect((await refusedFor(send, await aKey("small"))).status).toBe(429);
    expect(wire.logged.filter((line) => line.includes("LIGHTNING_SECRET"))).toHaveLength(1);
    expect(node.made).toEqual([]);
  });
});
