import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Invoice, LightningNode } from "../../src/lightning/node.ts";
import { openNode } from "../../src/lightning/open-node.ts";
import { scratch, turnpike } from "../support/command.ts";
import { type RunningGate, startGate } from "../support/gate.ts";

const state = scratch();
let gate: RunningGate;
let invoiceBefore: string;
beforeAll(async () => {
  const before = await startGate({ state });
  invoiceBefore = (await invoiceOf(state)).invoice;
  await before.stop();
});
beforeAll(async () => {
  gate = await startGate({ state });
});
afterAll(async () => {
  await gate.stop();
});

function read(state: string, file: string): Record<string, string> {
  return JSON.parse(readFileSync(join(state, file), "utf8")) as Record<string, string>;
}

/** As the gate reaches it. */
function nodeOf(state: string): LightningNode {
  const url = read(state, "running.json")["lightning"]!;
  return openNode({ kind: "phoenixd", url, network: "bcrt" }, read(state, "secrets.json")["lightningSecret"]!);
}

async function invoiceOf(state: string): Promise<Invoice> {
  const created = await nodeOf(state).createInvoice({ sats: 30, memo: "10 calls", expirySeconds: 600 }, Date.now());
  if (!created.ok) throw new Error(created.problem.message);
  return created.invoice;
}

async function told(...args: readonly string[]): Promise<string> {
  return (await turnpike(["pay", ...args])).stderr;
}

describe("turnpike pay", () => {
  test("pays an invoice of the running gate, and prints the preimage that proves it", async () => {
    const { invoice, paymentHash } = await invoiceOf(state);
    const ended = await turnpike(["pay", invoice, "--state", state]);
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(createHash("sha256").update(Buffer.from(ended.stdout.trim(), "hex")).digest("hex")).toBe(paymentHash);
    expect(await nodeOf(state).lookupInvoice(paymentHash, Date.now())).toEqual({ ok: true, state: "settled" });
    const again = await turnpike(["pay", invoice, "--state", state]);
    expect(again).toMatchObject({ code: 1, stderr: "turnpike: not paid: the invoice has already been paid.\n", stdout: "" });
  });

  test("takes an invoice as a QR code spells it, and prints JSON for scripts", async () => {
    const { invoice } = await invoiceOf(state);
    const ended = await turnpike(["pay", `LIGHTNING:${invoice.toUpperCase()}`, "--state", state, "--json"]);
    expect(JSON.parse(ended.stdout)).toEqual({ preimage: expect.stringMatching(/^[\da-f]{64}$/) as string, sats: 30 });
  });

  test("pays neither with money, nor what is no invoice, nor where no gate is running, and says so", async () => {
    expect(await told("lnbc300n1qqqq", "--state", state)).toContain("pay it with a wallet");
    expect(await told("hello", "--state", state)).toContain("no Lightning invoice");
    expect(await told("lnbcrt300n1qqqq", "--state", state)).toContain("not paid: this node pays only invoices of its own");
    expect(await told("lnbcrt300n1qqqq", "--state", scratch())).toContain("no gate with a Lightning node is running");
  });
});

describe("the gate's embedded node", () => {
  test("knows an invoice from before a restart", async () => {
    expect(await turnpike(["pay", invoiceBefore, "--state", state])).toMatchObject({ code: 0 });
  });
});
