/** The official clients with a wallet, in front of a gate that sells calls by a node which makes and pays real invoices. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTurnpikeFetch, type FetchLike, type Progress, TurnpikeError, type TurnpikeFetchOptions } from "../../src/client/index.ts";
import { makeKey } from "../support/admin.ts";
import { DIALECTS, withAgent } from "../support/agents.ts";
import { BookWallet } from "../support/book-wallet.ts";
import { type ChallengeGate, type ChallengeGateOptions, startChallengeGate } from "../support/challenge-gate.ts";
import { type CountingFetch, countingFetch } from "../support/counting-fetch.ts";
import { type CountingServer, startCountingServer } from "../support/counting-server.ts";
import type { RunningGate } from "../support/gate.ts";
import { NodeWallet } from "../support/node-wallet.ts";
import { clientOf, l402Header, startSellingGate, startTestNode, type TestNode } from "../support/selling-gate.ts";

const FREE = 8;
const BUNDLE = 4;
const BUNDLE_SATS = 12;
/** Some milliseconds of work. */
const pow = { difficulty: 12, maxDifficulty: 12, calls: BUNDLE };
const l402 = { satsPerCall: BUNDLE_SATS / BUNDLE, calls: BUNDLE };
/** A bucket that no test waits for. What is bought has the same rate again, so it is no less than a test buys. */
const rate = { perMinute: 1, burst: FREE };
const plan = (more: object) => ({ rate, maxWaitSeconds: 0, ...more });
/** Its own tokens and those of its credits come every five seconds: longer than a payment takes. */
const brisk = plan({ rate: { perMinute: 12, burst: 2 }, offers: { l402: true } });
const POLICY = {
  plans: {
    anonymous: plan({ offers: { l402, pow } }),
    both: plan({ offers: { l402, pow } }),
    told: plan({ offers: { l402 }, refuse: "result" }),
    dear: plan({ offers: { l402: { satsPerCall: 30, calls: 1 } } }),
    brisk,
    briskAddress: brisk,
  },
  identity: { addresses: { plan: "anonymous", shared: [{ range: "203.0.113.0/24", plan: "briskAddress" }] } },
};

let node: TestNode;
let server: CountingServer;
let gate: RunningGate;
beforeAll(async () => {
  [node, server] = await Promise.all([startTestNode(), startCountingServer()]);
  gate = await startSellingGate(node, POLICY, { origin: server.url });
});
afterAll(async () => {
  await gate.stop();
  await Promise.all([node.stop(), server.stop()]);
});

let wallet: NodeWallet;
beforeEach(() => {
  wallet = new NodeWallet(node);
});
afterEach(() => expect(wallet.failures).toEqual([]));

let made = 0;
function texts(count: number): string[] {
  return Array.from({ length: count }, () => `paid text ${++made}`);
}

function expectOnce(all: readonly string[]): void {
  expect(all.map((text) => server.ran(text))).toEqual(all.map(() => 1));
}

function paying(options: TurnpikeFetchOptions = {}): FetchLike {
  return createTurnpikeFetch({ wallet, network: "regtest", ...options });
}

/** Nothing is handed in before so many calls were refused, however fast it is solved or paid: they are then refused together. */
function refusedTogether(count: number): CountingFetch {
  const { promise: all, resolve: go } = Promise.withResolvers<void>();
  let refused = 0;
  const counting = countingFetch(() => all);
  return {
    ...counting,
    async fetch(input, init) {
      const response = await counting.fetch(input, init);
      if (response.status === 402 && ++refused === count) go();
      return response;
    },
  };
}

type Headers = Readonly<Record<string, string>>;

const CALLERS = {
  "a key": async (ofPlan = "both"): Promise<Headers> => ({ Authorization: `Bearer ${(await makeKey(gate, ofPlan)).key}` }),
  "no key": (network = "198.51.100"): Promise<Headers> => Promise.resolve({ "CF-Connecting-IP": `${network}.${++made % 250}` }),
} as const;
type Caller = keyof typeof CALLERS;
const EVERYBODY = Object.keys(CALLERS) as Caller[];

/** What is left of everything that was bought: on an address, of each payment for whoever shows it. */
async function leftFor(headers: Headers, { posted }: CountingFetch): Promise<number> {
  const client = clientOf(gate, headers);
  if (headers["Authorization"] !== undefined) return (await client.status()).credits;
  const payments = new Map(posted.flatMap(({ macaroon, preimage }) => (macaroon && preimage ? [[preimage, macaroon]] : [])));
  let left = (await client.status()).credits;
  for (const [preimage, macaroon] of payments) left += (await client.status({ Authorization: l402Header({ macaroon }, preimage) })).credits;
  return left;
}

