import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { makeConsumer, policyText } from "../support/admin.ts";
import { withAgent } from "../support/agents.ts";
import { zeroBits } from "../support/challenge-gate.ts";
import { freePort, REPO, run, scratch, turnpike } from "../support/command.ts";
import { type CountingServer, startCountingServer } from "../support/counting-server.ts";
import { type RunningGate, startGate } from "../support/gate.ts";
import { errorIn, postMessage, send, toolCall } from "../support/http.ts";
import { startOrigin } from "../support/origin.ts";

const pow = (bits: number) => ({ pow: { difficulty: bits, maxDifficulty: bits } });
const POLICY = policyText({
  plans: {
    anonymous: { rate: { perMinute: 1, burst: 2 } },
    free: { rate: { perMinute: 1, burst: 2 }, offers: pow(12) },
    proxied: { rate: { perMinute: 1, burst: 3 }, offers: pow(12) },
    strict: { rate: { perMinute: 1, burst: 1 }, offers: pow(24) },
    slow: { rate: { perMinute: 60, burst: 1 }, maxWaitSeconds: 0 },
  },
});

let server: CountingServer;
let gate: RunningGate;
beforeAll(async () => {
  server = await startCountingServer();
  gate = await startGate({ origin: server.url, policy: POLICY });
});
afterAll(async () => {
  await gate.stop();
  await server.stop();
});

/** Commands start slowly on a busy machine. */
const ENOUGH = { timeout: 15_000 };

function collect(stream: Readable): () => string {
  let text = "";
  stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return () => text;
}

const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
});

/** Starts a command that goes on, and resolves with the first line of its stdout. */
async function start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [join(REPO, "src/cli/main.ts"), ...args], { env: { ...process.env, ...env } });
  children.push(child);
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString().trim()));
    void exited.then(() => reject(new Error(said)));
  });
  return { child, line, exited, said: () => said };
}

describe("turnpike solve", () => {
  it("prints the solution of a challenge, wherever in a 402 it is, and nothing else", async () => {
    const { key } = await makeConsumer(gate, "free");
    const response = await fetch(new URL("/turnpike/challenge", gate.url), { method: "POST", headers: { "X-API-Key": key } });
    const challenge = (await response.json()) as { id: string; salt: string };
    for (const input of [
      challenge,
      { jsonrpc: "2.0", id: 1, error: { code: 402, message: "", data: { challenges: [null, challenge] } } },
    ]) {
      const file = join(scratch(), "challenge.json");
      writeFileSync(file, JSON.stringify(input));
      const solved = await turnpike(["solve", "--challenge", file]);
      expect(solved.code, solved.stderr).toBe(0);
      const { id, salt, nonce } = JSON.parse(solved.stdout) as { id: string; salt: string; nonce: string };
      expect({ id, salt }).toEqual({ id: challenge.id, salt: challenge.salt });
      expect(zeroBits(salt + nonce)).toBeGreaterThanOrEqual(12);
    }
  });

  it("reads stdin, and sends the solution where the challenge says, as its caller", async () => {
    const [own, another] = [await makeConsumer(gate, "free"), await makeConsumer(gate, "free")];
    const script = `curl -s -X POST ${new URL("/turnpike/challenge", gate.url).href} -H 'X-API-Key: ${own.key}' | ${process.execPath} src/cli/main.ts solve --verify`;
    const solved = await run("bash", ["-c", script], { env: { TURNPIKE_KEY: own.key } });
    expect(solved.code, solved.stderr).toBe(0);
    expect(JSON.parse(solved.stdout)).toMatchObject({ calls: 10 });
    const foreign = await run("bash", ["-c", script], { env: { TURNPIKE_KEY: another.key } });
    expect(foreign).toMatchObject({ code: 1, stdout: "" });
    expect(foreign.stderr).toContain("did not take the solution (403): This challenge was issued to another consumer.");
  });

  it("says in one line what is wrong with what it is given", async () => {
    const file = join(scratch(), "challenge.json");
    const hard = { type: "pow", algorithm: "SHA-256", id: "i", salt: "s", difficulty: 30, signature: "g" };
    for (const [content, words] of [
      ["no JSON", "this is no JSON"],
      ["{}", "no proof-of-work challenge"],
      [JSON.stringify(hard), "asks for 30 bits, and at most 22"],
      [JSON.stringify({ ...hard, difficulty: 1, expiresAt: "2020-01-01T00:00:00Z" }), "was good until 2020-01-01"],
    ] as const) {
      writeFileSync(file, content);
      const failed = await turnpike(["solve", "--challenge", file]);
      expect(failed.code).toBe(1);
      expect(failed.stderr).toContain(words);
      expect(failed.stderr).not.toContain("    at ");
    }
  });
});

