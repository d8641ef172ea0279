/** The commands of the agent's side with a wallet over Nostr Wallet Connect, on a relay of this machine. */

import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { makeKey } from "../support/admin.ts";
import { withAgent } from "../support/agents.ts";
import { startChallengeGate } from "../support/challenge-gate.ts";
import { freePort, REPO, run, scratch, turnpike } from "../support/command.ts";
import { type CountingServer, startCountingServer } from "../support/counting-server.ts";
import type { RunningGate } from "../support/gate.ts";
import { toolCall } from "../support/http.ts";
import { BookWallet } from "../support/book-wallet.ts";
import { NodeWallet } from "../support/node-wallet.ts";
import { NOTICE, type NwcWallet, startNwcWallet } from "../support/nostr-relay.ts";
import { clientOf, startSellingGate, startTestNode, type TestNode } from "../support/selling-gate.ts";
import { startHost, type StdioHost } from "../support/stdio-host.ts";

const URL_OF_NOBODY = "http://127.0.0.1:9/mcp";

/** Calls that cost nothing; then two for 30 sats. */
const FREE = 3;
const plan = { rate: { perMinute: 1, burst: FREE }, maxWaitSeconds: 0, offers: { l402: { satsPerCall: 15, calls: 2 } } };

let node: TestNode;
let server: CountingServer;
let gate: RunningGate;
beforeAll(async () => {
  [node, server] = await Promise.all([startTestNode(), startCountingServer()]);
  gate = await startSellingGate(node, { plans: { anonymous: plan, sold: plan } }, { origin: server.url });
});
afterAll(async () => {
  await gate.stop();
  await Promise.all([node.stop(), server.stop()]);
});

let payer: NodeWallet;
let wallet: NwcWallet;
let key: string;
let failure: { code: string; message: string } | null;
beforeEach(async () => {
  payer = new NodeWallet(node);
  failure = null;
  wallet = await startNwcWallet(payer, () => failure);
  ({ key } = await makeKey(gate, "sold"));
});
const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await wallet.stop();
  expect(payer.failures).toEqual([]);
});

let made = 0;
const nextText = (): string => `nwc text ${++made}`;

async function useUpPlan(host: StdioHost, calls = FREE): Promise<void> {
  for (let i = 0; i < calls; i++) await host.call("count", { text: nextText() });
}

/** The address in a file, so that it is in no argument. */
function fileWith(address: string): string {
  const file = join(scratch(), "wallet");
  writeFileSync(file, `${address}\n`);
  return file;
}

/** A command that ends before it has begun. */
function refused(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return turnpike(["proxy", URL_OF_NOBODY, ...args], env);
}

