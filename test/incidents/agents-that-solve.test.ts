/**
 * Agents that get through by themselves: the official clients with the turnpike fetch, and hosts that start `turnpike connect`, do
 * twice the calls that their plan has at once, on a gate that holds nothing and offers a proof of work as it comes.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTurnpikeFetch } from "../../src/client/index.ts";
import { type Consumer, makeConsumer, policyText } from "../support/admin.ts";
import { connectAgent, DIALECTS, withAgent } from "../support/agents.ts";
import { type CountingFetch, countingFetch } from "../support/counting-fetch.ts";
import { type CountingServer, startCountingServer } from "../support/counting-server.ts";
import { type RunningGate, startGate } from "../support/gate.ts";
import { startHost } from "../support/stdio-host.ts";

const PER_MINUTE = 30;
const CALLS = 60;
/** Who does nothing but wait gets the rest at the plan's own refill, whatever else they do. */
const WAITING_MS = ((CALLS - PER_MINUTE) / PER_MINUTE) * 60_000;
const ENOUGH = 60_000;

const offers = { pow: true };
const POLICY = policyText({ plans: { anonymous: { rate: 10 }, free: { rate: PER_MINUTE, maxWaitSeconds: 0, offers } } });

let server: CountingServer;
let gate: RunningGate;
beforeAll(async () => {
  server = await startCountingServer();
  gate = await startGate({ origin: server.url, policy: POLICY });
});
afterAll(async () => {
  await gate.stop();
  await server.stop();
});

/** Bits of each proof that the gate has taken, in their order. */
function proofsOf({ logged }: Consumer): unknown[] {
  return logged("redeemed").map(({ difficulty }) => difficulty);
}

const textsOf = (who: string, count: number): string[] => Array.from({ length: count }, (_, i) => `call ${i} of ${who}`);

type Call = (tool: string, args: { readonly text: string }) => Promise<{ readonly isError?: boolean }>;

/** One after the other, as an agent calls. @returns how long it took */
async function work(call: Call, texts: readonly string[]): Promise<number> {
  const start = performance.now();
  for (const text of texts) expect((await call("count", { text })).isError ?? false, text).toBe(false);
  return performance.now() - start;
}

function expectOnce(texts: readonly string[]): void {
  expect(texts.map((text) => server.ran(text))).toEqual(texts.map(() => 1));
}

function tell(who: string, proofs: readonly unknown[], tookMs: number): void {
  console.log(
    `${who}: ${CALLS} calls on ${PER_MINUTE} a minute without an error in ${(tookMs / 1_000).toFixed(1)} s, with ${proofs.length} proofs ` +
      `of ${proofs.join(", ")} bits; by waiting it takes ${WAITING_MS / 1_000} s at the least`,
  );
}

describe("twice the calls of a plan, with nobody watching", () => {
  it.each(DIALECTS)("%s with the turnpike fetch finishes without an error", { timeout: ENOUGH }, async (dialect) => {
    const who = `fetch-${dialect}`;
    const consumer = await makeConsumer(gate, "free");
    const counting = countingFetch();
    const texts = textsOf(who, CALLS);
    const fetch = createTurnpikeFetch({ fetch: counting.fetch });
    const tookMs = await withAgent(dialect, gate.url, { key: consumer.key, fetch }, (agent) => work(agent.call, texts));
    tell(`${dialect} with the turnpike fetch`, proofsOf(consumer), tookMs);
    expectOnce(texts);
    expect(proofsOf(consumer).length).toBeGreaterThanOrEqual(2);
    expect(tookMs).toBeLessThan(WAITING_MS / 2);
    expect(Math.max(...counting.sent())).toBe(2);
  });

  it.each(["sdk-1", "client-2-modern"] as const)(
    "a host on %s that starts `turnpike connect` finishes without an error",
    { timeout: ENOUGH },
    async (dialect) => {
      const who = `host-${dialect}`;
      const consumer = await makeConsumer(gate, "free");
      const host = await startHost(dialect, gate.url, { env: { TURNPIKE_KEY: consumer.key } });
      const texts = textsOf(who, CALLS);
      let tookMs: number;
      try {
        tookMs = await work(host.call, texts);
      } finally {
        await host.close();
      }
      tell(`a host on ${dialect} with turnpike connect`, proofsOf(consumer), tookMs);
      expectOnce(texts);
      expect(proofsOf(consumer).length).toBeGreaterThanOrEqual(2);
      expect(tookMs).toBeLessThan(WAITING_MS / 2);
    },
  );
});

/** Each agent works off texts of its own, all at once and each on a client of another kind. */
async function workTogether({ key }: Consumer, fetches: readonly CountingFetch[], texts: readonly (readonly string[])[]): Promise<number> {
  const agents = await Promise.all(
    fetches.map(({ fetch }, i) => connectAgent(DIALECTS[i]!, gate.url, { key, fetch: createTurnpikeFetch({ fetch }) })),
  );
  try {
    const start = performance.now();
    await Promise.all(agents.map((agent, i) => work(agent.call, texts[i]!)));
    return performance.now() - start;
  } finally {
    await Promise.all(agents.map((agent) => agent.close()));
  }
}

describe("four agents on one key", () => {
  it(
    "finish twice the calls of their plan together: no error, and no call is sent more than three times",
    { timeout: ENOUGH },
    async () => {
      const consumer = await makeConsumer(gate, "free");
      const counting = DIALECTS.map(() => countingFetch());
      const texts = DIALECTS.map((dialect) => textsOf(`four, ${dialect}`, CALLS / DIALECTS.length));
      const tookMs = await workTogether(consumer, counting, texts);
      const resends = Math.max(...counting.flatMap(({ sent }) => sent())) - 1;
      tell(`four agents on one key (at most ${resends} re-send of any call)`, proofsOf(consumer), tookMs);
      texts.forEach(expectOnce);
      expect(proofsOf(consumer).length).toBeGreaterThanOrEqual(2);
      expect(resends).toBeLessThanOrEqual(2);
    },
  );

  it("that all solve at once each get the call through that they solved for, with one re-send", { timeout: ENOUGH }, async () => {
    const consumer = await makeConsumer(gate, "free");
    const before = textsOf("whoever was there before", PER_MINUTE);
    await withAgent("sdk-1", gate.url, { key: consumer.key }, (agent) => Promise.all(before.map((text) => agent.call("count", { text }))));
    // Nobody hands in a proof before all have one of their own to hand in.
    const { promise: allSolved, resolve: go } = Promise.withResolvers<void>();
    let solved = 0;
    const counting = DIALECTS.map(() =>
      countingFetch(() => {
        if (++solved === DIALECTS.length) go();
        return allSolved;
      }),
    );
    // No more than credits let through at once, so that nobody has to wait.
    const texts = DIALECTS.map((dialect) => textsOf(`at once, ${dialect}`, 7));
    await workTogether(consumer, counting, texts);
    const resends = Math.max(...counting.flatMap(({ sent }) => sent())) - 1;
    console.log(`four agents that solve at once: ${proofsOf(consumer).join(", ")} bits, at most ${resends} re-send of any call`);
    texts.forEach(expectOnce);
    expect(counting.map(({ posted }) => posted.length)).toEqual([1, 1, 1, 1]);
    expect(proofsOf(consumer), "nobody's work was lost").toHaveLength(DIALECTS.length);
    expect(resends).toBe(1);
  });
});