describe("turnpike status", () => {
  it("says in words, or as JSON, what the gate knows of the caller", async () => {
    const { key } = await makeConsumer(gate, "free");
    const words = await turnpike(["status", gate.url, "--key", key]);
    expect(words.stderr).toBe("");
    expect(words.stdout).toMatch(/^plan free\n[^]*^ {2}free: 2 of 2 left \(full again within 120 s\)$[^]*^0 prepaid calls\n$/m);
    const json = await turnpike(["status", gate.url, "--json"], { TURNPIKE_KEY: key });
    expect(JSON.parse(json.stdout)).toMatchObject({ plan: "free", credits: 0 });
  });

  it("says in one line when there is no gate", async () => {
    const nobody = await turnpike(["status", `http://127.0.0.1:${await freePort()}`]);
    expect(nobody).toMatchObject({ code: 1, stdout: "" });
    expect(nobody.stderr).toMatch(/^turnpike: http:\/\/127\.0\.0\.1:\d+ does not answer: .*ECONNREFUSED.*\n$/);
    const other = await turnpike(["status", `${new URL(server.url).origin}/nothing/status`]);
    expect(other.code).toBe(1);
  });
});

describe("turnpike proxy", () => {
  it("gets clients through that know nothing of gates, streams what streams, and lets nobody else in", async () => {
    const { key, logged } = await makeConsumer(gate, "proxied");
    const proxy = await start(["proxy", gate.url, "--port", "0", "--max-wait", "1"], { TURNPIKE_KEY: key });
    expect(proxy.line).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/mcp$/);

    const told: number[] = [];
    await withAgent("client-2-legacy", proxy.line, {}, async (agent) => {
      const answers = await Promise.all(["p1", "p2", "p3", "p4"].map((text) => agent.call("count", { text })));
      expect(answers.map(({ text }) => text)).toEqual(["p1", "p2", "p3", "p4"].map((text) => `${text} has run 1 times`));
      await agent.call("steps", { stepMs: 100 }, { onProgress: (progress) => told.push(progress) });
    });
    expect(told).toEqual([1, 2, 3]);
    expect(proxy.said()).toContain("solving a proof of work of 12 bits");
    expect(logged("redeemed")).toHaveLength(1);

    for (const headers of [{ Host: "evil.example" }, { Origin: "https://evil.example" }, { Origin: "null" }]) {
      expect((await postMessage(proxy.line, toolCall("count", { text: "foreign" }), headers)).status).toBe(403);
    }
    expect(server.ran("foreign")).toBe(0);
    const page = { Origin: "http://localhost:5173" };
    const preflight = { ...page, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type" };
    expect(await send(proxy.line, { method: "OPTIONS", headers: preflight })).toMatchObject({
      status: 204,
      headers: { "access-control-allow-origin": "http://localhost:5173", "access-control-allow-headers": "content-type" },
    });
    expect((await send(proxy.line, { method: "POST", body: "x".repeat(5_000_000) })).status).toBe(413);

    proxy.child.kill("SIGTERM");
    expect(await proxy.exited).toBe(0);
  });

  it("hands on the gate's refusal as it came where there is no way on, and says when the gate is away", async () => {
    const { key } = await makeConsumer(gate, "strict");
    const proxy = await start(["proxy", gate.url, "--port", "0", "--max-wait", "0"], { TURNPIKE_KEY: key });
    await postMessage(proxy.line, toolCall("count", { text: "a" }));
    const refused = await postMessage(proxy.line, toolCall("count", { text: "b" }, 9));
    expect(refused).toMatchObject({ status: 402, headers: { "retry-after": "60" } });
    expect(errorIn(refused)).toMatchObject({ id: 9, error: { code: 402, data: { cause: "rate" } } });
    const nobody = await start(["proxy", `http://127.0.0.1:${await freePort()}/mcp`, "--port", "0"]);
    expect(await postMessage(nobody.line, toolCall("count", { text: "c" }))).toMatchObject({ status: 502 });
    const { port } = new URL(proxy.line);
    const second = await turnpike(["proxy", gate.url, "--port", port]);
    expect(second.stderr).toBe(`turnpike: port ${port} is in use. Choose another with --port.\n`);
  });
});