/** What the agents of each preference have come to, for the line at the end. */
const totals = new Map<string, { agents: number; calls: number; payments: number; proofs: number }>();
afterAll(() => {
  for (const [name, { agents, calls, payments, proofs }] of totals)
    console.log(`${name}: ${agents} agents made ${calls} calls, with ${payments} payments and ${proofs} proofs`);
});

function addUp(name: string, calls: number, proofs: number): void {
  const { agents, ...total } = totals.get(name) ?? { agents: 0, calls: 0, payments: 0, proofs: 0 };
  const payments = total.payments + wallet.paid.length;
  totals.set(name, { agents: agents + 1, calls: total.calls + calls, payments, proofs: total.proofs + proofs });
}

/** The name of each says what it prefers; a proof of 12 bits is worked on, unless that is more than it takes on. */
const PREFERENCES: readonly (readonly [name: string, options: TurnpikeFetchOptions, way: "proofs" | "payments"])[] = [
  ["cheapest", { prefer: "cheapest" }, "proofs"],
  ["pow", { prefer: "pow" }, "proofs"],
  ["l402", { prefer: "l402" }, "payments"],
  ["cheapest, and proofs are too hard", { prefer: "cheapest", maxDifficulty: 11 }, "payments"],
  ["pow, and proofs are too hard", { prefer: "pow", maxDifficulty: 11 }, "payments"],
];

describe.for(DIALECTS)("an agent on %s with a wallet", (dialect) => {
  describe.for(EVERYBODY)("and %s", (caller) => {
    it.for(PREFERENCES)("gets on by %s: every call runs once, and what is not used is still there", async ([name, options, way]) => {
      const headers = await CALLERS[caller]();
      const all = texts(15);
      const wire = refusedTogether(all.length - FREE);
      await withAgent(dialect, gate.url, { headers, fetch: paying({ ...options, fetch: wire.fetch }) }, async (agent) => {
        const answers = await Promise.all(all.map((text) => agent.call("count", { text })));
        expect(answers.filter(({ isError }) => isError)).toEqual([]);
      });
      expectOnce(all);
      expect(Math.max(...wire.sent())).toBe(2);
      const bundles = Math.ceil((all.length - FREE) / BUNDLE);
      const proofs = wire.posted.filter(({ nonce }) => nonce !== undefined).length;
      expect({ proofs, payments: wallet.paid.length }).toEqual({ proofs: 0, payments: 0, [way]: bundles });
      expect(await leftFor(headers, wire)).toBe(FREE + bundles * BUNDLE - all.length);
      addUp(name, all.length, proofs);
    });

    it("sends no call twice but the one that is refused, and pays: what is paid for is used up first", async () => {
      const headers = await CALLERS[caller]();
      const all = texts(FREE + BUNDLE + 2);
      const wire = countingFetch();
      await withAgent(dialect, gate.url, { headers, fetch: paying({ prefer: "l402", fetch: wire.fetch }) }, async (agent) => {
        for (const text of all) expect((await agent.call("count", { text })).isError).toBe(false);
      });
      expectOnce(all);
      expect(wire.sent()).toEqual([...Array.from({ length: FREE }, () => 1), 2, 1, 1, 1, 2, 1]);
      expect(wallet.paidSats).toBe(2 * BUNDLE_SATS);
      expect(await leftFor(headers, wire)).toBe(BUNDLE - 2);
    });
  });

  it("pays where refusals are told as results", async () => {
    const headers = await CALLERS["a key"]("told");
    const all = texts(FREE + 2);
    await withAgent(dialect, gate.url, { headers, fetch: paying() }, async (agent) => {
      for (const text of all) expect((await agent.call("count", { text })).isError).toBe(false);
    });
    expectOnce(all);
    expect(wallet.paidSats).toBe(BUNDLE_SATS);
  });

  it("spends no more than its budget, and ends with a typed error when that is gone", async () => {
    const headers = await CALLERS["a key"]("dear");
    const fetch = paying({ budgetSats: 70, maxWait: 1_000 });
    await withAgent(dialect, gate.url, { headers, fetch }, async (agent) => {
      for (const text of texts(FREE + 2)) await agent.call("count", { text });
      const error = await agent.call("count", { text: `one too many on ${dialect}` }).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(TurnpikeError);
      expect(error).toMatchObject({ code: 402, obstacles: [{ code: "over-budget" }, { code: "wait-too-long" }] });
      expect((error as Error).message).toContain("its price of 30 sats is more than the 10 that are left of the budget of 70");
    });
    expect(server.ran(`one too many on ${dialect}`)).toBe(0);
    expect(wallet.paidSats).toBe(60);
  });
});

