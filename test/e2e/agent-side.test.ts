/** The official clients with the agent's fetch, and hosts with the agent's commands, in front of a gate that refuses. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createTurnpikeFetch, type Progress, TurnpikeError } from "../../src/client/index.ts";
import { DIALECTS, withAgent } from "../support/agents.ts";
import { type ChallengeGate, type ChallengeGateOptions, startChallengeGate } from "../support/challenge-gate.ts";
import { type CountingServer, startCountingServer } from "../support/counting-server.ts";
import { postMessage, toolCall } from "../support/http.ts";
import { startHost } from "../support/stdio-host.ts";

/** Some milliseconds of work, and a bucket that no test waits for. */
const PROOF = { burst: 2, perMinute: 1, difficulty: 12 } as const;
const WAIT = { burst: 2, perMinute: 120 } as const;

let server: CountingServer;
beforeAll(async () => {
  server = await startCountingServer();
});
afterAll(() => server.stop());

const gates: ChallengeGate[] = [];
async function gateWith(options: Omit<ChallengeGateOptions, "origin">): Promise<ChallengeGate> {
  const gate = await startChallengeGate({ origin: server.url, ...options });
  gates.push(gate);
  return gate;
}
afterEach(async () => {
  await Promise.all(gates.splice(0).map((gate) => gate.stop()));
});

let made = 0;
function texts(count: number): string[] {
  return Array.from({ length: count }, () => `text ${++made}`);
}

async function rejection(promise: Promise<unknown>): Promise<Error & { code?: unknown; data?: Readonly<Record<string, unknown>> }> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  return error as Error;
}

describe.for(DIALECTS)("an agent on %s with the turnpike fetch", (dialect) => {
  it.for(["error", "result", "problem", "headers"] as const)(
    "works its way through refusals by %s: every call runs, once",
    async (form) => {
      const gate = await gateWith({ ...PROOF, form });
      const all = texts(15);
      await withAgent(dialect, gate.url, { key: "tp_a", fetch: createTurnpikeFetch() }, async (agent) => {
        expect(await agent.listTools()).toContain("count");
        const answers = await Promise.all(all.map((text) => agent.call("count", { text })));
        expect(answers.filter(({ isError }) => isError)).toEqual([]);
      });
      expect(all.map((text) => server.ran(text))).toEqual(all.map(() => 1));
      expect(gate.solved).toHaveLength(2);
      expect(gate.offences).toEqual([]);
    },
  );

  it("waits as long as it is told where there is no other way, and every call runs once", async () => {
    const gate = await gateWith(WAIT);
    const all = texts(4);
    await withAgent(dialect, gate.url, { key: "tp_a", fetch: createTurnpikeFetch() }, async (agent) => {
      for (const text of all) expect((await agent.call("count", { text })).isError).toBe(false);
    });
    expect(all.map((text) => server.ran(text))).toEqual(all.map(() => 1));
    expect(gate.offences).toEqual([]);
  });

  it("ends with the gate's own words, and why it went no further, in a typed error", async () => {
    const gate = await gateWith({ burst: 1, perMinute: 1, difficulty: 30 });
    await withAgent(dialect, gate.url, { key: "tp_a", fetch: createTurnpikeFetch({ maxWait: 1_000 }) }, async (agent) => {
      await agent.call("count", { text: "first" });
      const error = await rejection(agent.call("count", { text: "second" }));
      expect(error).toBeInstanceOf(TurnpikeError);
      expect(error).toMatchObject({ code: 402, data: { cause: "rate", plan: "test" } });
      expect(error.message).toMatch(
        /^Rate limit reached on plan "test"\. Wait 60 seconds, then send the same call again\. It was not sent again: its proof of work of 30 bits is harder than the 22 that this client takes on, and the wait of \d+ s is longer than the 1 s that were left for it\.$/,
      );
      // The connection is as good as before.
      expect(await agent.listTools()).toContain("count");
    });
    expect(server.ran("second")).toBe(0);
  });

  it("learns to ask not to be held, once it knows that it works faster than the gate gives", async () => {
    const gate = await gateWith({ ...PROOF, callsPerProof: 1 });
    await withAgent(dialect, gate.url, { key: "tp_a", fetch: createTurnpikeFetch() }, async (agent) => {
      for (const text of texts(4)) await agent.call("count", { text });
    });
    expect(gate.calls.map(({ headers }) => headers.get("prefer"))).toEqual([null, null, null, null, "wait=0", "wait=0"]);
    expect(gate.offences).toEqual([]);
  });
});

