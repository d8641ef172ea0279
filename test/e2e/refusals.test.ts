/** What the official clients get to see when a plan is empty, and what they never get to see. */

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { makeKey, policyText } from "../support/admin.ts";
import { connectAgent, type Dialect, DIALECTS, withAgent } from "../support/agents.ts";
import { type RunningGate, startGate } from "../support/gate.ts";
import { errorIn, postMessage, toolCall } from "../support/http.ts";

/** Two calls at once, then one a second: a refusal names one second, and a hold lasts one. */
const BRISK = { perMinute: 60, burst: 2 };
const POLICY = policyText({
  plans: {
    anonymous: { rate: 100_000 },
    brisk: { rate: BRISK },
    crawling: { rate: { perMinute: 1, burst: 2 } },
    "brisk-result": { rate: BRISK, refuse: "result" },
    daily: { rate: 1_000, quotas: { "a-day": { calls: 1, per: "day" } } },
    watched: { rate: { perMinute: 1, mode: "observe" }, maxWaitSeconds: 0 },
  },
  repeats: {
    tools: {
      current_time: { identical: 3, withinSeconds: 2 },
      "slow_*": false,
      fail: { identical: 1, mode: "observe" },
    },
  },
});
/** A line of the log takes its own way, and may arrive after the answer. */
const LOG_ARRIVES = { timeout: 5_000 };
const NOW = { Prefer: "wait=0" };

let gate: RunningGate;
beforeAll(async () => {
  gate = await startGate({ policy: POLICY });
});
afterAll(() => gate.stop());

/** Calls that differ, so that only the rate can refuse them. */
let count = 0;
function distinct(): { text: string } {
  return { text: `text number ${++count}` };
}

async function rejection(promise: Promise<unknown>): Promise<Error & { code?: unknown; status?: unknown }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("it was not refused");
}

function httpStatusOf(dialect: Dialect, error: { code?: unknown; status?: unknown }): unknown {
  return dialect === "sdk-1" ? error.code : error.status;
}