describe("what is paid for", () => {
  it.for([
    ["a key", "brisk", "client-2-auto"],
    ["no key", "203.0.113", "sdk-1"],
  ] as const)("with %s, is waited for when it is used too fast, and not paid for again", async ([caller, where, dialect]) => {
    const headers = await CALLERS[caller](where);
    const told: Progress["kind"][] = [];
    const all = texts(6);
    const wire = countingFetch();
    const fetch = paying({ prefer: "l402", fetch: wire.fetch, onProgress: ({ kind }) => told.push(kind) });
    await withAgent(dialect, gate.url, { headers, fetch }, async (agent) => {
      for (const text of all) expect((await agent.call("count", { text })).isError).toBe(false);
    });
    expectOnce(all);
    expect(told).toContain("waiting");
    expect(wallet.paid).toHaveLength(1);
    expect(await leftFor(headers, wire)).toBeGreaterThanOrEqual(10 - (all.length - 2));
  });
});

describe("a payment that the gate cannot count yet, since its node does not answer", () => {
  let careful: RunningGate;
  beforeAll(async () => {
    const sells = plan({ offers: { l402 } });
    const policy = { plans: { anonymous: sells, both: sells }, lightning: { confirmPayments: true } };
    careful = await startSellingGate(node, policy, { origin: server.url });
  });
  afterAll(() => careful.stop());

  it.for([
    ["a key", "client-2-modern"],
    ["no key", "client-2-legacy"],
  ] as const)("is shown again, with %s, once the time that was told is over, and nothing else is paid", async ([caller, dialect]) => {
    const headers: Headers = caller === "a key" ? { "X-API-Key": careful.keys["both"]! } : {};
    const payAndLeave = async (invoice: string) => {
      const paid = await wallet.payInvoice(invoice);
      await node.stop();
      return paid;
    };
    const wire = countingFetch();
    const fetch: FetchLike = async (input, init) => {
      const response = await wire.fetch(input, init);
      if (response.status === 503 && new URL(input instanceof Request ? input.url : input).href === careful.url) await node.start();
      return response;
    };
    const all = texts(FREE + BUNDLE);
    const options = { headers, fetch: paying({ wallet: { payInvoice: payAndLeave }, fetch }) };
    await withAgent(dialect, careful.url, options, async (agent) => {
      for (const text of all) expect((await agent.call("count", { text })).isError).toBe(false);
    });
    expectOnce(all);
    expect(wire.sent()).toEqual([...Array.from({ length: FREE }, () => 1), 3, 1, 1, 1]);
    expect(wallet.paid).toHaveLength(1);
  });
});

describe.for(DIALECTS)("an agent on %s with a wallet, where another server than the gate", (dialect) => {
  const payer = new BookWallet();
  const standIns: ChallengeGate[] = [];
  afterAll(async () => {
    await Promise.all(standIns.map((standIn) => standIn.stop()));
  });

  it.for<[string, Partial<ChallengeGateOptions>, Partial<NonNullable<ChallengeGateOptions["sells"]>>]>([
    ["tells its price as a problem", { form: "problem" }, {}],
    ["tells its price in headers alone", { form: "headers" }, {}],
    ["takes payments with the call only", {}, { isWithoutVerify: true }],
  ])("%s, pays it once", async ([, form, wares]) => {
    const sells = { book: payer.book, priceSats: 30, calls: 10, ...wares };
    const standIn = await startChallengeGate({ origin: server.url, burst: 2, perMinute: 1, sells, ...form });
    standIns.push(standIn);
    const before = payer.paid.length;
    const all = texts(6);
    const wire = countingFetch();
    await withAgent(dialect, standIn.url, { fetch: paying({ wallet: payer, fetch: wire.fetch }) }, async (agent) => {
      for (const text of all) expect((await agent.call("count", { text })).isError).toBe(false);
    });
    expectOnce(all);
    expect(wire.sent()).toEqual([1, 1, 2, 1, 1, 1]);
    expect(payer.paid.length - before).toBe(1);
    expect([...standIn.offences, ...payer.offences]).toEqual([]);
  });
});