describe.for(DIALECTS)("a host on %s that starts `turnpike connect`", (dialect) => {
  const key = { env: { TURNPIKE_KEY: "tp_host" } };

  it("gets its calls through, sees in its progress display what takes the time, and stderr says so too", async () => {
    const gate = await gateWith({ ...PROOF, difficulty: 17 });
    const host = await startHost(dialect, gate.url, key);
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
    expect(gate.calls.every(({ headers }) => headers.get("x-api-key") === "tp_host")).toBe(true);
    expect(gate.offences).toEqual([]);
  });

  it("gets the gate's real error where there is no way on", async () => {
    const gate = await gateWith({ burst: 1, perMinute: 1, difficulty: 30 });
    const host = await startHost(dialect, gate.url, { ...key, args: ["--max-wait", "1"] });
    try {
      await host.call("count", { text: "first" });
      const error = await rejection(host.call("count", { text: "second" }));
      expect(error.code).toBe(402);
      expect(error.data).toMatchObject({ cause: "rate", limiter: "edge", plan: "test", status: 402 });
      expect(error.message).toContain(
        'Rate limit reached on plan "test". Wait 60 seconds, then send the same call again. It was not sent again',
      );
    } finally {
      await host.close();
    }
  });

  it("cancels a call that waits: it never runs", async () => {
    const gate = await gateWith({ burst: 1, perMinute: 60 });
    const host = await startHost(dialect, gate.url, key);
    try {
      await host.call("count", { text: "first" });
      const aborter = new AbortController();
      const text = texts(1)[0]!;
      const calling = host.call("count", { text }, { signal: aborter.signal, onProgress: () => aborter.abort() });
      await rejection(calling);
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      expect(server.ran(text)).toBe(0);
      expect(gate.calls).toHaveLength(2);
    } finally {
      await host.close();
    }
  });
});

describe("the turnpike fetch on plain HTTP", () => {
  it("gets a whole batch through with one proof", async () => {
    const gate = await gateWith({ ...PROOF, callsPerProof: 10 });
    const told: Progress["kind"][] = [];
    const client = createTurnpikeFetch({ onProgress: ({ kind }) => told.push(kind) });
    const batch = [toolCall("count", { text: "a" }, 1), toolCall("count", { text: "b" }, 2), toolCall("count", { text: "c" }, 3)];
    const headers = { "Content-Type": "application/json", Accept: "application/json, text/event-stream", "X-API-Key": "tp_a" };
    await client(gate.url, { method: "POST", headers, body: JSON.stringify(batch) });
    expect(gate.calls.map(({ verdict }) => verdict)).toEqual(["refused", "forwarded"]);
    expect(told.filter((kind) => kind !== "solving")).toEqual(["solved", "resending"]);
    expect(gate.solved).toHaveLength(1);
  });

  it("is not needed where the gate lets calls through: nothing is added and nothing is sent twice", async () => {
    const gate = await gateWith({ burst: 100, perMinute: 60 });
    await withAgent("sdk-1", gate.url, { fetch: createTurnpikeFetch() }, async (agent) => {
      await Promise.all(texts(20).map((text) => agent.call("count", { text })));
    });
    expect(gate.calls).toHaveLength(20);
    expect(gate.calls.every(({ headers }) => !headers.has("prefer") && !headers.has("turnpike-pass"))).toBe(true);
    expect((await postMessage(gate.url, toolCall("count", { text: "z" }))).status).not.toBe(429);
  });
});
