/** Calls on their way at once, and streams open at once: bounded, waited for in turn, and never lost for good. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { makeKey, policyText } from "../support/admin.ts";
import { connectAgent, DIALECTS } from "../support/agents.ts";
import { scratch } from "../support/command.ts";
import { type RunningGate, startGate } from "../support/gate.ts";
import { errorIn, messageRequest, type OpenRequest, openRequest, postMessage, send, toolCall } from "../support/http.ts";
import { answerTools, type Origin } from "../support/origin.ts";
import { startTwoEndpoints, type TwoEndpoints } from "../support/two-endpoints.ts";

const PLENTY = 10_000;
const AT_ONCE = 3;
const STREAMS = 2;
const POLICY = {
  plans: {
    anonymous: { rate: PLENTY },
    narrow: { rate: PLENTY, concurrency: AT_ONCE, streams: STREAMS },
    hundred: { rate: PLENTY, concurrency: 100, maxWaitSeconds: 0 },
    single: { rate: { perMinute: 1, burst: 10 }, concurrency: 1, maxWaitSeconds: 1 },
    watched: { rate: PLENTY, concurrency: { calls: 1, mode: "observe" } },
    scarce: { rate: { perMinute: 1, burst: 1 }, concurrency: 1, maxWaitSeconds: 0 },
  },
};
/** A slot whose gate is gone is free again after this. */
const LEASE_MS = 30_000;
const VANISHING = 100;

/** Outlives a gate that crashes. */
const state = scratch();
let endpoints: TwoEndpoints;
let gate: RunningGate;
let origin: Origin;
let toolsUrl: string;
beforeAll(async () => {
  endpoints = await startTwoEndpoints(POLICY, { state });
  ({ gate, origin, toolsUrl } = endpoints);
});
afterAll(() => endpoints.stop());
beforeEach(() => {
  origin.respond = answerTools;
});

/** An origin that takes its time, and tells how many calls it had at once. */
function slowly(ms: number): { most: number } {
  const seen = { most: 0 };
  let now = 0;
  origin.respond = (got, response) => {
    seen.most = Math.max(seen.most, ++now);
    setTimeout(() => {
      now--;
      answerTools(got, response);
    }, ms);
  };
  return seen;
}

const call = (key: string, name = "t", headers: Readonly<Record<string, string>> = {}) =>
  postMessage(gate.url, toolCall(name), { "X-API-Key": key, ...headers });

describe("calls at once", () => {
  it("are never more than the plan's number, and the rest wait their turn and complete", async () => {
    const { key } = await makeKey(gate, "narrow");
    const seen = slowly(150);
    const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => call(key, `t${i}`)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(seen.most).toBe(AT_ONCE);
    expect(answers[0]!.headers["ratelimit-policy"]).toContain(`"narrow.at-once";q=${AT_ONCE};qu="concurrent-requests"`);
  });

  it.each(DIALECTS)("of %s all complete", async (dialect) => {
    const { key } = await makeKey(gate, "narrow");
    const agent = await connectAgent(dialect, toolsUrl, { key });
    const answers = await Promise.all(Array.from({ length: 9 }, (_, i) => agent.call("slow_report", { steps: 1 + (i % 3), stepMs: 100 })));
    await agent.close();
    expect(answers.map(({ isError }) => isError)).toEqual(Array.from({ length: 9 }, () => false));
  });

  it("that would have to wait too long are refused with an estimate that says so, and cost nothing", async () => {
    const { key } = await makeKey(gate, "single");
    slowly(2_500);
    const first = call(key);
    await origin.next();
    const refused = await call(key, "other");
    expect(refused.status).toBe(429);
    expect(errorIn(refused).error.data).toMatchObject({
      cause: "concurrency",
      limiter: "edge",
      estimated: true,
      "violated-policies": ["single.at-once"],
    });
    expect(errorIn(refused).error.message).toMatch(
      /Too many calls at once on plan "single": 1 call at once\. Send fewer in parallel\. Wait about \d+ second/,
    );
    expect((await first).status).toBe(200);
    origin.respond = answerTools;
    expect((await call(key)).headers["ratelimit"]).toContain(`"single";r=8`);
  });

  it("a call that is refused for its rate gives its slot back", async () => {
    const { key } = await makeKey(gate, "scarce");
    expect((await call(key, "a")).status).toBe(200);
    for (const name of ["b", "c", "d"]) expect(errorIn(await call(key, name)).error.data).toMatchObject({ cause: "rate" });
  });

  it("hold a slot until the answer has ended, not until it begins", async () => {
    const { key } = await makeKey(gate, "single");
    let end: (() => void) | undefined;
    origin.respond = (seen, response) => {
      if (!seen.body.includes("stream")) return answerTools(seen, response);
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write(": open\n\n");
      end = () => response.end('data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n');
    };
    const open = openRequest(gate.url, messageRequest(toolCall("stream"), { "X-API-Key": key }));
    const streaming = await open.answered;
    expect((await call(key, "other", { Prefer: "wait=0" })).status).toBe(429);
    end!();
    let text = "";
    for await (const chunk of streaming) text += String(chunk);
    expect(text).toBe(': open\n\ndata: {"jsonrpc":"2.0","id":1,"result":{}}\n\n');
    expect((await call(key, "other")).status).toBe(200);
  });

  it("are only counted where the plan observes", async () => {
    const { key } = await makeKey(gate, "watched");
    const seen = slowly(200);
    await Promise.all([call(key, "a"), call(key, "b")]);
    expect(seen.most).toBe(2);
    expect(gate.logs.filter((line) => line.includes("would-refuse") && line.includes("watched.at-once"))).toHaveLength(1);
  });
});

