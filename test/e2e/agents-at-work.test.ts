/** Limits shaped for agents, with the official clients: costs and limits per tool, quotas beside the minute, and circling. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeKey } from "../support/admin.ts";
import { type Agent, DIALECTS, withAgent } from "../support/agents.ts";
import type { RunningGate } from "../support/gate.ts";
import { errorIn, postMessage, toolCall } from "../support/http.ts";
import { startTwoEndpoints, type TwoEndpoints } from "../support/two-endpoints.ts";

const PLENTY = 10_000;
const POLICY = {
  plans: {
    anonymous: { rate: PLENTY },
    notion: { rate: { perMinute: 1, burst: 180 }, maxWaitSeconds: 0, tools: { count_words: { rate: { perMinute: 1, burst: 3 } } } },
    costly: { rate: { perMinute: 1, burst: 10 }, maxWaitSeconds: 0 },
    daily: { rate: PLENTY, quotas: { day: { calls: 2, per: "day" }, month: { calls: 50, per: "month" } }, maxWaitSeconds: 0 },
    loops: { rate: PLENTY, maxWaitSeconds: 0 },
  },
  prompts: { summarize: { cost: 4 } },
  resources: { "turnpike://*": { rate: { perMinute: 1, burst: 1 }, label: "about" } },
  repeats: {
    tools: {
      current_time: { inARow: { calls: 3, withinSeconds: 3_600 } },
      "job_*": { takingTurns: { calls: 6, withinSeconds: 600 } },
      search: { sameTool: { calls: 5, withinSeconds: 60 } },
      watched: { sameTool: { calls: 2, withinSeconds: 60, mode: "observe" } },
    },
  },
};
/** What JSON cannot say of it. */
const COSTS = `tools: { count_words: { cost: ({ text }) => Math.max(1, String(text).split(" ").length) }, broken: { cost: () => NaN } }`;

let endpoints: TwoEndpoints;
let gate: RunningGate;
let toolsUrl: string;
beforeAll(async () => {
  endpoints = await startTwoEndpoints(POLICY, { code: COSTS });
  ({ gate, toolsUrl } = endpoints);
});
afterAll(() => endpoints.stop());

/** What a model reads of a call that is refused. */
async function refusalOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "it passed",
    (error: Error) => error.message,
  );
}

const post = (key: string, name: string, args: Readonly<Record<string, unknown>> = {}) =>
  postMessage(gate.url, toolCall(name, args), { "X-API-Key": key });

describe("per tool", () => {
  it.each(DIALECTS)("%s: a tool has a limit of its own beside the plan's, and the tightest is named first", async (dialect) => {
    const { key } = await makeKey(gate, "notion");
    const fields: (string | null)[] = [];
    const watching: typeof fetch = async (input, init) => {
      const response = await fetch(input, init);
      if (typeof init?.body === "string" && init.body.includes("tools/call")) fields.push(response.headers.get("ratelimit-policy"));
      return response;
    };
    await withAgent(dialect, toolsUrl, { key, fetch: watching }, async (agent) => {
      for (const text of ["a", "b", "c"]) await agent.call("count_words", { text });
      const text = await refusalOf(agent.call("count_words", { text: "d" }));
      expect(text.replaceAll("\\", "")).toContain('3 calls at once, refilled at 1 a minute for tool "count_words"');
      expect((await agent.call("current_time")).isError).toBe(false);
    });
    expect(fields[0]).toBe('"count_words";q=3;w=180, "notion";q=180;w=10800');
    expect(fields.at(-1)).toBe('"notion";q=180;w=10800');
  });

  it.each(DIALECTS)("%s: calls cost what the policy says, by the arguments too, and so do prompts and resources", async (dialect) => {
    const { key } = await makeKey(gate, "costly");
    await withAgent(dialect, toolsUrl, { key }, async (agent: Agent) => {
      await agent.call("count_words", { text: "one two three" });
      await agent.getPrompt("summarize", { text: "x" });
      expect(await refusalOf(agent.call("count_words", { text: "one two three four" }))).toMatch(/This one counts as 4\./);
      await agent.readResource("turnpike://about");
      expect(await refusalOf(agent.readResource("turnpike://about"))).toMatch(/1 call a minute for resource .*turnpike:/);
      await agent.call("count_words", { text: "one two" });
    });
  });

  it("a cost that the policy's own function does not give is 1, and the operator reads of it", async () => {
    const { key } = await makeKey(gate, "costly");
    expect((await post(key, "broken")).headers["ratelimit"]).toContain("r=9");
    await expect.poll(() => gate.logs.some((line) => line.includes("policy-error") && line.includes("broken"))).toBe(true);
  });

  it("a call that costs more than the plan can ever give is told so at once", async () => {
    const { key } = await makeKey(gate, "costly");
    const answer = await post(key, "count_words", { text: Array.from({ length: 50 }, () => "w").join(" ") });
    expect(answer.status).toBe(400);
    expect(errorIn(answer).error.code).toBe(-32600);
    expect(answer.headers).not.toHaveProperty("retry-after");
  });
});

