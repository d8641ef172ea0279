/** What is sold and paid, in the whole gate and the consumer's object, over times and failures that no node could be made to have. */

import {
  createExecutionContext,
  evictDurableObject,
  runDurableObjectAlarm,
  runInDurableObject,
  waitOnExecutionContext,
} from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { hexOf } from "../../src/hex.ts";
import { decodeBase64, encodeBase64 } from "../../src/challenges/base64.ts";
import { L402_RANDOM_BYTES, mintL402 } from "../../src/challenges/l402.ts";
import { openSecrets } from "../../src/challenges/secrets.ts";
import { createGateway, definePolicy, type GateEnv } from "../../src/index.ts";
import type { LightningPolicy } from "../../src/selling/lightning-policy.ts";
import { createAccount } from "../../src/limits/account.ts";
import { redeem } from "../../src/limits/credits.ts";
import { store } from "../../src/limits/stored-account.ts";
import { lightning } from "../../src/selling/lightning.ts";
import { call, SECRET } from "./prepaid-gate.ts";

const NOW = Date.UTC(2026, 10, 21, 12);
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const NODE = "https://node.example";

/** The Lightning node, and for what it was asked. */
const node = { isAway: false, invoice: "", asked: [] as string[] };

/** Whether the origin breaks off in its answers. */
let isCutOff = false;

function breakOff(stream: ReadableStreamDefaultController): void {
  stream.error(new Error("the origin is gone"));
}

