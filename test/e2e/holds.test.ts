/** Calls that are held: they complete, and what is held for a client that does not want it any more is given back. */

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { makeKey, policyText } from "../support/admin.ts";
import { connectAgent, LEGACY_DIALECTS } from "../support/agents.ts";
import { type RunningGate, startGate } from "../support/gate.ts";
import { type Answer, errorIn, messageRequest, openRequest, postMessage, toolCall } from "../support/http.ts";
import { answerTools, type Origin, type Seen, startOrigin } from "../support/origin.ts";

/** One call at once, then one in four seconds: a second call is held for four. */
const TOKEN_MS = 4_000;
const POLICY = policyText({
  plans: { anonymous: { rate: 10_000 }, slow: { rate: { perMinute: 15, burst: 2 } }, brisk: { rate: { perMinute: 60, burst: 2 } } },
});
const SESSION = "session-of-the-test";

let origin: Origin;
let gate: RunningGate;
beforeAll(async () => {
  origin = await startOrigin(answerSession);
  gate = await startGate({ origin: origin.url, policy: POLICY });
});
afterAll(async () => {
  await gate.stop();
  await origin.stop();
});
function call(key: string, name: string, headers: Readonly<Record<string, string>> = {}, id: number | string = 1): Promise<Answer> {
  return postMessage(gate.url, toolCall(name, {}, id), { "X-API-Key": key, ...headers });
}

async function emptied(): Promise<string> {
  const { key } = await makeKey(gate, "slow");
  await call(key, "first");
  await call(key, "second");
  return key;
}

/** The milliseconds that the gate tells a call that will not wait. */
async function toldWait(key: string): Promise<number> {
  const refused = await call(key, "probe", { Prefer: "wait=0" });
  expect(refused.status).toBe(429);
  return errorIn(refused).error.data["retryAfterMs"] as number;
}

function hasReached(name: string): boolean {
  return origin.seen.some((seen) => nameIn(seen) === name);
}

function nameIn(seen: Seen): string | undefined {
  try {
    return (JSON.parse(seen.body.toString()) as { params?: { name?: string } }).params?.name;
  } catch {
    return undefined;
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe.concurrent("a held call", () => {
  it("is answered as if nothing had been, once its token is there", async () => {
    const { key } = await makeKey(gate, "brisk");
    const start = Date.now();
    const answers = await Promise.all(["h1", "h2", "h3", "h4"].map((name) => call(key, name)));
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200, 200]);
    expect(Date.now() - start).toBeGreaterThan(1_900);
  });

  it("is held no longer than its client prefers", async () => {
    const key = await emptied();
    const start = Date.now();
    const refused = await call(key, "impatient", { Prefer: "respond-async, wait=2" });
    expect(refused.status).toBe(429);
    expect(Date.now() - start).toBeLessThan(2_000);
    expect(hasReached("impatient")).toBe(false);
  });

  it("is given back when its client hangs up, and never reaches the origin", async () => {
    const key = await emptied();
    const held = openRequest(gate.url, messageRequest(toolCall("left"), { "X-API-Key": key }));
    await pause(500);
    expect(await toldWait(key)).toBeGreaterThan(TOKEN_MS);
    held.hangUp();
    await vi.waitFor(async () => expect(await toldWait(key)).toBeLessThan(TOKEN_MS), { timeout: 3_000, interval: 100 });
    expect((await call(key, "heir")).status).toBe(200);
    expect(hasReached("heir")).toBe(true);
    expect(hasReached("left")).toBe(false);
  });

  it("is dropped by a notifications/cancelled of its session, and given back", async () => {
    const key = await emptied();
    const headers = { "X-API-Key": key, "Mcp-Session-Id": SESSION };
    const held = postMessage(gate.url, toolCall("dropped", {}, "call-7"), headers);
    await pause(500);
    const cancel = (requestId: string | number, more = {}) =>
      postMessage(gate.url, { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId } }, { ...headers, ...more });
    // Of another session, or for another id, it means another call.
    await cancel("call-7", { "Mcp-Session-Id": "another" });
    await cancel("call-8");
    expect(await toldWait(key)).toBeGreaterThan(TOKEN_MS);
    expect((await cancel("call-7")).status).toBe(202);
    const answer = await held;
    expect(answer.status).toBe(499);
    expect(errorIn(answer).id).toBe("call-7");
    await vi.waitFor(async () => expect(await toldWait(key)).toBeLessThan(TOKEN_MS), { timeout: 3_000, interval: 100 });
    expect(hasReached("dropped")).toBe(false);
  });

  it("cannot be dropped by another consumer that guesses its session and id", async () => {
    const key = await emptied();
    const { key: stranger } = await makeKey(gate, "slow");
    const held = postMessage(gate.url, toolCall("kept", {}, 1), { "X-API-Key": key, "Mcp-Session-Id": SESSION });
    await pause(500);
    const cancel = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } };
    await postMessage(gate.url, cancel, { "X-API-Key": stranger, "Mcp-Session-Id": SESSION });
    expect((await held).status).toBe(200);
    expect(hasReached("kept")).toBe(true);
  });
});

