/** When the origin's own quota is the limit: callers are told so, no call is sent in vain, and nobody empties it for the others. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { makeKey, policyText } from "../support/admin.ts";
import { DIALECTS, withAgent } from "../support/agents.ts";
import { type RunningGate, startGate } from "../support/gate.ts";
import { errorIn, postMessage, toolCall } from "../support/http.ts";
import { answerTools, type Origin, type Respond, startOrigin } from "../support/origin.ts";

const PLENTY = 10_000;
const HOURLY = 40;
const PLANS = {
  plans: { anonymous: { rate: PLENTY }, free: { rate: PLENTY }, scarce: { rate: { perMinute: 1, burst: 1 }, maxWaitSeconds: 0 } },
};

let origin: Origin;
let learning: RunningGate;
let configured: RunningGate;
beforeAll(async () => {
  origin = await startOrigin();
  [learning, configured] = await Promise.all([
    startGate({ origin: origin.url, policy: policyText({ ...PLANS, originQuota: { readAnswers: true } }) }),
    startGate({ origin: origin.url, policy: policyText({ ...PLANS, originQuota: { calls: HOURLY, per: "1h", learn: false } }) }),
  ]);
});
afterAll(async () => {
  await Promise.all([learning.stop(), configured.stop()]);
  await origin.stop();
});
beforeEach(() => {
  origin.respond = answerTools;
});

/** A caller with an upstream credential of its own, so that one test closes nothing for the next. */
let callers = 0;
/** No two calls are the same: the loop breaker has nothing to say here. */
let calls = 0;
function aCaller() {
  const headers = { Authorization: `Bearer upstream-${++callers}` };
  return {
    headers,
    call: () => postMessage(learning.url, toolCall("t", { call: ++calls }), headers),
  };
}

function refuseWith(status: number, headers: Readonly<Record<string, string>>, body = "slow down"): Respond {
  return (_seen, response) => void response.writeHead(status, { "Content-Type": "text/plain", ...headers }).end(body);
}

function rpcError(error: object): Respond {
  return (_seen, response) =>
    void response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify({ jsonrpc: "2.0", id: 1, error }));
}

const inSeconds = (seconds: number): string => String(Math.ceil(Date.now() / 1_000) + seconds);