beforeEach(() => {
  isCutOff = false;
  Object.assign(node, { isAway: false, asked: [] });
  vi.useFakeTimers({ toFake: ["Date"], now: NOW });
  vi.spyOn(console, "log").mockImplementation(() => undefined);
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const { url } = new Request(input, init);
    if (!url.startsWith(NODE)) return isCutOff ? new Response(new ReadableStream({ pull: breakOff })) : Response.json({});
    node.asked.push(url);
    if (new URL(url).pathname === "/createinvoice") return Response.json({ serialized: node.invoice, paymentHash: "0b".repeat(32) });
    if (node.isAway) throw new TypeError("connection lost");
    return Response.json({ isPaid: true });
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function openGate(selling: Partial<LightningPolicy> = {}) {
  const gate = createGateway(
    definePolicy({
      origin: "https://origin.example/mcp",
      plans: { anonymous: { rate: { perMinute: 1, burst: 5 }, maxWaitSeconds: 0, offers: { l402: true } } },
      identity: { bearer: { plan: "anonymous" } },
      lightning: lightning({ kind: "phoenixd", url: NODE, ...selling }),
    }),
  );
  const bindings: GateEnv = { KEYS: env.KEYS, CONSUMERS: env.CONSUMERS, CHALLENGE_SECRET: SECRET, LIGHTNING_SECRET: "limited" };
  return async (headers: Record<string, string>, body: object, path = "/mcp"): Promise<Response> => {
    const ctx = createExecutionContext();
    const request = new Request(`https://gate.example${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    const response = await gate.fetch(request, bindings, ctx);
    const [whole] = await Promise.all([response.arrayBuffer().catch(() => null), waitOnExecutionContext(ctx)]);
    return new Response(whole, response);
  };
}

let addresses = 0;

/** A payment of an address that nobody else has, and the address. */
async function aPayment({ lifeMs = 30 * DAY_MS, network = "bc" } = {}) {
  const address = `203.0.113.${++addresses}`;
  const preimage = hexOf(crypto.getRandomValues(new Uint8Array(32)));
  const bytes = Uint8Array.from(preimage.match(/../g)!, (pair) => Number.parseInt(pair, 16));
  const paymentHash = hexOf(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
  const opened = await openSecrets(SECRET, undefined);
  if (!opened.ok) throw new Error(opened.why);
  const id = env.CONSUMERS.idFromName(`addr:${address}`);
  const invoice = { paymentHash, expiresAt: NOW + 15 * MINUTE_MS };
  const order = { account: id.toString(), isForHolder: true, plan: "anonymous", network, calls: 3, lifeMs, invoice };
  const macaroon = await mintL402(order, opened.keys, crypto.getRandomValues(new Uint8Array(L402_RANDOM_BYTES)));
  return { address: { "CF-Connecting-IP": address }, stub: env.CONSUMERS.get(id), macaroon, preimage };
}

/** As a holder adds one: after the others, under the next HMAC of the chain. */
async function withCaveat(macaroon: string, caveat: string): Promise<string> {
  const bytes = decodeBase64(macaroon, 4_096)!;
  const text = new TextEncoder().encode(caveat);
  const key = await crypto.subtle.importKey("raw", bytes.slice(-32), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const signature = new Uint8Array(await crypto.subtle.sign("HMAC", key, text));
  return encodeBase64(Uint8Array.from([...bytes.slice(0, -35), 2, text.length, ...text, 0, 0, 6, 32, ...signature]));
}

const shown = (macaroon: string, preimage: string): Record<string, string> => ({ Authorization: `L402 ${macaroon}:${preimage}` });

/** How many of ten calls at once pass. */
async function passing(send: ReturnType<typeof openGate>, headers: Record<string, string>): Promise<number> {
  let passed = 0;
  for (let i = 0; i < 10; i++) if ((await send(headers, call("spend", { i }))).status === 200) passed++;
  return passed;
}

const invoiceOn = (network: string): string => `ln${network}300n1${"q".repeat(120)}`;
const ask = { type: "l402" };

describe("a payment", () => {
  test("counts once, also when its holder has first shown a copy that ends sooner", async () => {
    const send = openGate();
    const { address, stub, macaroon, preimage } = await aPayment();
    const sooner = await withCaveat(macaroon, `turnpike_redeem_by=${NOW / 1_000 + 2}`);
    const paying = { ...address, ...shown(sooner, preimage) };
    // Five of the plan's, three that are paid for.
    expect(await passing(send, paying)).toBe(8);
    vi.setSystemTime(NOW + DAY_MS + MINUTE_MS);
    await runDurableObjectAlarm(stub);
    await runDurableObjectAlarm(stub);
    expect((await openGate()(address, { macaroon, preimage }, "/turnpike/verify")).status).toBe(409);
  });

  test("tells what is left of it for as long as something is", async () => {
    const send = openGate();
    const { address, stub, macaroon, preimage } = await aPayment();
    expect((await send(address, { macaroon, preimage }, "/turnpike/verify")).status).toBe(200);
    vi.setSystemTime(NOW + 29 * DAY_MS);
    await runDurableObjectAlarm(stub);
    const again = await send(address, { macaroon, preimage }, "/turnpike/verify");
    expect(again.status).toBe(200);
    expect(await again.json()).toMatchObject({ calls: 3, mustBeShown: true });
  });

  test("lasts as long as was sold, whatever the plan sells by now", async () => {
    const { address, macaroon, preimage } = await aPayment({ lifeMs: 365 * DAY_MS });
    const redeemed = await openGate()(address, { macaroon, preimage }, "/turnpike/verify");
    expect(await redeemed.json()).toMatchObject({ callsExpireAt: new Date(NOW + 365 * DAY_MS).toISOString() });
  });

  test("that has counted is no question to the node any more, however it is written and wherever it is shown", async () => {
    const { address, macaroon, preimage } = await aPayment();
    const confirming = { confirmPayments: true };
    await openGate(confirming)({ ...address, ...shown(macaroon, preimage) }, call("spend"));
    node.isAway = true;
    const another = await withCaveat(macaroon, "note=1");
    expect((await openGate(confirming)({ ...address, ...shown(another, preimage) }, call("spend"))).status).toBe(200);
    expect(node.asked).toHaveLength(1);
  });

  test("spends no more by a copy for fewer calls than that says, also once it has counted", async () => {
    const { address, macaroon, preimage } = await aPayment();
    const send = openGate();
    await send(address, { macaroon, preimage }, "/turnpike/verify");
    const copy = await withCaveat(macaroon, "turnpike_calls=1");
    // Five of the plan's, and none of the three.
    expect(await passing(send, { ...address, ...shown(copy, preimage) })).toBe(5);
    expect((await send(address, { macaroon: copy, preimage }, "/turnpike/verify")).status).toBe(403);
    expect(await passing(send, { ...address, ...shown(macaroon, preimage) })).toBe(3);
  });

  test("that cannot be noted is not counted, and stays good", async () => {
    const send = openGate();
    const { address, stub, macaroon, preimage } = await aPayment();
    const paying = { ...address, ...shown(macaroon, preimage) };
    expect(await passing(send, address)).toBe(5);
    await runInDurableObject(stub, (_object, state) => {
      vi.spyOn(state.storage.kv, "put").mockImplementation(() => {
        throw new Error("storage is away");
      });
    });
    expect((await send(paying, call("spend", { i: 10 }))).status).toBe(503);
    await runInDurableObject(stub, (_object, state) => vi.mocked(state.storage.kv.put).mockRestore());
    expect(await passing(send, paying)).toBe(3);
    await evictDurableObject(stub);
    expect((await openGate()(address, { macaroon, preimage }, "/turnpike/verify")).status).toBe(409);
  });
});

const batch = (...names: string[]): object[] => names.map((name, id) => call(name, {}, id));

describe("a batch whose paid answer was cut off", () => {
  test("may be sent again for nothing as it was, and no other that begins like it", async () => {
    const send = openGate();
    const { address, macaroon, preimage } = await aPayment();
    const paying = { ...address, ...shown(macaroon, preimage) };
    expect(await passing(send, address)).toBe(5);
    isCutOff = true;
    expect((await send(paying, batch("a", "b", "c"))).status).toBe(200);
    isCutOff = false;
    // Two of the plan's are there again.
    vi.setSystemTime(NOW + 2 * MINUTE_MS);
    expect((await send(paying, batch("a", "d", "e"))).status).not.toBe(200);
    expect((await send(paying, batch("a", "b", "c"))).status).toBe(200);
    expect((await send(paying, batch("a", "b", "c"))).status).not.toBe(200);
  });
});

describe("a call of a token that the origin does not know yet", () => {
  test("whose answer was cut off may be sent again for nothing, where its address had paid for it", async () => {
    const send = openGate();
    const { address, macaroon, preimage } = await aPayment();
    const paying = { ...address, "Turnpike-Pass": `L402 ${macaroon}:${preimage}` };
    expect(await passing(send, address)).toBe(5);
    isCutOff = true;
    expect((await send({ ...paying, Authorization: "Bearer of-the-origin" }, call("cut off"))).status).toBe(200);
    isCutOff = false;
    expect((await send(paying, call("cut off"))).status).toBe(200);
    // Of three, one has paid for the call that was cut off.
    expect(await passing(send, paying)).toBe(2);
  });
});

describe("an account", () => {
  test("that can hold no more is sold nothing more: it could not be redeemed", async () => {
    const { address, stub } = await aPayment();
    await runInDurableObject(stub, (_object, { storage }) => {
      const account = createAccount(0);
      const bought = { redeemableUntil: NOW + DAY_MS, payment: { isForHolder: true }, calls: 3, expiresAt: NOW + DAY_MS };
      const more = { ...bought, keptFor: { tag: 0, cost: 0 }, rate: { burst: 5, perMinute: 1 } };
      for (let i = 0; redeem(account.credits, { ...more, id: `paid ${i}` }, NOW).ok; i++);
      storage.kv.put("account", { ...store(account, NOW).row, alarmAt: 0 });
    });
    await evictDurableObject(stub);
    node.invoice = invoiceOn("bc");
    expect((await openGate()(address, ask, "/turnpike/challenge")).status).toBe(503);
    vi.setSystemTime(NOW + DAY_MS);
    expect((await openGate()(address, ask, "/turnpike/challenge")).status).toBe(200);
  });
});

describe("a gate that has sold for play money, and now sells for money", () => {
  test("offers no invoice of before", async () => {
    const address = { "CF-Connecting-IP": "203.0.113.250" };
    node.invoice = invoiceOn("bcrt");
    expect(await (await openGate({ network: "bcrt" })(address, ask, "/turnpike/challenge")).text()).toContain(node.invoice);
    vi.setSystemTime(NOW + MINUTE_MS);
    node.invoice = invoiceOn("bc");
    expect(await (await openGate()(address, ask, "/turnpike/challenge")).text()).toContain(node.invoice);
  });

  test("takes no payment of before", async () => {
    const { address, macaroon, preimage } = await aPayment({ network: "bcrt" });
    expect((await openGate()(address, { macaroon, preimage }, "/turnpike/verify")).status).toBe(403);
    expect((await openGate({ network: "bcrt" })(address, { macaroon, preimage }, "/turnpike/verify")).status).toBe(200);
  });
});
