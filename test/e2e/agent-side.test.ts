/** The official clients with the agent's fetch, and hosts with the agent's commands, in front of a gate that refuses. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createTurnpikeFetch, type Progress, TurnpikeError } from "../../src/client/index.ts";
import { makeConsumer, policyText } from "../support/admin.ts";
import { DIALECTS, withAgent } from "../support/agents.ts";
import { type ChallengeGate, type ChallengeGateOptions, startChallengeGate } from "../support/challenge-gate.ts";
import { countingFetch } from "../support/counting-fetch.ts";
import { type CountingServer, startCountingServer } from "../support/counting-server.ts";
import { type RunningGate, startGate } from "../support/gate.ts";
import { postMessage, toolCall } from "../support/http.ts";
import { startHost } from "../support/stdio-host.ts";

/** Some milliseconds of work. */
const pow = (bits: number, calls: number) => ({ pow: { difficulty: bits, maxDifficulty: bits, calls } });
/** Buckets that no test waits for. What is bought has a rate of its own, the plan's again, so it is never less than a test buys. */
const POLICY = policyText({
  plans: {
    anonymous: { rate: { perMinute: 1, burst: 100 } },
    error: { rate: { perMinute: 1, burst: 8 }, offers: pow(12, 4) },
    result: { rate: { perMinute: 1, burst: 8 }, offers: pow(12, 4), refuse: "result" },
    single: { rate: { perMinute: 1, burst: 2 }, offers: pow(12, 1) },
    batches: { rate: { perMinute: 1, burst: 4 }, offers: pow(12, 10) },
    visible: { rate: { perMinute: 1, burst: 3 }, offers: pow(17, 10) },
    strict: { rate: { perMinute: 1, burst: 1 }, offers: pow(24, 10) },
    patient: { rate: { perMinute: 120, burst: 2 }, maxWaitSeconds: 0 },
    slow: { rate: { perMinute: 60, burst: 1 }, maxWaitSeconds: 0 },
  },
});

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

let made = 0;
function texts(count: number): string[] {
  return Array.from({ length: count }, () => `text ${++made}`);
}

/** A stand-in, for what the gate itself never says or cannot tell: other forms of refusals, and what an agent should not have sent. */
const standIns: ChallengeGate[] = [];
async function gateWith(options: Omit<ChallengeGateOptions, "origin">): Promise<ChallengeGate> {
  const standIn = await startChallengeGate({ origin: server.url, ...options });
  standIns.push(standIn);
  return standIn;
}
afterEach(async () => {
  await Promise.all(standIns.splice(0).map((standIn) => standIn.stop()));
});

async function rejection(promise: Promise<unknown>): Promise<Error & { code?: unknown; data?: Readonly<Record<string, unknown>> }> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  return error as Error;
}

/** The gate's last words of a call that goes no further. */
const STRICT_WORDS =
  'Rate limit reached on plan "strict": 1 call a minute. Wait 60 seconds, then send the same call again; sooner, it will be refused again. ' +
  'Or go on at once: solve the proof of work under "challenges" in this error\'s data, POST the solution to its "verify" URL, and send the same call again. ' +
  "It was not sent again: its proof of work of 24 bits is harder than the 22 that this client takes on, and the wait of 60 s is longer than the 1 s that were left for it.";

