import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PAYMENT_TEXTS } from "../../src/selling/texts.ts";
import { gateTools, TOOL_NAMES } from "../../src/tools/definitions.ts";
import { callResult, type GateTool, toolEntry, type ToolResult } from "../../src/tools/tool.ts";
import { CHALLENGE, INVOICE, type MadeUpActions, madeUpActions, STATUS, VERIFIED } from "./made-up.ts";

const SOLUTION = { id: "an-id", salt: "c2FsdA", nonce: "42", signature: "a-signature" };

function call(name: string, args: Readonly<Record<string, unknown>> = {}, actions: MadeUpActions = madeUpActions()): Promise<ToolResult> {
  return named(gateTools(actions), name).call(args);
}

function named(tools: readonly GateTool[], name: string): GateTool {
  const tool = tools.find((tool) => tool.name === name);
  if (!tool) throw new Error(`there is no tool ${name}`);
  return tool;
}

async function problem(name: string, args: Readonly<Record<string, unknown>>, actions?: MadeUpActions): Promise<string> {
  const result = await call(name, args, actions);
  expect(result.kind).toBe("problem");
  return result.text;
}

describe("the gate's tools", () => {
  test("go by their names, or by those with a prefix, and name each other so", () => {
    expect(gateTools(madeUpActions()).map((tool) => tool.name)).toEqual([...TOOL_NAMES]);
    const prefixed = gateTools(madeUpActions(), "turnpike_");
    expect(prefixed.map((tool) => tool.name)).toEqual(["turnpike_challenge", "turnpike_verify", "turnpike_status"]);
    expect(named(prefixed, "turnpike_challenge").description).toContain("call turnpike_verify with");
    expect(named(prefixed, "turnpike_verify").description).toContain("from turnpike_challenge or");
  });

  test("say in the list whether they change anything", () => {
    const entries = gateTools(madeUpActions()).map((tool) => toolEntry(tool));
    expect(entries).toMatchObject([
      { name: "challenge", title: expect.any(String), annotations: { readOnlyHint: true }, outputSchema: { type: "object" } },
      { name: "verify", annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true } },
      { name: "status", annotations: { readOnlyHint: true } },
    ]);
  });

  test("answer in words and in data, which is there as text as well", async () => {
    for (const [name, args, data] of [
      ["challenge", {}, CHALLENGE],
      ["verify", SOLUTION, VERIFIED],
      ["status", {}, STATUS],
    ] as const) {
      const { content, structuredContent, isError } = callResult(await call(name, args)) as Record<string, unknown>;
      expect(structuredContent).toEqual(data);
      expect(isError).toBeUndefined();
      const [words, json] = content as { type: string; text: string }[];
      expect(words!.text.length).toBeGreaterThan(10);
      expect(JSON.parse(json!.text)).toEqual(data);
    }
  });

  test.each(TOOL_NAMES)("%s passes the words of a problem on, and no data with them", async (name) => {
    const refused = Promise.resolve({ ok: false, detail: "Not now. Come back tomorrow." } as const);
    const actions = madeUpActions({ challenge: () => refused, verify: () => refused, status: () => refused });
    const result = callResult(await call(name, name === "verify" ? SOLUTION : {}, actions));
    expect(result).toEqual({ content: [{ type: "text", text: "Not now. Come back tomorrow." }], isError: true });
  });

  test.each(["challenge", "status"])("%s takes no arguments, and names the one that is too many", async (name) => {
    expect(await problem(name, { random_string: "x" })).toBe("arguments.random_string is not known. This tool takes no arguments.");
  });
});

describe("challenge", () => {
  test("says in words how it is solved, and what follows", async () => {
    const { text } = await call("challenge");
    expect(text).toContain("begins with 8 zero bits: about 256 attempts");
    expect(text).toContain(">> 248 == 0");
    expect(text).toContain("call verify with id, salt, nonce and signature, before 2026-11-25T12:05:00Z");
    expect(text).toContain("send the refused call again, unchanged");
  });
});

describe("verify", () => {
  test("hands the solution on as it came", async () => {
    const actions = madeUpActions();
    const { text } = await call("verify", SOLUTION, actions);
    expect(actions.proofs).toEqual([{ kind: "solution", solution: SOLUTION }]);
    expect(text).toContain("10 prepaid calls are on your account until 2026-11-25T12:05:00Z");
    expect(text).toContain("send the refused call again, unchanged");
  });

  test.each<[string, Record<string, unknown>, string]>([
    ["a nonce that is a number", { ...SOLUTION, nonce: 42 }, "arguments.nonce must be a string"],
    ["an empty salt", { ...SOLUTION, salt: "" }, "arguments.salt must not be empty"],
    ["a huge nonce", { ...SOLUTION, nonce: "1".repeat(129) }, "arguments.nonce must have at most 128 characters"],
    ["a huge signature", { ...SOLUTION, signature: "x".repeat(1_025) }, "arguments.signature must have at most 1024 characters"],
    ["no signature", { id: "a", salt: "b", nonce: "c" }, "arguments.signature is missing"],
    ["nothing", {}, "arguments.id is missing; arguments.salt is missing; arguments.nonce is missing; arguments.signature is missing"],
    ["something more", { ...SOLUTION, hint: "x" }, "arguments.hint is not known"],
  ])("given %s says where, and what to send, and verifies nothing", async (_what, args, place) => {
    const actions = madeUpActions();
    const text = await problem("verify", args, actions);
    expect(text).toContain(place);
    expect(text).toContain("Send id, salt and signature exactly as challenge or the refusal gave them");
    expect(actions.proofs).toEqual([]);
  });

  test("given anything at all answers in short words or passes a whole solution on", async () => {
    const value = fc.oneof(fc.string(), fc.anything());
    const anArgument = fc.dictionary(fc.oneof(fc.constantFrom(...Object.keys(SOLUTION)), fc.string({ maxLength: 300 })), value);
    await fc.assert(
      fc.asyncProperty(anArgument, async (args) => {
        const actions = madeUpActions();
        const result = await call("verify", args, actions);
        if (result.kind === "problem") expect(result.text.length).toBeLessThan(600);
        else expect(actions.proofs).toEqual([{ kind: "solution", solution: args }]);
      }),
      { numRuns: 200 },
    );
  });
});

