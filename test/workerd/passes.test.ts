/** Solutions and passes through the whole gate: whose account they are good for, and what a pass does not do. */

import { describe, expect, test } from "vitest";
import type { PowChallenge } from "../../src/challenges/proof-of-work.ts";
import {
  aKey,
  anAddress,
  aPass,
  call,
  CALLS,
  challengeIn,
  exhaust,
  open,
  solve,
  verify,
  watchWire,
  wire,
  type Refused,
} from "./prepaid-gate.ts";

watchWire();

describe("a bearer that the origin has not accepted", () => {
  test("redeems what its address was offered, and its call passes", async () => {
    const send = open();
    wire.originStatus = 403;
    const headers = { ...anAddress(), Authorization: "Bearer made-up" };
    for (let i = 0; i < 2; i++) expect((await send({ headers, body: call("spend", { i }) })).status).toBe(403);
    const refused = await send({ headers, body: call("mine") });
    expect(refused.status).toBe(402);
    const verified = await verify(send, await solve(await challengeIn(refused)), headers);
    expect(verified.status).toBe(200);
    wire.originStatus = 200;
    expect((await send({ headers, body: call("mine") })).status).toBe(200);
    // From now on it is known, and what an address of its own was offered stays good in its hands.
    const elsewhere = anAddress();
    const theirs = await challengeIn(await exhaust(send, elsewhere));
    expect((await verify(send, await solve(theirs), { ...headers, ...elsewhere })).status).toBe(200);
  });

  test("is no fresh account: challenges, status and solves are its address's, however many tokens there are", async () => {
    const send = open();
    const address = anAddress();
    const difficulties: number[] = [];
    for (let i = 0; i < 4; i++) {
      const headers = { ...address, Authorization: `Bearer made-up-${i}` };
      const challenge = await (await send({ path: "/gate/challenge", headers })).json<PowChallenge>();
      difficulties.push(challenge.difficulty);
      expect((await verify(send, await solve(challenge), headers)).status).toBe(200);
      const status = await (await send({ method: "GET", path: "/gate/status", headers })).json<{ consumer: string; credits: number }>();
      expect(status).toMatchObject({ consumer: `addr:${address["CF-Connecting-IP"]}`, credits: CALLS * (i + 1) });
    }
    expect(difficulties).toEqual([1, 2, 2, 2]);
  });
});

describe("an anonymous caller", () => {
  test("cannot redeem from another address, and can from its own", async () => {
    const send = open();
    const [one, other] = [anAddress(), anAddress()];
    const solution = await solve(await challengeIn(await exhaust(send, one)));
    const foreign = await verify(send, solution, other);
    expect(foreign.status).toBe(403);
    expect(await foreign.text()).not.toContain(one["CF-Connecting-IP"]);
    expect((await verify(send, solution, one)).status).toBe(200);
  });
});

describe("a pass", () => {
  test.each<[string, (token: string) => Record<string, string>]>([
    ["of huge size", (token) => ({ "Turnpike-Pass": token + "x".repeat(60_000) })],
    ["that is empty", () => ({ "Turnpike-Pass": "" })],
    ["shown twice in one header", (token) => ({ "Turnpike-Pass": `${token}, ${token}` })],
    ["that says another algorithm", (token) => ({ "Turnpike-Pass": relabelled(token, { alg: "none" }) })],
    ["that demands an extension", (token) => ({ "Turnpike-Pass": relabelled(token, { crit: ["b64"], b64: false }) })],
    ["without a signature", (token) => ({ "Turnpike-Pass": `${token.split(".").slice(0, 2).join(".")}.` })],
  ])("%s changes nothing", async (_what, show) => {
    const send = open();
    const { token } = await aPass(send);
    const poor = await aKey("firm");
    await send({ headers: poor, body: call("first") });
    const answer = await send({ headers: { ...poor, ...show(token) }, body: call("second") });
    expect(answer.status).toBe(429);
    expect(await answer.text()).not.toContain(token);
    expect(wire.logged.filter((line) => line.includes('"fault"'))).toEqual([]);
  });

  test("pays for a whole batch at once, or for none of it", async () => {
    const send = open();
    const { token } = await aPass(send);
    const poor = { ...(await aKey("dear")), "Turnpike-Pass": token };
    expect((await send({ headers: poor, body: [1, 2, 3, 4, 5, 6, 7, 8].map((id) => call("spend", { id }, id)) })).status).toBe(200);
    wire.forwarded = [];
    // A plan of one at once spends one at once on credit too.
    expect((await send({ headers: poor, body: [call("a", {}, 1), call("b", {}, 2)] })).status).toBe(402);
    expect(wire.forwarded).toEqual([]);
    expect((await send({ headers: poor, body: [call("a", {}, 1)] })).status).toBe(200);
  });

  test("opens no door for a key that is disabled or unknown, for a loop, or for the handshake", async () => {
    const send = open();
    const { token, owner } = await aPass(send);
    const pass = { "Turnpike-Pass": token };
    expect((await send({ headers: { ...(await aKey("small", { disabled: true })), ...pass }, body: call("a") })).status).toBe(401);
    expect((await send({ headers: { "X-API-Key": "tp_unknown", ...anAddress(), ...pass }, body: call("a") })).status).toBe(401);
    const looping = { ...(await aKey("members")), ...pass };
    for (let i = 0; i < 10; i++) await send({ headers: looping, body: call("same") });
    const loop = await send({ headers: looping, body: call("same") });
    expect(loop.status).toBe(429);
    expect((await loop.json<Refused>()).error.data["cause"]).toBe("repeat");
    const status = await (await send({ method: "GET", path: "/gate/status", headers: owner })).json<{ credits: number }>();
    expect(status.credits).toBe(CALLS);
  });

  test("pays also where the caller's own credits are at their rate", async () => {
    const send = open();
    const { token } = await aPass(send);
    const own = await aKey("small");
    await verify(send, await solve(await challengeIn(await exhaust(send, own))), own);
    expect((await send({ headers: own, body: call("spend", { i: 1 }) })).status).toBe(200);
    const refused = await send({ headers: own, body: call("mine") });
    // More credits of its own would not help: their rate is the plan's, and it is empty.
    expect(refused.status).toBe(429);
    expect((await send({ headers: { ...own, "Turnpike-Pass": token }, body: call("mine") })).status).toBe(200);
  });

  test("that is made up does not get a flood past what the isolate remembers", async () => {
    const send = open();
    const poor = await aKey("firm");
    await exhaust(send, poor);
    wire.logged = [];
    for (let i = 0; i < 20; i++) await send({ headers: { ...poor, "Turnpike-Pass": `tpass_${i}.x.y` }, body: call("flood", { i }) });
    const asked = wire.logged.filter((line) => line.includes('"refused"') && !line.includes('"remembered"'));
    expect(asked.length).toBeLessThanOrEqual(2);
  });
});

function relabelled(token: string, header: object): string {
  const [, payload, signature] = token.split(".");
  const old = JSON.parse(atob(token.slice("tpass_".length).split(".")[0]!)) as object;
  return `tpass_${btoa(JSON.stringify({ ...old, ...header })).replaceAll("=", "")}.${payload}.${signature}`;
}