describe.for(DIALECTS)("an agent on %s with the turnpike fetch", (dialect) => {
  it.for(["error", "result"])("works its way through refusals by %s: every call runs, once", async (plan) => {
    const { key, logged } = await makeConsumer(gate, plan);
    const { fetch, sent } = countingFetch();
    const all = texts(15);
    await withAgent(dialect, gate.url, { key, fetch: createTurnpikeFetch({ fetch }) }, async (agent) => {
      expect(await agent.listTools()).toContain("count");
      const answers = await Promise.all(all.map((text) => agent.call("count", { text })));
      expect(answers.filter(({ isError }) => isError)).toEqual([]);
    });
    expect(all.map((text) => server.ran(text))).toEqual(all.map(() => 1));
    expect(logged("redeemed")).toHaveLength(2);
    expect(Math.max(...sent())).toBe(2);
  });

  it.for(["problem", "headers"] as const)("does so too by %s, as other gates may say it", async (form) => {
    const standIn = await gateWith({ burst: 2, perMinute: 1, difficulty: 12, form });
    const all = texts(15);
    await withAgent(dialect, standIn.url, { key: "tp_a", fetch: createTurnpikeFetch() }, async (agent) => {
      const answers = await Promise.all(all.map((text) => agent.call("count", { text })));
      expect(answers.filter(({ isError }) => isError)).toEqual([]);
    });
    expect(all.map((text) => server.ran(text))).toEqual(all.map(() => 1));
    expect(standIn.solved).toHaveLength(2);
    expect(standIn.offences).toEqual([]);
  });

  it("waits as long as it is told where there is no other way, and every call runs once", async () => {
    const { key, logged } = await makeConsumer(gate, "patient");
    const all = texts(6);
    await withAgent(dialect, gate.url, { key, fetch: createTurnpikeFetch() }, async (agent) => {
      for (const text of all) expect((await agent.call("count", { text })).isError).toBe(false);
    });
    expect(all.map((text) => server.ran(text))).toEqual(all.map(() => 1));
    // Who came back sooner than told would be refused twice.
    expect(logged("refused").length).toBeGreaterThan(0);
    expect(logged("refused").length).toBeLessThanOrEqual(all.length - 2);
  });

  it("ends with the gate's own words, and why it went no further, in a typed error", async () => {
    const { key } = await makeConsumer(gate, "strict");
    const [first, second] = texts(2);
    await withAgent(dialect, gate.url, { key, fetch: createTurnpikeFetch({ maxWait: 1_000 }) }, async (agent) => {
      await agent.call("count", { text: first });
      const error = await rejection(agent.call("count", { text: second }));
      expect(error).toBeInstanceOf(TurnpikeError);
      expect(error).toMatchObject({ code: 402, data: { cause: "rate", plan: "strict" } });
      expect(error.message).toBe(STRICT_WORDS);
      // The connection is as good as before.
      expect(await agent.listTools()).toContain("count");
    });
    expect(server.ran(second!)).toBe(0);
  });

  it("learns to ask not to be held, once it knows that it works faster than the gate gives", async () => {
    const { key } = await makeConsumer(gate, "single");
    const { fetch, calls } = countingFetch();
    await withAgent(dialect, gate.url, { key, fetch: createTurnpikeFetch({ fetch }) }, async (agent) => {
      for (const text of texts(4)) await agent.call("count", { text });
    });
    expect(calls.map(({ headers }) => headers.get("prefer"))).toEqual([null, null, null, null, "wait=0", "wait=0"]);
  });
});