describe.concurrent.for(DIALECTS)("an empty plan, to %s", (dialect) => {
  it("is an error that says in words how long to wait", async () => {
    const { key } = await makeKey(gate, "brisk");
    await withAgent(dialect, gate.url, { key, headers: NOW }, async (agent) => {
      await agent.call("count_words", distinct());
      await agent.call("count_words", distinct());
      const error = await rejection(agent.call("count_words", distinct()));
      expect(httpStatusOf(dialect, error)).toBe(429);
      expect(error.message).toContain("Wait 1 second, then send the same call again; sooner, it will be refused again.");
      expect(error.message).toContain("2 calls at once, refilled at 60 a minute");
      expect(error.message).not.toContain("Unauthorized");
    });
  });

  it("leaves the connection as it is: the same call passes once the told time is over", async () => {
    const { key } = await makeKey(gate, "brisk");
    await withAgent(dialect, gate.url, { key, headers: NOW }, async (agent) => {
      await agent.call("count_words", distinct());
      await agent.call("count_words", distinct());
      const args = distinct();
      const error = await rejection(agent.call("count_words", args));
      const told = Number(/"retryAfterMs":(\d+)/.exec(error.message)![1]);
      await new Promise((resolve) => setTimeout(resolve, told));
      expect((await agent.call("count_words", args)).isError).toBe(false);
    });
  });

  it("is a tool result that the model reads, where the plan says so", async () => {
    const { key } = await makeKey(gate, "brisk-result");
    await withAgent(dialect, gate.url, { key, headers: NOW }, async (agent) => {
      await agent.call("count_words", distinct());
      await agent.call("count_words", distinct());
      const answer = await agent.call("count_words", distinct());
      expect(answer.isError).toBe(true);
      expect(answer.text).toContain("Wait 1 second, then send the same call again");
      expect(answer.meta["turnpike/refusal"]).toMatchObject({ cause: "rate", limiter: "edge", plan: "brisk-result", status: 429 });
      expect((answer.meta["turnpike/refusal"] as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(0);
    });
  });

  it("goes unnoticed when the tokens are soon there: held calls complete", async () => {
    const { key } = await makeKey(gate, "brisk");
    await withAgent(dialect, gate.url, { key }, async (agent) => {
      const start = Date.now();
      const answers = await Promise.all(Array.from({ length: 4 }, () => agent.call("count_words", distinct())));
      expect(answers.filter((answer) => answer.isError)).toEqual([]);
      expect(Date.now() - start).toBeGreaterThan(1_500);
    });
  });

  it("does not keep anybody from connecting and listing", async () => {
    const { key } = await makeKey(gate, "crawling");
    const first = await connectAgent(dialect, gate.url, { key });
    await first.call("count_words", distinct());
    await first.call("count_words", distinct());
    await first.close();
    await withAgent(dialect, gate.url, { key }, async (agent) => {
      expect(agent.revision).toBe(dialect === "client-2-auto" || dialect === "client-2-modern" ? "2026-07-28" : "2025-11-25");
      expect(await agent.listTools()).toContain("count_words");
      expect(await agent.listPrompts()).toContain("summarize");
      expect(httpStatusOf(dialect, await rejection(agent.call("count_words", distinct())))).toBe(429);
      expect(httpStatusOf(dialect, await rejection(agent.readResource("turnpike://about")))).toBe(429);
      expect(httpStatusOf(dialect, await rejection(agent.getPrompt("summarize", { text: "x" })))).toBe(429);
      expect(await agent.listResources()).toEqual(["turnpike://about"]);
    });
  });

  it("tells an agent to stop, and until when, where the wait is long", async () => {
    const { key } = await makeKey(gate, "daily");
    await withAgent(dialect, gate.url, { key }, async (agent) => {
      await agent.call("count_words", distinct());
      const error = await rejection(agent.call("count_words", distinct()));
      expect(error.message).toMatch(
        /Quota used up: 1 calls? a day \(UTC\)\. Do not wait for it: stop here .* until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/,
      );
    });
  });
});

describe.concurrent.for(DIALECTS)("a loop, to %s", (dialect) => {
  it("is cut on the eleventh identical call, with words that stop it", async () => {
    const { key } = await makeKey(gate, "anonymous");
    await withAgent(dialect, gate.url, { key }, async (agent) => {
      const args = distinct();
      for (let i = 0; i < 10; i++) expect((await agent.call("count_words", args)).isError).toBe(false);
      const error = await rejection(agent.call("count_words", args));
      expect(httpStatusOf(dialect, error)).toBe(429);
      expect(error.message).toContain("Loop stopped: this exact call was already let through 10 times within 60 seconds");
      expect(error.message).toContain("abnormal-usage-detected");
      expect((await agent.call("count_words", distinct())).isError).toBe(false);
    });
  });
});

function call(key: string, name: string, args: Readonly<Record<string, unknown>>, id: number | string = 1) {
  return postMessage(gate.url, toolCall(name, args, id), { "X-API-Key": key });
}

describe.concurrent("the loop breaker", () => {
  it("knows a call again by what it asks for, not by its id, its _meta or the order of its keys", async () => {
    const { key } = await makeKey(gate, "anonymous");
    const statuses: number[] = [];
    for (let i = 0; i < 11; i++) {
      const args = i % 2 === 0 ? { text: "a", more: { x: 1, y: [1, 2] } } : { more: { y: [1, 2], x: 1 }, text: "a" };
      const params = { name: "count_words", arguments: args, _meta: { progressToken: i, traceparent: `trace-${i}` } };
      statuses.push((await postMessage(gate.url, { jsonrpc: "2.0", id: i, method: "tools/call", params }, { "X-API-Key": key })).status);
    }
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 200), 429]);
  });

  it("tells when the same call is possible again, and then it is", async () => {
    const { key } = await makeKey(gate, "anonymous");
    for (let i = 0; i < 3; i++) expect((await call(key, "current_time", {}, i)).status).toBe(200);
    const cut = await call(key, "current_time", {}, 3);
    const { data } = errorIn(cut).error;
    expect(data).toMatchObject({ cause: "repeat", status: 429 });
    expect(data).not.toHaveProperty("challenges");
    await new Promise((resolve) => setTimeout(resolve, data["retryAfterMs"] as number));
    expect((await call(key, "current_time", {}, 4)).status).toBe(200);
  });

  it("lets tools that are exempt by a pattern repeat", async () => {
    const { key } = await makeKey(gate, "anonymous");
    const statuses = await Promise.all(
      Array.from({ length: 15 }, async (_, id) => (await call(key, "slow_report", { steps: 1, stepMs: 0 }, id)).status),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it("charges nothing for the calls that it cuts", async () => {
    const { key } = await makeKey(gate, "anonymous");
    for (let i = 0; i < 3; i++) await call(key, "current_time", { timeZone: "UTC" }, i);
    const before = /r=(\d+)/.exec(String((await call(key, "count_words", distinct())).headers["ratelimit"]))![1];
    for (let i = 0; i < 5; i++) expect((await call(key, "current_time", { timeZone: "UTC" }, i)).status).toBe(429);
    const after = /r=(\d+)/.exec(String((await call(key, "count_words", distinct())).headers["ratelimit"]))![1];
    expect(Number(after)).toBeGreaterThanOrEqual(Number(before) - 1);
  });

  it("only logs what it would cut, where it observes", async () => {
    const { key } = await makeKey(gate, "anonymous", { consumer: "observed-loop" });
    for (let i = 0; i < 3; i++) expect((await call(key, "fail", {}, i)).status).toBe(200);
    await vi.waitFor(() => {
      const lines = logged("would-refuse").filter(({ consumer }) => consumer === "key:observed-loop");
      expect(lines).toHaveLength(2);
      expect(lines[0]).toMatchObject({ limits: ["identical"], subject: "tools/call fail" });
    }, LOG_ARRIVES);
  });
});

describe.concurrent("a limit that observes", () => {
  it("refuses and holds nothing, and logs what it would have refused", async () => {
    const { key } = await makeKey(gate, "watched", { consumer: "observed-rate" });
    for (let i = 0; i < 4; i++) {
      const answer = await postMessage(gate.url, toolCall("count_words", distinct(), i), { "X-API-Key": key });
      expect(answer.status).toBe(200);
      expect(answer.headers).not.toHaveProperty("ratelimit");
    }
    await vi.waitFor(() => {
      const lines = logged("would-refuse").filter(({ consumer }) => consumer === "key:observed-rate");
      expect(lines).toHaveLength(3);
      expect(lines[0]).toMatchObject({ plan: "watched", limits: ["watched"], subject: "tools/call count_words" });
    }, LOG_ARRIVES);
  });
});

describe.concurrent("a refusal on the wire", () => {
  it("says why, until when, by whom and what to do", async () => {
    const { key } = await makeKey(gate, "crawling");
    const call = (id: number | string, headers = {}) =>
      postMessage(gate.url, toolCall("count_words", distinct(), id), { "X-API-Key": key, ...headers });
    await call(1);
    await call(2);
    const refused = await call("the-id");
    expect(refused.status).toBe(429);
    expect(refused.headers).toMatchObject({
      "content-type": "application/json",
      "cache-control": "no-store",
      "ratelimit-policy": '"crawling";q=2;w=120',
    });
    const { id, error } = errorIn(refused);
    expect(id).toBe("the-id");
    expect(error.code).toBe(429);
    const retryAfterMs = error.data["retryAfterMs"] as number;
    expect(Number(refused.headers["retry-after"])).toBe(Math.ceil(retryAfterMs / 1_000));
    expect(refused.headers["ratelimit"]).toBe(`"crawling";r=0;t=${Math.ceil(retryAfterMs / 1_000)}`);
    expect(error.data).toMatchObject({
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      title: "Rate limit reached",
      status: 429,
      detail: error.message,
      "violated-policies": ["crawling"],
      cause: "rate",
      limiter: "edge",
      plan: "crawling",
    });
    expect(error.data["instance"]).toMatch(/^urn:uuid:/);
    expect(refused.text).not.toContain(key);
  });

  it("is Problem Details to a client that prefers them", async () => {
    const { key } = await makeKey(gate, "crawling");
    const problem = { "X-API-Key": key, Accept: "application/problem+json" };
    for (let i = 0; i < 2; i++) await postMessage(gate.url, toolCall("count_words", distinct()), { "X-API-Key": key });
    const refused = await postMessage(gate.url, toolCall("count_words", distinct()), problem);
    expect(refused).toMatchObject({ status: 429, headers: { "content-type": "application/problem+json" } });
    expect(JSON.parse(refused.text)).toMatchObject({ status: 429, cause: "rate", plan: "crawling" });
  });

  it("is an error to what is no tool call, also where tool calls are refused by a result", async () => {
    const { key } = await makeKey(gate, "brisk-result");
    const read = () =>
      postMessage(
        gate.url,
        { jsonrpc: "2.0", id: 9, method: "resources/read", params: { uri: `test://${++count}` } },
        { "X-API-Key": key, ...NOW },
      );
    await read();
    await read();
    const refused = await read();
    expect(refused.status).toBe(429);
    expect(errorIn(refused)).toMatchObject({ id: 9, error: { code: 429 } });
  });

  it("names the very second at which a calendar quota begins anew", async () => {
    const { key } = await makeKey(gate, "daily");
    const call = () => postMessage(gate.url, toolCall("count_words", distinct()), { "X-API-Key": key });
    await call();
    const told = new Set<string>();
    for (let i = 0; i < 20; i++) told.add(/until \S+?(T[\d:]+Z)/.exec((await call()).text)![1]!);
    expect([...told]).toEqual(["T00:00:00Z"]);
  });

  it("is logged in one line, without key or arguments", async () => {
    const { key } = await makeKey(gate, "crawling", { consumer: "logged-one" });
    const call = (text: string) => postMessage(gate.url, toolCall("count_words", { text }), { "X-API-Key": key });
    await call("secret one");
    await call("secret two");
    await call("secret three");
    await vi.waitFor(() => {
      const lines = logged("refused").filter(({ consumer }) => consumer === "key:logged-one");
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatchObject({ plan: "crawling", cause: "rate", subject: "tools/call count_words", status: 429 });
    }, LOG_ARRIVES);
    expect(gate.logs.join("\n")).not.toContain("secret");
    expect(gate.logs.join("\n")).not.toContain(key);
  });
});

function logged(event: string): Record<string, unknown>[] {
  return gate.logs
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((line) => line["event"] === event);
}