const PAYMENT = { macaroon: "AgEE", preimage: "0b".repeat(32) };

const listOf = (actions: MadeUpActions): string => JSON.stringify(gateTools(actions).map((tool) => toolEntry(tool)));
const selling = (): MadeUpActions => madeUpActions({ payments: PAYMENT_TEXTS });

describe("where calls are sold", () => {
  test("the tools speak of payments, and else of none", () => {
    expect(listOf(selling())).toMatch(/Lightning.*preimage/);
    expect(listOf(madeUpActions())).not.toMatch(/l402|lightning|invoice|preimage|macaroon/i);
  });

  test("challenge hands on which type is asked for, and answers with the invoice and what it buys", async () => {
    const actions = selling();
    const result = await call("challenge", { type: "l402" }, actions);
    expect(result).toMatchObject({ kind: "answer", data: INVOICE });
    expect(result.text).toContain("before 2026-11-25T12:15:00Z: 30 sats for 10 calls");
    expect(result.text).toContain("call verify with the macaroon and the preimage");
    await call("challenge", { type: "pow" }, actions);
    await call("challenge", {}, actions);
    expect(actions.types).toEqual(["l402", "pow", null]);
  });

  test.each([[{ type: "gold" }], [{ type: 7 }]])("challenge given %o says which types there are", async (args) => {
    const actions = selling();
    expect(await problem("challenge", args, actions)).toBe('arguments.type must be "pow" or "l402". No challenge was made.');
    expect(actions.types).toEqual([]);
  });

  test("verify hands a payment on as it came, and a solution as before", async () => {
    const actions = selling();
    await call("verify", PAYMENT, actions);
    await call("verify", SOLUTION, actions);
    expect(actions.proofs).toEqual([
      { kind: "payment", credential: { macaroons: [PAYMENT.macaroon], preimage: PAYMENT.preimage } },
      { kind: "solution", solution: SOLUTION },
    ]);
  });

  test.each<[string, Record<string, unknown>, string]>([
    ["no preimage", { macaroon: "AgEE" }, "arguments.preimage is missing"],
    ["no macaroon", { preimage: "00" }, "arguments.macaroon is missing"],
    ["a huge macaroon", { ...PAYMENT, macaroon: "A".repeat(8_193) }, "arguments.macaroon must have at most 8192 characters"],
    ["a solution as well", { ...PAYMENT, nonce: "1" }, "arguments.nonce is not known"],
  ])("verify given %s says where, and verifies nothing", async (_what, args, place) => {
    const actions = selling();
    const text = await problem("verify", args, actions);
    expect(text).toContain(place);
    expect(text).toContain("Of a payment, send the macaroon as it was given, and the preimage.");
    expect(actions.proofs).toEqual([]);
  });

  test("verify tells until when the calls are good, and where they must be shown, how", async () => {
    const lasting = { ...VERIFIED, callsExpireAt: "2026-12-25T12:00:00Z" };
    const verified = (value: typeof lasting & { mustBeShown?: true }) =>
      call("verify", PAYMENT, madeUpActions({ payments: PAYMENT_TEXTS, verify: () => Promise.resolve({ ok: true, value }) }));
    const own = await verified(lasting);
    expect(own.text).toContain("10 prepaid calls are on your account until 2026-12-25T12:00:00Z");
    expect(own.text).toContain("nothing added");
    const shared = await verified({ ...lasting, mustBeShown: true });
    expect(shared.text).toContain("10 prepaid calls are yours until 2026-12-25T12:00:00Z");
    expect(shared.text).toContain('"Authorization: L402 <macaroon>:<preimage>"');
    expect(shared.text).toContain('until 2026-11-25T12:05:00Z the header "Turnpike-Pass"');
    expect(shared.text).not.toContain("nothing added");
  });
});

describe("where nothing is sold", () => {
  test("challenge has no types, and verify knows of no payment", async () => {
    const actions = madeUpActions();
    expect(await problem("challenge", { type: "l402" }, actions)).toContain("arguments.type is not known");
    expect(await problem("verify", PAYMENT, actions)).toContain("arguments.macaroon is not known");
    expect([actions.proofs, actions.types]).toEqual([[], []]);
  });
});

describe("status", () => {
  test("says in words what is left, and when there is more", async () => {
    expect((await call("status")).text).toBe("Plan free. free: 0 of 30 left, more in 2 seconds. day: 812 of 1000 left. 7 prepaid calls.");
  });
});