describe("an origin that has said that it is closed for 30 s", () => {
  it("gets none of the calls that follow, and each is told whose limit it is and for how long", async () => {
    const caller = aCaller();
    origin.respond = refuseWith(429, { "Retry-After": "30" });
    expect((await caller.call()).status).toBe(429);
    origin.respond = answerTools;
    const before = origin.seen.length;
    const answers = await Promise.all(Array.from({ length: 50 }, () => caller.call()));
    console.log(`requests reaching an origin that has said "closed for 30 s": ${origin.seen.length - before} of ${answers.length}`);
    expect(origin.seen.length).toBe(before);
    for (const answer of answers) {
      expect(answer.status).toBe(429);
      expect(Number(answer.headers["retry-after"])).toBeGreaterThan(20);
      expect(errorIn(answer).error.data).toMatchObject({ cause: "origin", limiter: "origin", status: 429 });
      expect(errorIn(answer).error.data).not.toHaveProperty("estimated");
      expect(errorIn(answer).error.message).toMatch(/a limit of its own, which is not your plan's.* Wait \d\d seconds/);
    }
  });

  it.each(DIALECTS)("%s is told so by the text that a model reads, and can still connect and list", async (dialect) => {
    const { headers } = aCaller();
    origin.respond = (seen, response) =>
      isCall(seen.body) ? refuseWith(429, { "Retry-After": "30" })(seen, response) : connect(seen, response);
    await withAgent(dialect, learning.url, { headers }, async (agent) => {
      await expect(agent.call("t")).rejects.toThrow();
      await expect(agent.call("t")).rejects.toThrow(/The MCP server behind this gate has reached a limit of its own/);
      await expect(agent.listTools()).resolves.toEqual([]);
    });
    await withAgent(dialect, learning.url, { headers }, (agent) => agent.listTools());
  });

  it("has its own answer passed on untouched, and the call is not charged", async () => {
    const { key } = await makeKey(learning, "scarce");
    const own = aCaller();
    const call = () => postMessage(learning.url, toolCall("t", { call: ++calls }), { ...own.headers, "X-API-Key": key });
    origin.respond = refuseWith(429, { "Retry-After": "1", "X-Own": "1" }, "in its own words");
    expect(await call()).toMatchObject({ status: 429, text: "in its own words", headers: { "retry-after": "1", "x-own": "1" } });
    origin.respond = answerTools;
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect((await call()).status).toBe(200);
  });

  it("closes for nobody with another upstream credential", async () => {
    const [one, other] = [aCaller(), aCaller()];
    origin.respond = refuseWith(429, { "Retry-After": "30" });
    await one.call();
    origin.respond = answerTools;
    expect((await one.call()).status).toBe(429);
    expect((await other.call()).status).toBe(200);
  });
});

describe("what an origin says of its limits", () => {
  it.each<[string, () => Respond]>([
    [
      "429 and X-RateLimit-Reset in unix seconds",
      () => refuseWith(429, { "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": inSeconds(40) }),
    ],
    ["429 and a reset in seconds from now", () => refuseWith(429, { "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "40" })],
    ["429 and RateLimit of draft 10", () => refuseWith(429, { RateLimit: '"hourly";r=0;t=40', "RateLimit-Policy": '"hourly";q=5;w=3600' })],
    ["GitHub's 403 with nothing remaining", () => refuseWith(403, { "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": inSeconds(40) })],
  ])("%s becomes a refusal with that time, and its body is kept", async (_what, respond) => {
    const caller = aCaller();
    origin.respond = respond();
    for (const answer of [await caller.call(), await caller.call()]) {
      expect(answer.status).toBe(429);
      const { data } = errorIn(answer).error;
      expect(data).toMatchObject({ cause: "origin", limiter: "origin" });
      expect(data["retryAfterMs"]).toBeGreaterThan(30_000);
      expect(data["retryAfterMs"]).toBeLessThanOrEqual(41_000);
      expect(data).not.toHaveProperty("estimated");
    }
  });

  it.each<[string, Respond]>([
    ["429 without a word of time", refuseWith(429, {})],
    ["GitHub's secondary limit without a time", refuseWith(403, {}, "You have exceeded a secondary rate limit. Please wait.")],
  ])("%s becomes one with an estimate that says so, its body kept for the reader", async (_what, respond) => {
    const caller = aCaller();
    origin.respond = respond;
    const first = await caller.call();
    expect(first.status).toBe(429);
    expect(first.headers["retry-after"]).toBe("5");
    const { data, message } = errorIn(first).error;
    expect(data).toMatchObject({
      cause: "origin",
      limiter: "origin",
      estimated: true,
      retryAfterMs: 5_000,
      origin: { body: expect.any(String) },
    });
    expect(message).toMatch(/It said: ".*"\. Wait about 5 seconds/);
    origin.respond = answerTools;
    expect((await caller.call()).status).toBe(429);
  });

  it.each<[string, Respond]>([
    ["a plain 403", refuseWith(403, {}, "forbidden")],
    ["a 503", refuseWith(503, { "Retry-After": "5" }, "maintenance")],
    ["a tool's own words about limits", (seen, response) => toolText("rate limit exceeded, try again in 60 seconds")(seen, response)],
  ])("%s is no limit: it passes, and so does the next call", async (_what, respond) => {
    const caller = aCaller();
    origin.respond = respond;
    const first = await caller.call();
    origin.respond = answerTools;
    expect(first.text).not.toContain("turnpike");
    expect((await caller.call()).status).toBe(200);
  });

  it("a JSON-RPC error inside a 200 passes as it is and closes all the same, where the policy has answers read", async () => {
    const caller = aCaller();
    origin.respond = rpcError({ code: 429, message: "Rate limit exceeded", data: { retryAfterMs: 25_000 } });
    const first = await caller.call();
    expect(first.status).toBe(200);
    expect(errorIn(first).error.code).toBe(429);
    origin.respond = answerTools;
    const next = await caller.call();
    expect(next.status).toBe(429);
    expect(errorIn(next).error.data).toMatchObject({ limiter: "origin" });
  });

  it("a quota that is told on success is handed out to the last call", async () => {
    const caller = aCaller();
    const left = { "X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "6", "X-RateLimit-Reset": "60" };
    origin.respond = (seen, response) => {
      for (const [name, value] of Object.entries(left)) response.setHeader(name, value);
      answerTools(seen, response);
    };
    await caller.call();
    origin.respond = answerTools;
    // The object is told after the answer, never before it.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const answers = await Promise.all(Array.from({ length: 20 }, () => caller.call()));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(6);
    expect(errorIn(answers.find(({ status }) => status === 429)!).error.message).toMatch(/which all its callers share, is used up/);
  });
});

describe("a configured quota of the origin", () => {
  it("leaves a modest consumer its share beside a greedy one, and is never passed", async () => {
    const [greedy, modest] = await Promise.all([makeKey(configured, "free"), makeKey(configured, "free")]);
    const call = (key: string, i: number) => postMessage(configured.url, toolCall("t", { i }), { "X-API-Key": key });
    const before = origin.seen.length;
    const had = { greedy: 0, modest: 0 };
    // One takes a call now and then, the other as many as it gets.
    for (let round = 0; round < 8; round++) {
      if ((await call(modest.key, round)).status === 200) had.modest++;
      const many = await Promise.all(Array.from({ length: 10 }, (_, i) => call(greedy.key, round * 10 + i)));
      had.greedy += many.filter(({ status }) => status === 200).length;
    }
    const refused = await call(greedy.key, 999);
    console.log(`an origin quota of ${HOURLY} an hour: the greedy consumer had ${had.greedy}, the modest one all its ${had.modest}`);
    expect(had).toEqual({ greedy: HOURLY / 2, modest: 8 });
    expect(origin.seen.length - before).toBe(HOURLY / 2 + 8);
    expect(errorIn(refused).error.data).toMatchObject({ cause: "origin", limiter: "origin", estimated: true });
    expect(errorIn(refused).error.message).toMatch(/You have had your share/);
    const rest = await Promise.all(Array.from({ length: 30 }, (_, i) => call(modest.key, 100 + i)));
    expect(rest.filter(({ status }) => status === 200).length).toBe(HOURLY / 2 - 8);
    expect(rest.find(({ status }) => status === 200)!.headers["ratelimit-policy"]).toContain(`"origin";q=${HOURLY};w=3600`);
    // A header that the origin may not even look at is no quota of its own.
    const madeUp = await postMessage(configured.url, toolCall("t"), { "X-API-Key": greedy.key, Authorization: "Bearer made-up" });
    expect(errorIn(madeUp).error.data).toMatchObject({ limiter: "origin" });
  });
});

function isCall(body: Buffer): boolean {
  return body.includes("tools/call");
}

/** As much of an MCP server as a client needs to connect and list. */
const connect: Respond = (seen, response) => {
  const message =
    seen.body.length === 0
      ? null
      : (JSON.parse(seen.body.toString()) as { id?: number; method: string; params?: { protocolVersion?: string } });
  if (message?.id === undefined) return void response.writeHead(message ? 202 : 405).end();
  const about = { capabilities: { tools: {} }, serverInfo: { name: "limited", version: "1.0.0" } };
  const results: Readonly<Record<string, object>> = {
    initialize: { ...about, protocolVersion: message.params?.protocolVersion },
    "server/discover": { ...about, resultType: "complete", supportedVersions: ["2026-07-28"], ttlMs: 0, cacheScope: "private", _meta: {} },
    "tools/list": { resultType: "complete", tools: [], ttlMs: 0, cacheScope: "private" },
  };
  response.writeHead(200, { "Content-Type": "application/json" });
  response.end(JSON.stringify({ jsonrpc: "2.0", id: message.id, result: results[message.method] ?? {} }));
};

function toolText(text: string): Respond {
  return (_seen, response) => {
    const result = { resultType: "complete", isError: true, content: [{ type: "text", text }] };
    response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify({ jsonrpc: "2.0", id: 1, result }));
  };
}
