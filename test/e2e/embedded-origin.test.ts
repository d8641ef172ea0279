/** The official clients, in both eras, through the gate to the origin that `turnpike start` brings along. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeKey, policyText } from "../support/admin.ts";
import { connectAgent, DIALECTS, MODERN_REVISION, withAgent } from "../support/agents.ts";
import { type RunningGate, startGate } from "../support/gate.ts";

const ROOMY = policyText({ plans: { anonymous: { rate: 100_000 }, roomy: { rate: 100_000 } } });
const STEPS = 5;
const STEP_MS = 300;

let gate: RunningGate;
beforeAll(async () => {
  gate = await startGate({ policy: ROOMY });
});
afterAll(() => gate.stop());

describe.concurrent.for(DIALECTS)("%s", (dialect) => {
  it("speaks the revision that it would speak without the gate", async () => {
    await withAgent(dialect, gate.url, {}, async (agent) => {
      const isModern = dialect === "client-2-auto" || dialect === "client-2-modern";
      expect(agent.revision).toBe(isModern ? MODERN_REVISION : "2025-11-25");
    });
  });

  it("lists and calls tools, reads resources, gets prompts", async () => {
    await withAgent(dialect, gate.url, {}, async (agent) => {
      expect(await agent.listTools()).toContain("count_words");
      expect(await agent.listPrompts()).toEqual(["summarize"]);
      expect(await agent.listResources()).toEqual(["turnpike://about"]);
      expect((await agent.call("count_words", { text: "three short words" })).text).toBe("3 words, 17 characters");
      expect(await agent.readResource("turnpike://about")).toBe("The embedded origin of turnpike start.");
      expect(await agent.getPrompt("summarize", { text: "A long story." })).toContain("A long story.");
    });
  });

  it("is given the origin's own tool errors as they are", async () => {
    await withAgent(dialect, gate.url, {}, async (agent) => {
      expect(await agent.call("fail", { message: "it broke" })).toMatchObject({ isError: true, text: "it broke" });
    });
  });

  it("sees progress while the call runs, not when it is over", async () => {
    await withAgent(dialect, gate.url, {}, async (agent) => {
      const order: string[] = [];
      const slow = agent.call(
        "slow_report",
        { steps: STEPS, stepMs: STEP_MS },
        {
          onProgress(progress) {
            order.push(`step ${progress}`);
            // Buffered, the first step would arrive together with the answer, and any other call be answered later.
            if (progress === 1) void agent.call("count_words", { text: "meanwhile" }).then(() => order.push("another call"));
          },
        },
      );
      expect((await slow).text).toBe(`The report has ${STEPS} parts.`);
      expect(order.filter((what) => what.startsWith("step"))).toEqual(["step 1", "step 2", "step 3", "step 4", "step 5"]);
      expect(order).toContain("another call");
    });
  });

  it("is known to the origin as the owner of its key, and on which plan", async () => {
    const { key } = await makeKey(gate, "roomy", { consumer: `owner of ${dialect}` });
    await withAgent(dialect, gate.url, { key }, async (agent) => {
      const told = (await agent.call("whoami")).text;
      expect(told).toContain(`turnpike-consumer: ${encodeURIComponent(`key:owner of ${dialect}`)}`);
      expect(told).toContain("turnpike-plan: roomy");
      expect(told).toMatch(/turnpike-request-id: [0-9a-f-]{36}/);
    });
  });

  it("can be abandoned in the middle of a call, and the next one connects", async () => {
    const agent = await connectAgent(dialect, gate.url);
    const abandoned = agent.call("slow_report", { steps: 20, stepMs: 100 });
    const failed = expect(abandoned).rejects.toThrow();
    await agent.close();
    await failed;
    await withAgent(dialect, gate.url, {}, async (next) => {
      expect((await next.call("count_words", { text: "again" })).text).toBe("1 words, 5 characters");
    });
  });
});