describe("turnpike connect", () => {
  it("ends when its input ends, once what was asked is answered, with nothing but messages on stdout", async () => {
    const messages = [
      {
        jsonrpc: "2.0",
        id: "i",
        method: "initialize",
        params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } },
      },
      { jsonrpc: "2.0", method: "notifications/initialized" },
    ];
    const lines = messages.map((message) => JSON.stringify(message)).join("\n");
    const script = `echo '${lines}' | ${process.execPath} src/cli/main.ts connect ${gate.url}`;
    const ended = await run("bash", ["-c", script]);
    expect(ended.code, ended.stderr).toBe(0);
    expect(JSON.parse(ended.stdout)).toMatchObject({ jsonrpc: "2.0", id: "i", result: { protocolVersion: "2025-11-25" } });
    expect(ended.stderr).toContain("turnpike: bridging stdio to");
  });

  it("answers with an error when nobody is there, and goes on", async () => {
    const script = `echo '{"jsonrpc":"2.0","id":5,"method":"ping"}' | ${process.execPath} src/cli/main.ts connect http://127.0.0.1:${await freePort()}/mcp`;
    const ended = await run("bash", ["-c", script]);
    expect(ended.code, ended.stderr).toBe(0);
    expect(JSON.parse(ended.stdout)).toMatchObject({
      id: 5,
      error: { code: -32_000, message: expect.stringContaining("ECONNREFUSED") as string },
    });
  });

  it("never sends a call that was cancelled while it waited, also to servers without sessions", async () => {
    const origin = await startOrigin();
    const slow = await startGate({ origin: origin.url, policy: POLICY });
    const { key, logged } = await makeConsumer(slow, "slow");
    const bridge = spawn(process.execPath, [join(REPO, "src/cli/main.ts"), "connect", slow.url], {
      env: { ...process.env, TURNPIKE_KEY: key },
    });
    children.push(bridge);
    const lines = collect(bridge.stdout);
    const said = collect(bridge.stderr);
    const write = (message: unknown): void => void bridge.stdin.write(`${JSON.stringify(message)}\n`);
    write(toolCall("first", {}, 1));
    await vi.waitFor(() => expect(lines()).toContain('"id":1'), ENOUGH);
    write(toolCall("second", {}, 2));
    await vi.waitFor(() => expect(said()).toContain("tools/call second: over the limit: waiting"), ENOUGH);
    write({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 2 } });
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(logged("refused")).toHaveLength(1);
    expect(origin.seen).toHaveLength(1);
    expect(lines()).not.toContain('"id":2');
    bridge.stdin.end();
    await slow.stop();
    await origin.stop();
  });

  it("turns down what is no URL, no header and no number", async () => {
    for (const args of [
      ["ftp://x"],
      [gate.url, "--header", "no colon"],
      [gate.url, "--max-wait", "soon"],
      [gate.url, "--max-difficulty", "1.5"],
    ])
      expect((await turnpike(["connect", ...args])).code).toBe(1);
  });
});
