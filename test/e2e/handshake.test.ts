/** The handshake's own lane: it completes, it is bounded, and it is never told 429 or 402. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeKey } from "../support/admin.ts";
import { connectAgent, DIALECTS, withAgent } from "../support/agents.ts";
import type { RunningGate } from "../support/gate.ts";
import { type Answer, errorIn, postMessage } from "../support/http.ts";
import { startTwoEndpoints, type TwoEndpoints } from "../support/two-endpoints.ts";

const PER_MINUTE = 60;
/** A handshake is held up to 8 s; at one a second, that is eight more than the burst. */
const HELD = 8;
const TOO_MANY = 5;
/** What mcp-remote takes for something else when it stands anywhere in the text of a failed connection. */
const MISREAD = /404|405|Not Found|Method Not Allowed|Unauthorized/i;

let endpoints: TwoEndpoints;
let gate: RunningGate;
let toolsUrl: string;
beforeAll(async () => {
  endpoints = await startTwoEndpoints({ plans: { anonymous: { rate: 10 }, one: { rate: 1 } } });
  ({ gate, toolsUrl } = endpoints);
});
afterAll(() => endpoints.stop());

function list(key: string, id: number, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return postMessage(gate.url, { jsonrpc: "2.0", id, method: "tools/list" }, { "X-API-Key": key, ...headers });
}

describe.concurrent("a flood of handshakes", () => {
  it("is held, and beyond that told 503 with a time, never 429", async () => {
    const { key } = await makeKey(gate, "one");
    const start = Date.now();
    const answers = await Promise.all(Array.from({ length: PER_MINUTE + HELD + TOO_MANY }, (_, id) => list(key, id)));
    const sentForMs = Date.now() - start;
    const passed = answers.filter((answer) => answer.status === 200);
    const refused = answers.filter((answer) => answer.status === 503);
    expect(passed.length + refused.length).toBe(answers.length);
    expect(passed.length).toBeGreaterThanOrEqual(PER_MINUTE + HELD - 1);
    // One more for each second that the flood itself took before its last request was decided.
    expect(passed.length).toBeLessThanOrEqual(PER_MINUTE + HELD + Math.ceil(Math.max(0, sentForMs - HELD * 1_000) / 1_000));
    for (const answer of refused) {
      expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
      const { error } = errorIn(answer);
      expect(error.code).toBe(503);
      expect(error.message).toMatch(/^Too many connection requests: .* Wait \d+ seconds?, then/);
      expect(error.data).toMatchObject({ status: 503, cause: "rate", limiter: "edge" });
      expect(error.data).not.toHaveProperty("instance");
      expect(error.data).not.toHaveProperty("retryAfterMs");
      expect(answer.text).not.toMatch(MISREAD);
    }
  });

  it("is told at once to a client that prefers not to wait", async () => {
    const { key } = await makeKey(gate, "one");
    const answers = await Promise.all(Array.from({ length: PER_MINUTE + 10 }, (_, id) => list(key, id, { Prefer: "wait=0" })));
    const passed = answers.filter(({ status }) => status === 200).length;
    const refused = answers.filter(({ status }) => status === 503).length;
    expect(passed).toBeGreaterThanOrEqual(PER_MINUTE);
    expect(refused).toBeGreaterThan(0);
    expect(passed + refused).toBe(answers.length);
  });

  it("does not use up the work limits, nor they the handshake's", async () => {
    const { key } = await makeKey(gate, "one");
    await Promise.all(Array.from({ length: 20 }, (_, id) => list(key, id)));
    const call = () =>
      postMessage(gate.url, { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "t" } }, { "X-API-Key": key, Prefer: "wait=0" });
    expect((await call()).status).toBe(200);
    expect((await call()).status).toBe(429);
    expect((await list(key, 1)).status).toBe(200);
  });
});

describe.concurrent("what a client sends without asking for anything", () => {
  it("is never refused for work: notifications, answers, GET, DELETE, ping", async () => {
    const { key } = await makeKey(gate, "one");
    const headers = { "X-API-Key": key };
    await postMessage(gate.url, { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "t" } }, headers);
    for (const message of [
      { jsonrpc: "2.0", method: "notifications/initialized" },
      { jsonrpc: "2.0", id: 4, result: { action: "accept" } },
      { jsonrpc: "2.0", id: 5, error: { code: -1, message: "no" } },
      { jsonrpc: "2.0", id: 6, method: "ping" },
    ]) {
      const { status } = await postMessage(gate.url, message, headers);
      expect([200, 202]).toContain(status);
    }
  });

  it("is bounded all the same", async () => {
    const { key } = await makeKey(gate, "one");
    const notification = { jsonrpc: "2.0", method: "notifications/progress", params: {} };
    const batch = Array.from({ length: 100 }, () => notification);
    const statuses = new Set<number>();
    for (let i = 0; i < 8; i++) statuses.add((await postMessage(gate.url, batch, { "X-API-Key": key })).status);
    expect(statuses).toEqual(new Set([202, 503]));
  });
});

describe.concurrent.for(DIALECTS)("%s", (dialect) => {
  it("connects again and again with an empty plan, as a fleet behind one key does", async () => {
    const { key } = await makeKey(gate, "one");
    await withAgent(dialect, toolsUrl, { key }, (agent) => agent.call("count_words", { text: "the only call" }));
    const agents = await Promise.all(Array.from({ length: 8 }, () => connectAgent(dialect, toolsUrl, { key })));
    const lists = await Promise.all(agents.map((agent) => agent.listTools()));
    expect(lists.every((tools) => tools.includes("count_words"))).toBe(true);
    await Promise.all(agents.map((agent) => agent.close()));
  });
});
