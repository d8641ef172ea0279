/**
 * The gate's own MCP server over real sockets: the official clients solve and verify with it, and the official conformance
 * suite finds nothing wrong with what a server of tools alone has to do.
 */

import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PowChallenge } from "../../src/challenges/proof-of-work.ts";
import { serveTools } from "../../src/tools/answer-mcp.ts";
import { gateTools, gateToolServer } from "../../src/tools/definitions.ts";
import type { GateTool } from "../../src/tools/tool.ts";
import { runSuite, type SuiteResult } from "../conformance/run-suite.ts";
import { DIALECTS, withAgent } from "../support/agents.ts";
import { type FetchServer, serveFetch } from "../support/serve-fetch.ts";
import { madeUpActions, STATUS, textTool, VERIFIED } from "../tools/made-up.ts";

describe.for(DIALECTS)("the gate's tools, to %s", (dialect) => {
  const actions = madeUpActions();
  const down = gateToolServer(
    madeUpActions({ challenge: () => Promise.resolve({ ok: false, detail: "No challenges here: wait instead." }) }),
  );
  let server: FetchServer;
  let refusing: FetchServer;
  beforeAll(async () => {
    server = await serveFetch((request) => serveTools(request, gateToolServer(actions)));
    refusing = await serveFetch((request) => serveTools(request, down));
  });
  afterAll(() => Promise.all([server.stop(), refusing.stop()]));

  it("are listed, and a challenge is fetched, solved and verified", async () => {
    await withAgent(dialect, server.url, {}, async (agent) => {
      expect(agent.revision).toBe(dialect === "client-2-auto" || dialect === "client-2-modern" ? "2026-07-28" : "2025-11-25");
      expect(agent.sessionId).toBeUndefined();
      // Once it has the list, a client checks what is structured against the tools' schemas.
      expect(await agent.listTools()).toEqual(["challenge", "verify", "status"]);
      const challenge = await agent.call("challenge");
      expect(challenge.isError).toBe(false);
      const { id, salt, difficulty, signature } = JSON.parse(challenge.text.split("\n").at(-1)!) as PowChallenge;
      const nonce = solve(salt, difficulty);
      const verified = await agent.call("verify", { id, salt, nonce, signature });
      expect(verified.text).toContain(`${VERIFIED.calls} prepaid calls are on your account`);
      expect(actions.proofs.at(-1)).toEqual({ kind: "solution", solution: { id, salt, nonce, signature } });
      expect((await agent.call("status")).text).toContain(`Plan ${STATUS.plan}.`);
    });
  });

  it("say what is wrong where the model reads it, also after the list is known", async () => {
    await withAgent(dialect, server.url, {}, async (agent) => {
      await agent.listTools();
      const answer = await agent.call("verify", { id: "a", salt: "b", nonce: 3, signature: "c" });
      expect(answer).toMatchObject({ isError: true, text: expect.stringContaining("arguments.nonce must be a string") });
    });
    await withAgent(dialect, refusing.url, {}, async (agent) => {
      await agent.listTools();
      expect(await agent.call("challenge")).toMatchObject({ isError: true, text: "No challenges here: wait instead." });
    });
  });
});

function solve(salt: string, difficulty: number): string {
  for (let nonce = 0; nonce < 2 ** (difficulty + 8); nonce++) {
    const bits = BigInt(`0x${createHash("sha256").update(`${salt}${nonce}`).digest("hex")}`);
    if (bits >> BigInt(256 - difficulty) === 0n) return String(nonce);
  }
  throw new Error("no nonce was found in 256 times the attempts that it should take");
}

/** What the suite calls where a scenario needs no more than a tool, and the gate's own. */
const SUITE_TOOLS: readonly GateTool[] = [
  ...gateTools(madeUpActions()),
  textTool("test_simple_text", "This is a simple text response for testing."),
  textTool("test_logging_tool", "Nothing is logged."),
  textTool("test_streaming_elicitation", "Nobody is asked."),
  {
    ...textTool("test_error_handling", ""),
    call: () => Promise.resolve({ kind: "problem", text: "This tool intentionally returns an error for testing" }),
  },
  textTool("json_schema_2020_12_tool", "Ok.", {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    $defs: {
      address: { $anchor: "addressDef", type: "object", properties: { street: { type: "string" }, city: { type: "string" } } },
    },
    properties: {
      name: { type: "string" },
      address: { $ref: "#/$defs/address" },
      contactMethod: { type: "string", enum: ["phone", "email"] },
      phone: { type: "string" },
      email: { type: "string" },
    },
    allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
    if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
    // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
    then: { required: ["phone"] },
    else: { required: ["email"] },
    additionalProperties: false,
  }),
];

