/** The public incidents that Turnpike is for (mission.md), replayed end to end with the official clients. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeKey } from "../support/admin.ts";
import { type Agent, connectAgent, DIALECTS, withAgent } from "../support/agents.ts";
import type { RunningGate } from "../support/gate.ts";
import { errorIn, postMessage, toolCall } from "../support/http.ts";
import { answerTools, type Origin, type Respond } from "../support/origin.ts";
import { startTwoEndpoints, type TwoEndpoints } from "../support/two-endpoints.ts";

const FREE = 30;
const CLIENTS = 4;
const CALLS_EACH = 9;
/** Objects are evicted after some ten idle seconds, and start again from what is stored. */
const NAP_MS = 12_000;
const NOW = { Prefer: "wait=0" };
const POLICY = {
  plans: {
    anonymous: { rate: 10, maxWaitSeconds: 5 },
    free: { rate: FREE },
    pro: { rate: 120 },
    "one-in-15s": { rate: { perMinute: 4, burst: 1 } },
  },
};

/** Whose limit nobody knows: it is the origin's own. */
const LIMITED = "get_figma_data";
const respond: Respond = (seen, response) => {
  if (!seen.body.includes(LIMITED)) return answerTools(seen, response);
  response.writeHead(429, { "Content-Type": "application/json", "Retry-After": "77" }).end('{"err":"upstream token is spent"}');
};

let endpoints: TwoEndpoints;
let gate: RunningGate;
let origin: Origin;
let toolsUrl: string;
beforeAll(async () => {
  endpoints = await startTwoEndpoints(POLICY, { respond });
  ({ gate, origin, toolsUrl } = endpoints);
});
afterAll(() => endpoints.stop());

function post(key: string, name: string, args: Readonly<Record<string, unknown>>, id = 1) {
  return postMessage(gate.url, toolCall(name, args, id), { "X-API-Key": key, ...NOW });
}

async function runOne(agent: Agent, client: number): Promise<number> {
  let completed = 0;
  for (let call = 0; call < CALLS_EACH; call++) {
    const answer = await agent.call("count_words", { text: `call ${call} of client ${client}` }).catch(() => null);
    if (answer?.isError === false) completed++;
  }
  return completed;
}

/** Each client calls again when it has its answer, as agents do; how many calls came back without an error. */
async function runFleet(key: string, headers: Readonly<Record<string, string>>): Promise<number> {
  const agents = await Promise.all(DIALECTS.slice(0, CLIENTS).map((dialect) => connectAgent(dialect, toolsUrl, { key, headers })));
  const completed = await Promise.all(agents.map(runOne));
  await Promise.all(agents.map((agent) => agent.close()));
  return completed.reduce((sum, calls) => sum + calls, 0);
}

describe.concurrent("getsentry/sentry-mcp #844: parallel agents saturate a quota sized for people", () => {
  it("four agents on one free key finish their work: their calls are held, not refused", async () => {
    const [held, unheld] = await Promise.all([makeKey(gate, "free"), makeKey(gate, "free")]);
    const start = Date.now();
    const [completedHeld, completedUnheld] = await Promise.all([runFleet(held.key, {}), runFleet(unheld.key, NOW)]);
    console.log(
      `parallel agents: of ${CLIENTS} x ${CALLS_EACH} calls on "free" (${FREE} a minute), ${completedHeld} completed without an error when held ` +
        `(in ${Date.now() - start} ms), ${completedUnheld} with Prefer: wait=0`,
    );
    expect(completedHeld).toBe(CLIENTS * CALLS_EACH);
    expect(completedUnheld).toBeLessThan(CLIENTS * CALLS_EACH);
  });

  it("an agent that is refused is told how long to wait, in a header and in words", async () => {
    const { key } = await makeKey(gate, "free");
    await Promise.all(Array.from({ length: FREE }, (_, i) => post(key, "spend", { i }, i)));
    const refused = await post(key, "one-more", {});
    expect(refused.status).toBe(429);
    expect(Number(refused.headers["retry-after"])).toBeGreaterThanOrEqual(1);
    expect(errorIn(refused).error.message).toMatch(/Wait \d seconds?, then send the same call again/);
  });
});

describe.concurrent("atlassian-mcp-server #171: 429 at about twenty parallel calls", () => {
  it("twenty parallel calls on a plan of thirty all pass", async () => {
    const { key } = await makeKey(gate, "free");
    const statuses = await Promise.all(Array.from({ length: 20 }, async (_, i) => (await post(key, "parallel", { i }, i)).status));
    expect(new Set(statuses)).toEqual(new Set([200]));
  });
});

