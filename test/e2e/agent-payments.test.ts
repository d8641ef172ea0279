/** The official clients with a wallet, in front of a gate that sells calls for real, signed regtest invoices. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTurnpikeFetch, type FetchLike, TurnpikeError, type TurnpikeFetchOptions } from "../../src/client/index.ts";
import { DIALECTS, withAgent } from "../support/agents.ts";
import { type ChallengeGate, type ChallengeGateOptions, startChallengeGate } from "../support/challenge-gate.ts";
import { type CountingServer, startCountingServer } from "../support/counting-server.ts";
import { BookWallet } from "../support/book-wallet.ts";

/** Some milliseconds of work, and a bucket that no test waits for. */
const PROOF = { burst: 2, perMinute: 1, difficulty: 12 } as const;
const PRICE_SATS = 30;

let server: CountingServer;
beforeAll(async () => {
  server = await startCountingServer();
});
afterAll(() => server.stop());

let payer: BookWallet;
beforeEach(() => {
  payer = new BookWallet();
});

const gates: ChallengeGate[] = [];
async function gateWith(options: Partial<ChallengeGateOptions> = {}): Promise<ChallengeGate> {
  const sells = { book: payer.book, priceSats: PRICE_SATS, calls: 10 };
  const gate = await startChallengeGate({ origin: server.url, ...PROOF, sells, ...options });
  gates.push(gate);
  return gate;
}
afterEach(async () => {
  await Promise.all(gates.splice(0).map((gate) => gate.stop()));
});

let made = 0;
function texts(count: number): string[] {
  return Array.from({ length: count }, () => `paid text ${++made}`);
}

function paying(options: TurnpikeFetchOptions = {}) {
  return createTurnpikeFetch({ wallet: payer, network: "regtest", ...options });
}

/** Nothing is handed in before so many calls were refused, however fast it is solved or paid: they are then refused together. */
function refusedTogether(count: number): FetchLike {
  let refused = 0;
  let goOn: () => void;
  const all = new Promise<void>((resolve) => (goOn = resolve));
  return async (input, init) => {
    if (input instanceof URL && input.pathname.endsWith("/verify")) await all;
    const response = await fetch(input, init);
    if (response.status === 402 && ++refused === count) goOn();
    return response;
  };
}

describe.for(DIALECTS)("an agent on %s with a wallet", (dialect) => {
  it.for([
    ["cheapest", 2, 0],
    ["pow", 2, 0],
    ["l402", 0, 2],
  ] as const)("gets by on %s: every call runs, once", async ([prefer, proofs, payments]) => {
    const gate = await gateWith();
    const all = texts(15);
    const fetch = paying({ prefer, fetch: refusedTogether(all.length - PROOF.burst) });
    await withAgent(dialect, gate.url, { key: "tp_a", fetch }, async (agent) => {
      const answers = await Promise.all(all.map((text) => agent.call("count", { text })));
      expect(answers.filter(({ isError }) => isError)).toEqual([]);
    });
    expect(all.map((text) => server.ran(text))).toEqual(all.map(() => 1));
    expect(gate.solved).toHaveLength(proofs);
    expect(payer.paid).toHaveLength(payments);
    expect(gate.redeemed).toHaveLength(payments);
    expect([...gate.offences, ...payer.offences]).toEqual([]);
  });

  it.for(["error", "result", "problem", "headers"] as const)("pays where refusals are told by %s", async (form) => {
    const gate = await gateWith({ form });
    const all = texts(5);
    await withAgent(dialect, gate.url, { key: "tp_a", fetch: paying({ prefer: "l402" }) }, async (agent) => {
      for (const text of all) expect((await agent.call("count", { text })).isError).toBe(false);
    });
    expect(all.map((text) => server.ran(text))).toEqual(all.map(() => 1));
    expect(payer.paidSats).toBe(PRICE_SATS);
    expect([...gate.offences, ...payer.offences]).toEqual([]);
  });

  it("pays a gate that takes payments with the call only", async () => {
    const gate = await gateWith({ sells: { book: payer.book, priceSats: PRICE_SATS, calls: 10, isWithoutVerify: true } });
    const all = texts(6);
    await withAgent(dialect, gate.url, { fetch: paying({ prefer: "l402" }) }, async (agent) => {
      for (const text of all) expect((await agent.call("count", { text })).isError).toBe(false);
    });
    expect(gate.redeemed).toEqual(["header"]);
    expect([...gate.offences, ...payer.offences]).toEqual([]);
  });

  it("spends no more than its budget, and ends with a typed error when that is gone", async () => {
    const gate = await gateWith({ sells: { book: payer.book, priceSats: PRICE_SATS, calls: 1 } });
    const fetch = paying({ prefer: "l402", solve: false, budgetSats: 70, maxWait: 1_000 });
    await withAgent(dialect, gate.url, { key: "tp_a", fetch }, async (agent) => {
      for (const text of texts(4)) await agent.call("count", { text });
      const error = await agent.call("count", { text: "one too many" }).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(TurnpikeError);
      expect(error).toMatchObject({ code: 402, obstacles: [{ code: "over-budget" }, { code: "wait-too-long" }] });
      expect((error as Error).message).toContain("its price of 30 sats is more than the 10 that are left of the budget of 70");
    });
    expect(server.ran("one too many")).toBe(0);
    expect(payer.paidSats).toBe(60);
    expect([...gate.offences, ...payer.offences]).toEqual([]);
  });
});