describe("turnpike connect with a wallet", () => {
  it.each([
    ["a key", "--wallet-file"],
    ["no key", "--wallet"],
  ])("with %s pays from that of %s, says so, and stops at its budget", async (caller, option) => {
    const of = option === "--wallet" ? wallet.address : fileWith(wallet.address);
    const args = [option, of, "--network", "regtest", "--budget", "40", "--max-wait", "1"];
    const host = await startHost("client-2-auto", gate.url, { args, env: caller === "a key" ? { TURNPIKE_KEY: key } : {} });
    const told: string[] = [];
    try {
      for (let i = 0; i < FREE + 2; i++) {
        const text = nextText();
        const answer = await host.call("count", { text }, { onProgress: ({ message }) => told.push(message ?? "") });
        expect(answer.content[0]!.text).toBe(`${text} has run 1 times`);
      }
      await expect(host.call("count", { text: nextText() })).rejects.toThrow("more than the 10 that are left of the budget of 40");
    } finally {
      await host.close();
    }
    expect(told[0]).toBe("over the limit: paying 30 sats for 2 calls, which leaves 10 sats of the budget");
    expect(told[1]).toMatch(/^paid 30 sats in [\d.]+ s, good for 2 calls$/);
    expect(host.said()).toContain(`bridging stdio to ${gate.url}${caller === "a key" ? ", with an API key" : ""}, with a wallet`);
    expect(host.said()).not.toContain(wallet.secret);
    expect(payer.paidSats).toBe(30);
  });

  it("leaves what it has bought and not used on the account", async () => {
    const host = await startHost("sdk-1", gate.url, {
      args: ["--network", "regtest"],
      env: { TURNPIKE_KEY: key, TURNPIKE_WALLET: wallet.address },
    });
    try {
      await useUpPlan(host, FREE + 1);
    } finally {
      await host.close();
    }
    expect(payer.paidSats).toBe(30);
    expect((await clientOf(gate, { "X-API-Key": key }).status()).credits).toBe(1);
  });

  it("has nothing but messages on stdout, whatever the relay says", async () => {
    const args = [join(REPO, "src/cli/main.ts"), "connect", gate.url, "--network", "regtest"];
    const bridge = spawn(process.execPath, args, { env: { ...process.env, TURNPIKE_KEY: key, TURNPIKE_WALLET: wallet.address } });
    children.push(bridge);
    const heard = { stdout: "", stderr: "" };
    for (const from of ["stdout", "stderr"] as const) bridge[from].on("data", (chunk: Buffer) => (heard[from] += chunk.toString()));
    for (const id of [1, 2, 3, 4]) bridge.stdin.write(`${JSON.stringify(toolCall("count", { text: nextText() }, id))}\n`);
    await vi.waitFor(() => expect(heard.stdout.trim().split("\n")).toHaveLength(4), { timeout: 15_000 });
    expect(heard.stderr).toContain(NOTICE);
    for (const line of heard.stdout.trim().split("\n")) expect(JSON.parse(line)).toMatchObject({ jsonrpc: "2.0" });
    expect(payer.paidSats).toBe(30);
  });

  it("tells a payment that failed from one of which nobody knows", async () => {
    const args = ["--network", "regtest", "--budget", "60", "--max-wait", "1"];
    const host = await startHost("client-2-modern", gate.url, { args, env: { TURNPIKE_KEY: key, TURNPIKE_WALLET: wallet.address } });
    try {
      await useUpPlan(host);
      failure = { code: "INSUFFICIENT_BALANCE", message: "not enough sats" };
      for (let i = 0; i < 3; i++)
        await expect(host.call("count", { text: nextText() })).rejects.toThrow("the wallet did not pay its invoice (not enough sats)");
      failure = { code: "INTERNAL", message: "something broke" };
      // Each is offered another invoice.
      for (let i = 0; i < 2; i++)
        await expect(host.call("count", { text: nextText() })).rejects.toThrow(
          "nobody knows whether the invoice is paid (something broke)",
        );
      await expect(host.call("count", { text: nextText() })).rejects.toThrow("more than the 0 that are left of the budget of 60");
    } finally {
      await host.close();
    }
    expect(payer.paid).toEqual([]);
  });

  it("goes on when the wallet's relay is away: nothing is paid, and nothing counts as paid", async () => {
    const address = wallet.address.replace(/relay=[^&]+/, `relay=ws://127.0.0.1:${await freePort()}`);
    const args = ["--network", "regtest", "--budget", "30", "--max-wait", "1"];
    const host = await startHost("sdk-1", gate.url, { args, env: { TURNPIKE_KEY: key, TURNPIKE_WALLET: address } });
    try {
      await useUpPlan(host);
      for (let i = 0; i < 2; i++)
        await expect(host.call("count", { text: nextText() })).rejects.toThrow(
          "the wallet did not pay its invoice (Failed to connect to ws:",
        );
    } finally {
      await host.close();
    }
  });

  it("keeps what the gate has not taken, and tells the macaroon and the preimage, so that they can be used", async () => {
    const book = new BookWallet();
    const ofBook = await startNwcWallet(book);
    const sells = { book: book.book, priceSats: 30, calls: 2, isBroken: true };
    const broken = await startChallengeGate({ origin: server.url, burst: 1, perMinute: 1, sells });
    const args = ["--network", "regtest", "--max-wait", "1"];
    const host = await startHost("client-2-auto", broken.url, { args, env: { TURNPIKE_WALLET: ofBook.address } });
    try {
      await host.call("count", { text: nextText() });
      const credential = /Authorization: L402 [\w+/=-]+:[\da-f]{64}/;
      for (let i = 0; i < 2; i++) await expect(host.call("count", { text: nextText() })).rejects.toThrow(credential);
      const [said] = credential.exec(host.said()) ?? [];
      expect(said?.split(":")[2]).toBe(book.paid[0]!.preimage);
    } finally {
      await host.close();
      await Promise.all([broken.stop(), ofBook.stop()]);
    }
    expect(book.paidSats).toBe(30);
  });

  it("does not pay on another network than it was told", async () => {
    const env = { TURNPIKE_KEY: key, TURNPIKE_WALLET: wallet.address };
    const host = await startHost("client-2-auto", gate.url, { args: ["--max-wait", "1"], env });
    try {
      await useUpPlan(host);
      await expect(host.call("count", { text: nextText() })).rejects.toThrow("is for regtest, and this client pays on bitcoin");
    } finally {
      await host.close();
    }
    expect(payer.paid).toEqual([]);
  });
});