describe.for(DIALECTS)("a host on %s that starts `turnpike connect`", (dialect) => {
  it("gets its calls through, sees in its progress display what takes the time, and stderr says so too", async () => {
    const { key, logged } = await makeConsumer(gate, "visible");
    const host = await startHost(dialect, gate.url, { env: { TURNPIKE_KEY: key } });
    const all = texts(4);
    const told: string[] = [];
    try {
      expect(await host.listTools()).toContain("count");
      for (const text of all) {
        const answer = await host.call("count", { text }, { onProgress: ({ message }) => told.push(message ?? "") });
        expect(answer.content[0]!.text).toBe(`${text} has run 1 times`);
      }
      const steps: number[] = [];
      await host.call("steps", { stepMs: 50 }, { onProgress: ({ progress }) => steps.push(progress) });
      expect(steps, "the server's own progress").toEqual([1, 2, 3]);
      if (dialect !== "sdk-1") expect(host.revision).toBe(dialect === "client-2-legacy" ? "2025-11-25" : "2026-07-28");
    } finally {
      await host.close();
    }
    expect(told[0]).toBe("over the limit: solving a proof of work of 17 bits");
    expect(told.join("\n")).toMatch(/solved in [\d.]+ s \([\d,]+ tries\), good for 10 calls/);
    expect(host.said()).toContain("tools/call count: over the limit: solving a proof of work of 17 bits");
    expect(logged("redeemed")).toMatchObject([{ difficulty: 17, calls: 10, plan: "visible" }]);
  });

  it("gets the gate's real error where there is no way on", async () => {
    const { key } = await makeConsumer(gate, "strict");
    const host = await startHost(dialect, gate.url, { env: { TURNPIKE_KEY: key }, args: ["--max-wait", "1"] });
    const [first, second] = texts(2);
    try {
      await host.call("count", { text: first });
      const error = await rejection(host.call("count", { text: second }));
      expect(error.code).toBe(402);
      expect(error.data).toMatchObject({ cause: "rate", limiter: "edge", plan: "strict", status: 402 });
      expect(error.message).toContain(STRICT_WORDS);
    } finally {
      await host.close();
    }
  });

  it("cancels a call that waits: it never runs", async () => {
    const { key, logged } = await makeConsumer(gate, "slow");
    const host = await startHost(dialect, gate.url, { env: { TURNPIKE_KEY: key } });
    const [first, text] = texts(2);
    try {
      await host.call("count", { text: first });
      const aborter = new AbortController();
      const calling = host.call("count", { text }, { signal: aborter.signal, onProgress: () => aborter.abort() });
      await rejection(calling);
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      expect(server.ran(text!)).toBe(0);
      expect(logged("refused")).toHaveLength(1);
    } finally {
      await host.close();
    }
  });
});

describe("the turnpike fetch on plain HTTP", () => {
  it("gets a whole batch through with one proof", async () => {
    const { key, logged } = await makeConsumer(gate, "batches");
    const told: Progress["kind"][] = [];
    const client = createTurnpikeFetch({ onProgress: ({ kind }) => told.push(kind) });
    for (const text of texts(2)) await postMessage(gate.url, toolCall("count", { text }), { "X-API-Key": key });
    const all = texts(3);
    const batch = all.map((text, i) => toolCall("count", { text }, i));
    const headers = { "Content-Type": "application/json", Accept: "application/json, text/event-stream", "X-API-Key": key };
    const response = await client(gate.url, { method: "POST", headers, body: JSON.stringify(batch) });
    expect(response.status).not.toBe(402);
    expect(told.filter((kind) => kind !== "solving")).toEqual(["solved", "resending"]);
    expect(logged("refused")).toHaveLength(1);
    expect(logged("redeemed")).toHaveLength(1);
  });

  it("is not needed where the gate lets calls through: nothing is added and nothing is sent twice", async () => {
    const { fetch, calls, sent } = countingFetch();
    await withAgent("sdk-1", gate.url, { fetch: createTurnpikeFetch({ fetch }) }, async (agent) => {
      await Promise.all(texts(20).map((text) => agent.call("count", { text })));
    });
    expect(sent()).toEqual(Array.from({ length: 20 }, () => 1));
    expect(calls.every(({ headers }) => !headers.has("prefer") && !headers.has("turnpike-pass"))).toBe(true);
  });

  it("comes back when it was told to, and never sooner", async () => {
    const standIn = await gateWith({ burst: 2, perMinute: 120 });
    await withAgent("client-2-auto", standIn.url, { key: "tp_a", fetch: createTurnpikeFetch() }, async (agent) => {
      for (const text of texts(4)) await agent.call("count", { text });
    });
    expect(standIn.calls.filter(({ verdict }) => verdict === "refused")).not.toEqual([]);
    expect(standIn.offences).toEqual([]);
  });
});