describe("streams", () => {
  it("are open at once up to the plan's number, and one that is closed makes room", async () => {
    const { key } = await makeKey(gate, "narrow");
    origin.respond = (_seen, response) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write(": open\n\n");
    };
    const open = () => openRequest(gate.url, { headers: { Accept: "text/event-stream", "X-API-Key": key } });
    const streams = [open(), open()];
    for (const stream of streams) expect((await stream.answered).statusCode).toBe(200);
    const refused = await send(gate.url, { headers: { Accept: "text/event-stream", "X-API-Key": key } });
    expect(refused.status).toBe(429);
    expect(JSON.parse(refused.text)).toMatchObject({ cause: "concurrency", estimated: true, "violated-policies": ["narrow.streams"] });
    streams[0]!.hangUp();
    await expect.poll(async () => (await open().answered).statusCode, { timeout: 10_000, interval: 300 }).toBe(200);
    streams[1]!.hangUp();
  });
});

describe("slots that nobody gives back", () => {
  it(
    `are free again after ${VANISHING} clients have vanished in mid-stream, and stay lent when the gate crashes`,
    { timeout: 3 * LEASE_MS },
    async () => {
      let { url } = gate;
      const { key } = await makeKey(gate, "hundred");
      origin.respond = (seen, response) => {
        if (!seen.body.includes("stream")) return answerTools(seen, response);
        response.writeHead(200, { "Content-Type": "text/event-stream" });
        response.write(": open\n\n");
      };
      const openAll = async (): Promise<readonly OpenRequest[]> => {
        const opened = Array.from({ length: VANISHING }, (_, i) =>
          openRequest(url, messageRequest(toolCall("stream", { i }), { "X-API-Key": key })),
        );
        const statuses = await Promise.all(opened.map(async ({ answered }) => (await answered).statusCode));
        if (statuses.every((status) => status === 200)) return opened;
        for (const one of opened) one.hangUp();
        return [];
      };
      const tryOne = async () => (await postMessage(url, toolCall("try"), { "X-API-Key": key })).status;
      const clients = await openAll();
      expect(await tryOne()).toBe(429);
      for (const client of clients) client.hangUp();
      const vanishedAt = Date.now();
      await expect.poll(() => tryOne(), { timeout: LEASE_MS + 5_000, interval: 500 }).toBe(200);
      // All of them, not only one.
      await expect.poll(async () => (await openAll()).length, { timeout: LEASE_MS + 5_000, interval: 1_000 }).toBe(VANISHING);
      console.log(
        `slots left over after ${VANISHING} clients vanished in mid-stream: 0, after ${Date.now() - vanishedAt} ms (bound ${LEASE_MS} ms)`,
      );

      // What the crash of a gate leaves behind, and for how long, is in test/workerd/slots.test.ts.
      await gate.kill();
      const next = await startGate({ origin: origin.url, policy: policyText(POLICY), state });
      ({ url } = next);
      expect(await tryOne()).toBe(429);
      await next.stop();
    },
  );
});
