/** Refusals with an offer, in every form: that it holds, that it stands alone, and what becomes of it without a good secret. */

import { describe, expect, test } from "vitest";
import type { PowChallenge } from "../../src/challenges/proof-of-work.ts";
import {
  aKey,
  call,
  challengeIn,
  exhaust,
  open,
  SECRET,
  solve,
  verify,
  watchWire,
  wire,
  type Refused,
  type Secrets,
  type Send,
} from "./prepaid-gate.ts";

watchWire();

describe("a refusal with an offer", () => {
  test("of a batch is one error for each of its requests, all with the one challenge that pays for it", async () => {
    const send = open();
    const headers = await aKey("dear");
    await send({ headers, body: [1, 2, 3, 4, 5, 6, 7].map((id) => call("spend", { id }, id)) });
    const refused = await send({ headers, body: [call("a", {}, "one"), call("b", {}, 2)] });
    expect(refused.status).toBe(402);
    const errors = await refused.clone().json<Refused[]>();
    expect(errors.map(({ id }) => id)).toEqual(["one", 2]);
    const ids = errors.map(({ error }) => (error.data["challenges"] as PowChallenge[]).map(({ id }) => id));
    expect(ids[0]).toHaveLength(1);
    expect(ids[1]).toEqual(ids[0]);
    const challenge = (errors[0]!.error.data["challenges"] as PowChallenge[])[0]!;
    expect((await verify(send, await solve(challenge), headers)).status).toBe(200);
    expect((await send({ headers, body: [call("a", {}, "one"), call("b", {}, 2)] })).status).toBe(200);
  });

  test("is not made for a call that costs more than it buys", async () => {
    const send = open();
    const headers = await aKey("dear");
    await send({ headers, body: call("dear") });
    const refused = await send({ headers, body: call("dear", { again: true }) });
    expect(refused.status).toBe(429);
    expect(await refused.text()).not.toContain("proof of work");
  });

  test("never comes with the handshake, which is 503", async () => {
    const send = open();
    const headers = { ...(await aKey("small")), Prefer: "wait=0" };
    await exhaust(send, headers);
    const list = { jsonrpc: "2.0", id: 1, method: "prompts/list" };
    const statuses: number[] = [];
    let last: Response | undefined;
    for (let i = 0; i < 4; i++) {
      last = await send({ headers, body: list });
      statuses.push(last.status);
    }
    expect(statuses).toEqual([200, 200, 503, 503]);
    expect(last!.headers.get("www-authenticate")).toBeNull();
    expect(await last!.text()).not.toContain("challenges");
    // Nor with a batch that has both, when the handshake is what is missing.
    const batch = await send({ headers, body: [list, { ...call("a"), id: 2 }] });
    expect(batch.status).toBe(429);
  });

  test("is problem details for who prefers them, with the same headers, and one line in the log", async () => {
    const send = open();
    const headers = { ...(await aKey("small")), Accept: "application/problem+json" };
    await send({ headers, body: call("first") });
    wire.logged = [];
    const refused = await send({ headers, body: call("second", { secret: "argument" }) });
    expect(refused.status).toBe(402);
    expect(refused.headers.get("content-type")).toBe("application/problem+json");
    expect(refused.headers.get("www-authenticate")).toMatch(/^PowChallenge realm="turnpike", id="[\w-]{48}"/);
    const problem = await refused.json<{ status: number; challenges: PowChallenge[] }>();
    expect(problem).toMatchObject({ status: 402, challenges: [{ verify: "https://gate.example/gate/verify" }] });
    expect(wire.logged).toHaveLength(1);
    expect(JSON.parse(wire.logged[0]!)).toMatchObject({ event: "refused", status: 402, cause: "rate", subject: "tools/call second" });
    expect(wire.logged[0]).not.toMatch(/argument|signature|salt/);
  });

  test("says in a tool result where its challenge stands", async () => {
    const send = open();
    const headers = await aKey("spoken");
    await send({ headers, body: call("first") });
    const { result } = await (await send({ headers, body: call("second") })).json<{ result: { content: { text: string }[] } }>();
    expect(result.content[0]!.text).toContain('under "challenges" in this result\'s _meta, "turnpike/refusal"');
    expect(result).toHaveProperty(["_meta", "turnpike/refusal", "challenges"]);
  });
});

describe("without a good secret", () => {
  test.each<[string, Secrets]>([
    ["missing", {}],
    ["too short", { CHALLENGE_SECRET: "short" }],
  ])("that is %s a refusal is 429, and the log says so once", async (_what, secrets) => {
    const send = open(secrets);
    const headers = await aKey("small");
    for (let i = 0; i < 3; i++) {
      const answer = await send({ headers, body: call("spend", { i }) });
      expect(answer.status).toBe(i === 0 ? 200 : 429);
      expect(await answer.text()).not.toContain("proof of work");
    }
    expect((await send({ path: "/gate/challenge", headers })).status).toBe(404);
    expect(wire.logged.filter((line) => line.includes("CHALLENGE_SECRET"))).toHaveLength(1);
    expect(wire.logged.join()).not.toContain('short"');
  });

  test("that is replaced, what the one before it signed stays good", async () => {
    const headers = await aKey("small");
    const before = open({ CHALLENGE_SECRET: SECRET });
    const solution = await solve(await challengeIn(await exhaust(before, headers)));
    const [next, after] = ["n".repeat(32), "a".repeat(32)];
    const rotating = open({ CHALLENGE_SECRET: next, CHALLENGE_SECRET_PREVIOUS: SECRET });
    const verified = await verify(rotating, solution, headers);
    expect(verified.status).toBe(200);
    const { token } = await verified.json<{ token: string }>();
    const check = async (send: Send) => (await send({ path: "/gate/token/verify", body: { token } })).json();
    expect(await check(rotating)).toMatchObject({ valid: true });
    expect(await check(open({ CHALLENGE_SECRET: after, CHALLENGE_SECRET_PREVIOUS: next }))).toMatchObject({ valid: true });
    expect(await check(open({ CHALLENGE_SECRET: after }))).toEqual({ valid: false, why: "unknown-key" });
  });
});

describe("the memo of refusals", () => {
  test("never hides a credit from whoever was told of it", async () => {
    const send = open();
    const headers = await aKey("dear");
    const solution = await solve(await challengeIn(await exhaust(send, headers)));
    // A flood keeps the memory of the refusal young.
    const over = new AbortController();
    const flood = (async () => {
      for (let i = 0; !over.signal.aborted && i < 200; i++) {
        await (await send({ headers, body: call("flood", { i }) })).arrayBuffer();
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    const verified = await verify(send, solution, headers);
    // The same call as the one that was refused: the first of the credit is kept for it.
    const paid = await send({ headers, body: call("spend", { i: 8 }) });
    over.abort();
    await flood;
    expect([verified.status, paid.status]).toEqual([200, 200]);
    expect(wire.logged.some((line) => line.includes('"remembered":true'))).toBe(true);
  });
});