describe.concurrent.for(LEGACY_DIALECTS)("%s", (dialect) => {
  it("can cancel a call that is held, and the origin never gets it", async () => {
    const { key } = await makeKey(gate, "slow");
    const agent = await connectAgent(dialect, gate.url, { key });
    await agent.call("a");
    await agent.call("b");
    const aborter = new AbortController();
    const name = `cancelled by ${dialect}`;
    const rejected = expect(agent.call(name, {}, { signal: aborter.signal })).rejects.toThrow();
    await pause(500);
    aborter.abort();
    await rejected;
    await vi.waitFor(async () => expect(await toldWait(key)).toBeLessThan(TOKEN_MS), { timeout: 3_000, interval: 100 });
    await pause(TOKEN_MS);
    expect(hasReached(name)).toBe(false);
    await agent.close();
  });
});

describe("a batch", () => {
  it("is refused whole, with an answer to each of its requests, and costs nothing", async () => {
    const { key } = await makeKey(gate, "slow");
    await call(key, "before the batch");
    const reached = origin.seen.length;
    const batch = [toolCall("b1", {}, "one"), { jsonrpc: "2.0", method: "notifications/progress" }, toolCall("b2", {}, "two")];
    const refused = await postMessage(gate.url, batch, { "X-API-Key": key, Prefer: "wait=0" });
    expect(refused.status).toBe(429);
    const errors = JSON.parse(refused.text) as { id: string; error: { code: number } }[];
    expect(errors.map(({ id, error }) => [id, error.code])).toEqual([
      ["one", 429],
      ["two", 429],
    ]);
    expect(origin.seen.length).toBe(reached);
    expect((await call(key, "after the batch", { Prefer: "wait=0" })).status).toBe(200);
  });

  it("that asks for more than the plan can ever give is told so, and not to wait", async () => {
    const { key } = await makeKey(gate, "slow");
    const batch = ["b3", "b4", "b5"].map((name, id) => toolCall(name, {}, id));
    const refused = await postMessage(gate.url, batch, { "X-API-Key": key });
    expect(refused.status).toBe(400);
    expect(refused.headers).not.toHaveProperty("retry-after");
    const errors = JSON.parse(refused.text) as { id: number; error: { code: number; message: string } }[];
    expect(errors.map(({ id, error }) => [id, error.code])).toEqual([
      [0, -32600],
      [1, -32600],
      [2, -32600],
    ]);
    expect(errors[0]!.error.message).toContain("Waiting will not help: send it in smaller parts.");
  });

  it("is charged for each of its requests", async () => {
    const { key } = await makeKey(gate, "slow");
    const batch = ["b6", "b7"].map((name, id) => toolCall(name, {}, id));
    expect((await postMessage(gate.url, batch, { "X-API-Key": key })).status).toBe(200);
    expect((await call(key, "after", { Prefer: "wait=0" })).status).toBe(429);
  });
});

/** A server with a session, as the legacy era has them. */
function answerSession(seen: Seen, response: Parameters<typeof answerTools>[1]): void {
  if (seen.method !== "POST") {
    response.writeHead(405).end();
    return;
  }
  const message = JSON.parse(seen.body.toString()) as { id?: number; method?: string };
  if (message.method !== "initialize") return answerTools(seen, response);
  const result = { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo: { name: "session", version: "1" } };
  response
    .writeHead(200, { "Content-Type": "application/json", "Mcp-Session-Id": SESSION })
    .end(JSON.stringify({ jsonrpc: "2.0", id: message.id, result }));
}