describe("turnpike proxy with a wallet", () => {
  it.each(["file", "stdin"])("takes its address from %s, so that it is in no argument, and pays", async (where) => {
    const address = wallet.address.replace("nostr+walletconnect://", where === "file" ? "nwc:" : "nostrwalletconnect:");
    const from = where === "file" ? fileWith(address) : "-";
    const args = ["proxy", gate.url, "--port", "0", "--network", "regtest", "--prefer", "l402", "--wallet-file", from];
    const child = spawn(process.execPath, [join(REPO, "src/cli/main.ts"), ...args], { env: { ...process.env, TURNPIKE_KEY: key } });
    children.push(child);
    child.stdin.end(where === "file" ? "" : address);
    const url = await new Promise<string>((resolve) => child.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString().trim())));
    await withAgent("sdk-1", url, {}, async (agent) => {
      for (let i = 0; i < FREE + 2; i++) expect((await agent.call("count", { text: nextText() })).isError).toBe(false);
    });
    expect(payer.paidSats).toBe(30);
  });
});

describe("a wallet's address", () => {
  it("that is none is turned down in one line, without telling its secret", async () => {
    const secret = "5ec2e7".repeat(11).slice(0, 64);
    const key = "a".repeat(64);
    for (const [address, words] of [
      ["lightning:x@example.com", "is none of Nostr Wallet Connect"],
      [`nwc:${key}?secret=${secret}`, "no relay URLs provided"],
      [`nwc:${key}?relay=ws://127.0.0.1:1`, "missing secret"],
      [`nwc:short?relay=ws://127.0.0.1:1&secret=${secret}`, "invalid wallet pubkey"],
    ] as const) {
      const ended = await refused([], { TURNPIKE_WALLET: address });
      expect(ended).toMatchObject({ code: 1, stdout: "" });
      expect(ended.stderr).toContain(words);
      expect(ended.stderr).not.toContain(secret);
      expect(ended.stderr.trim().split("\n")).toHaveLength(1);
    }
  });

  it("is read from one place, which must be there, and be free", async () => {
    const empty = join(scratch(), "empty");
    writeFileSync(empty, "\n");
    for (const [args, words] of [
      [["--wallet-file", join(scratch(), "none")], "the wallet's file cannot be read"],
      [["--wallet-file", empty], "is empty"],
      [["--wallet-file", empty, "--wallet", "nwc:x"], "give one of them"],
      [["--prefer", "gold"], "Allowed choices are cheapest, pow, l402"],
      [["--budget", "-1"], "It must be a number from 0"],
    ] as const) {
      const ended = await refused(args);
      expect(ended.code).toBe(1);
      expect(ended.stderr).toContain(words);
    }
    const stdin = await run("bash", ["-c", `echo x | ${process.execPath} src/cli/main.ts connect ${URL_OF_NOBODY} --wallet-file -`]);
    expect(stdin.code).toBe(1);
    expect(stdin.stderr).toContain("stdin is for the host's messages");
  });
});