describe("quotas", () => {
  it.each(DIALECTS)("%s: a refusal that lasts longer than a minute says to stop, and until when", async (dialect) => {
    const { key } = await makeKey(gate, "daily");
    await withAgent(dialect, toolsUrl, { key }, async (agent) => {
      await agent.call("count_words", { text: "a" });
      await agent.call("count_words", { text: "b" });
      const text = await refusalOf(agent.call("count_words", { text: "c" }));
      expect(text).toMatch(
        /2 calls a day \(UTC\)\. Do not wait for it: stop here and say that the limit holds until \d{4}-\d\d-\d\dT00:00:00Z/,
      );
    });
  });

  it("all of a call's limits are in the fields", async () => {
    const { key } = await makeKey(gate, "daily");
    expect((await post(key, "t")).headers["ratelimit"]).toMatch(/^"day";r=1;t=\d+, "month";r=49;t=\d+, "daily";r=\d+/);
  });
});

describe("circling", () => {
  it.each(DIALECTS)(
    "%s: one tool whatever its arguments, runs slower than the window, and two that take turns are stopped",
    async (dialect) => {
      const { key } = await makeKey(gate, "loops");
      await withAgent(dialect, toolsUrl, { key }, async (agent) => {
        for (let i = 0; i < 3; i++) await agent.call("current_time");
        expect(await refusalOf(agent.call("current_time"))).toMatch(/let through 3 times in a row within/);
        expect((await agent.call("count_words", { text: "another step" })).isError).toBe(false);
      });
      const own = await makeKey(gate, "loops");
      for (let i = 0; i < 5; i++) expect((await post(own.key, "search", { query: `variant ${i}` })).status).toBe(200);
      const stopped = await post(own.key, "search", { query: "variant 6" });
      expect(errorIn(stopped).error).toMatchObject({
        code: 429,
        data: { cause: "repeat", loop: "same-tool", type: expect.stringContaining("abnormal-usage") },
      });
      expect(errorIn(stopped).error.message).toMatch(/this tool was already called 5 times within 60 seconds, with whatever arguments/);
      for (let i = 0; i < 6; i++) expect((await post(own.key, i % 2 === 0 ? "job_get" : "job_log")).status).toBe(200);
      for (const name of ["job_get", "job_log"])
        expect(errorIn(await post(own.key, name)).error.data).toMatchObject({ loop: "taking-turns" });
    },
  );

  it("each rule can be watched first, and says what it would have done", async () => {
    const { key } = await makeKey(gate, "loops");
    for (let i = 0; i < 3; i++) expect((await post(key, "watched", { i })).status).toBe(200);
    await expect.poll(() => gate.logs.filter((line) => line.includes("would-refuse") && line.includes("same-tool")).length).toBe(1);
  });
});