const NO_PROMPTS = "the server has no prompts";
const NO_RESOURCES = "the server has no resources";
const TEXT_ONLY = "the gate's tools answer with text and data";
const NO_STREAM = "the gate's tools answer at once, with JSON: nothing is logged, asked or told meanwhile";
const NO_QUESTIONS = "the gate's tools ask nothing back";

/** Scenarios that do not apply, by the beginnings of their names, and why. */
const NOT_APPLICABLE: Readonly<Record<string, string>> = {
  "completion-complete": "there is nothing to complete: no prompts, no resource templates",
  "dns-rebinding-protection": "the router looks at Host and Origin before any endpoint; conformance.test.ts runs it there",
  "elicitation-": NO_QUESTIONS,
  "http-custom-header-server-validation": "no argument of the gate's tools is mirrored in a header",
  "input-required-result-": NO_QUESTIONS,
  "logging-set-level": NO_STREAM,
  "prompts-": NO_PROMPTS,
  "resources-": NO_RESOURCES,
  "sep-2164-resource-not-found": NO_RESOURCES,
  "server-sse-polling": NO_STREAM,
  "tasks-": "an extension that the server does not have",
  "tools-call-audio": TEXT_ONLY,
  "tools-call-elicitation": NO_QUESTIONS,
  "tools-call-embedded-resource": TEXT_ONLY,
  "tools-call-image": TEXT_ONLY,
  "tools-call-mixed-content": TEXT_ONLY,
  "tools-call-sampling": NO_QUESTIONS,
  "tools-call-with-logging": NO_STREAM,
  "tools-call-with-progress": NO_STREAM,
};
/** Of the family that does not apply, the one that does. */
const APPLICABLE_ALL_THE_SAME = new Set(["input-required-result-unsupported-methods"]);
/** Single checks of scenarios that apply, and why these do not. */
const UNTESTABLE_CHECKS: Readonly<Record<string, string>> = {
  "sep-2549-prompts-list-caching-hints": NO_PROMPTS,
  "sep-2549-resources-list-caching-hints": NO_RESOURCES,
  "sep-2549-resources-templates-list-caching-hints": NO_RESOURCES,
  "sep-2575-server-rejects-undeclared-capability": NO_QUESTIONS,
  "sep-2575-missing-capability-http-400": NO_QUESTIONS,
};

describe.for([
  [
    "2025-11-25",
    [
      "json-schema-2020-12",
      "ping",
      "server-initialize",
      "server-session-lifecycle",
      "tools-call-error",
      "tools-call-simple-text",
      "tools-list",
    ],
  ],
  [
    "2026-07-28",
    [
      "caching",
      "http-header-validation",
      "json-schema-2020-12",
      "server-stateless",
      "tools-call-error",
      "tools-call-simple-text",
      "tools-list",
    ],
  ],
] as const)("the conformance suite of %s", ([revision, required]) => {
  let server: FetchServer;
  let results: SuiteResult;
  beforeAll(async () => {
    server = await serveFetch((request) => serveTools(request, { tools: SUITE_TOOLS, instructions: "" }));
    results = await runSuite(server.url, revision);
  });
  afterAll(() => server.stop());

  it("is met in every scenario that applies to a server of tools", () => {
    const applicable = [...results].filter(([name]) => whyNot(name) === null);
    const failures = applicable.flatMap(([name, { checks }]) =>
      checks
        .filter((check) => check.endsWith(" FAILURE") && !Object.hasOwn(UNTESTABLE_CHECKS, idOf(check)))
        .map((check) => `${name}: ${check}`),
    );
    expect(failures).toEqual([]);
    expect(applicable.map(([name]) => name)).toEqual(expect.arrayContaining([...required]));
    const counts = applicable.map(([name, { passed }]) => `${name} ${passed}`);
    console.log(`Conformance suite, ${revision}, checks passed by the gate's own MCP server: ${counts.join(", ")}`);
  });
});

function whyNot(scenario: string): string | null {
  if (APPLICABLE_ALL_THE_SAME.has(scenario)) return null;
  return Object.entries(NOT_APPLICABLE).find(([start]) => scenario.startsWith(start))?.[1] ?? null;
}

/** From `id STATUS`. */
function idOf(check: string): string {
  return check.split(" ")[0]!;
}
