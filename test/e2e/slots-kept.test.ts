/** A slot is kept for exactly as long as somebody reads its answer: past its lease for a long one, and no longer for who leaves. */

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { makeKey, policyText } from "../support/admin.ts";
import { type RunningGate, startGate } from "../support/gate.ts";
import { messageRequest, openRequest, postMessage, toolCall } from "../support/http.ts";
import { answerTools, type Origin, type Respond, startOrigin } from "../support/origin.ts";

const POLICY = policyText({
  plans: {
    anonymous: { rate: 10_000 },
    single: { rate: 10_000, concurrency: 1, maxWaitSeconds: 10 },
    held: { rate: { perMinute: 15, burst: 2 }, concurrency: 1, maxWaitSeconds: 10 },
  },
});
const LEASE_MS = 30_000;
/** Longer than a lease, and then some. */
const LONG_MS = LEASE_MS + 10_000;
/** Much less than a lease: what is free by then was given back, and has not run out. */
const SOON_MS = 8_000;

/** `silent` never answers, `ticking` streams an event now and then, `still` one event and no more. */
const respond: Respond = (seen, response) => {
  const name = /"name":"(\w+)"/.exec(seen.body.toString())?.[1];
  if (name === "silent") return;
  if (name !== "ticking" && name !== "still") return answerTools(seen, response);
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.write(": open\n\n");
  if (name === "still") return;
  const ticks = setInterval(() => response.write(": tick\n\n"), 200);
  void seen.ended.then(() => clearInterval(ticks));
};

let origin: Origin;
let gate: RunningGate;
beforeAll(async () => {
  origin = await startOrigin(respond);
  gate = await startGate({ origin: origin.url, policy: POLICY });
});
afterAll(async () => {
  await gate.stop();
  await origin.stop();
});

let calls = 0;
const request = (key: string, name: string) => messageRequest(toolCall(name, { call: ++calls }), { "X-API-Key": key });
const open = (key: string, name: string) => openRequest(gate.url, request(key, name));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Whether the one slot is free, for a call that does not wait: `rate` is asked after it. */
async function isFree(key: string): Promise<boolean> {
  const answer = await postMessage(gate.url, toolCall("probe", { call: ++calls }), { "X-API-Key": key, Prefer: "wait=0" });
  return answer.status === 200 || !answer.text.includes('"cause":"concurrency"');
}

const becomesFree = (key: string) => vi.waitFor(async () => expect(await isFree(key)).toBe(true), { timeout: SOON_MS, interval: 300 });

describe.concurrent("a slot", () => {
  it("of a stream that is open for longer than a lease stays taken, and is free when it ends", { timeout: LONG_MS + 20_000 }, async () => {
    const { key } = await makeKey(gate, "single");
    const long = open(key, "still");
    expect((await long.answered).statusCode).toBe(200);
    const until = Date.now() + LONG_MS;
    while (Date.now() < until) {
      expect(await isFree(key)).toBe(false);
      await pause(2_000);
    }
    long.hangUp();
    await becomesFree(key);
  });

  it.for([
    ["before the origin has answered", "silent"],
    ["in the middle of a stream", "ticking"],
    ["in a stream in which nothing is sent", "still"],
  ] as const)("of a client that leaves %s is free again", async ([, name]) => {
    const { key } = await makeKey(gate, "single");
    const leaving = open(key, name);
    if (name === "silent") await pause(500);
    else await leaving.answered;
    expect(await isFree(key)).toBe(false);
    leaving.hangUp();
    await becomesFree(key);
  });

  it("of a client that closes its connection without a word is free again once something is sent", async () => {
    const { key } = await makeKey(gate, "single");
    const answer = await open(key, "ticking").answered;
    expect(await isFree(key)).toBe(false);
    answer.socket.end();
    answer.destroy();
    await becomesFree(key);
  });

  it("that a client waits for is not left to it when it leaves, and the next in turn has it", async () => {
    const { key } = await makeKey(gate, "single");
    const holding = open(key, "silent");
    await pause(300);
    const leaving = open(key, "silent");
    await pause(300);
    const next = openRequest(gate.url, request(key, "next")).answered;
    await pause(300);
    leaving.hangUp();
    await pause(300);
    holding.hangUp();
    expect((await next).statusCode).toBe(200);
    await becomesFree(key);
  });

  it("of a call that is held for its tokens is free again when its client leaves", async () => {
    const { key } = await makeKey(gate, "held");
    for (const name of ["a", "b"]) expect((await postMessage(gate.url, toolCall(name), { "X-API-Key": key })).status).toBe(200);
    const held = open(key, "held");
    await pause(500);
    expect(await isFree(key)).toBe(false);
    held.hangUp();
    await becomesFree(key);
  });
});