describe.concurrent("awslabs/mcp #2949: one request in fifteen seconds, so that tools/list is refused", () => {
  it.for(DIALECTS)("%s connects, lists and calls on such a plan", async (dialect) => {
    const { key } = await makeKey(gate, "one-in-15s");
    await withAgent(dialect, toolsUrl, { key }, async (agent) => {
      expect(await agent.listTools()).toContain("count_words");
      expect((await agent.call("count_words", { text: "one" })).isError).toBe(false);
      await expect(agent.call("count_words", { text: "two" })).rejects.toThrow(/Wait 1\d seconds/);
      expect(await agent.listTools()).toContain("count_words");
    });
  });
});

describe.concurrent("github-mcp-server #2037: one customer's agent takes the others down with it", () => {
  it("a neighbour's calls all pass while one consumer floods", async () => {
    const [noisy, quiet] = await Promise.all([makeKey(gate, "free"), makeKey(gate, "free")]);
    const start = Date.now();
    const flood = Promise.all(Array.from({ length: 300 }, async (_, i) => (await post(noisy.key, "noisy", { i }, i)).status));
    const calm = await Promise.all(Array.from({ length: 20 }, async (_, i) => (await post(quiet.key, "quiet", { i }, i)).status));
    const loud = await flood;
    const refilled = Math.floor(((Date.now() - start) * FREE) / 60_000);
    console.log(
      `neighbours: of a flood of ${loud.length} calls ${passed(loud)} reached the origin, of the neighbour's ${calm.length} all did`,
    );
    expect(new Set(calm)).toEqual(new Set([200]));
    expect(passed(loud)).toBeLessThanOrEqual(FREE + refilled);
  });
});

describe.concurrent("Figma-Context-MCP #258: a limit that nobody can attribute", () => {
  it("whose limit it was is said: the origin's own refusals come as they are, and while they hold the gate says whose they are", async () => {
    const { key } = await makeKey(gate, "one-in-15s");
    // An upstream credential of its own: what is closed to it is open to the other tests.
    const call = () => postMessage(gate.url, toolCall(LIMITED), { "X-API-Key": key, Authorization: "Bearer spent", ...NOW });
    expect(await call()).toMatchObject({ status: 429, text: '{"err":"upstream token is spent"}', headers: { "retry-after": "77" } });
    const refused = errorIn(await call()).error;
    expect(refused.data).toMatchObject({ limiter: "origin", cause: "origin", plan: "one-in-15s" });
    expect(refused.message).toMatch(/has reached a limit of its own, which is not your plan's/);
    const reached = origin.seen.filter(({ body }) => body.includes(LIMITED));
    expect(reached).toHaveLength(1);
    expect(reached[0]!.headers).toMatchObject({ "turnpike-plan": "one-in-15s" });
  });
});

function passed(statuses: readonly number[]): number {
  return statuses.filter((status) => status === 200).length;
}

describe.concurrent("a stuck agent: the same call, hundreds of times a minute", () => {
  const STUCK = { path: "/does/not/exist" };
  it("is cut after ten, and the budget that is left still works", async () => {
    const { key } = await makeKey(gate, "pro");
    const statuses = await Promise.all(Array.from({ length: 200 }, async (_, i) => (await post(key, "stuck", STUCK, i)).status));
    const next = await post(key, "something-else", STUCK);
    console.log(`stuck agent: of ${statuses.length} identical calls on "pro", ${passed(statuses)} reached the origin before the cut`);
    expect(passed(statuses)).toBe(10);
    expect(next.status).toBe(200);
    expect(Number(/r=(\d+)/.exec(String(next.headers["ratelimit"]))![1])).toBeGreaterThanOrEqual(120 - 11);
  });

  it("is cut after ten also when it naps in the middle for longer than an object stays in memory", async () => {
    const { key } = await makeKey(gate, "pro");
    const statuses: number[] = [];
    for (let i = 0; i < 6; i++) statuses.push((await post(key, "napping", STUCK, i)).status);
    await new Promise((resolve) => setTimeout(resolve, NAP_MS));
    for (let i = 0; i < 20; i++) statuses.push((await post(key, "napping", STUCK, i)).status);
    console.log(
      `stuck agent: of ${statuses.length} identical calls with a nap of ${NAP_MS / 1_000} s between, ${passed(statuses)} reached the origin`,
    );
    expect(passed(statuses)).toBe(10);
  });
});
