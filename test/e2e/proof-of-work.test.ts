/** 402 with a proof of work: refused, solved, verified, and the same call passes, each by hand over HTTP and against the real gate. */

import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PowChallenge, Solution } from "../../src/challenges/proof-of-work.ts";
import { makeKey } from "../support/admin.ts";
import { connectAgent } from "../support/agents.ts";
import type { RunningGate } from "../support/gate.ts";
import { type Answer, errorIn, postMessage, send, toolCall } from "../support/http.ts";
import type { Origin } from "../support/origin.ts";
import { startTwoEndpoints, type TwoEndpoints } from "../support/two-endpoints.ts";

const PROOF_CALLS = 5;
const offers = { pow: { difficulty: 4, maxDifficulty: 8, calls: PROOF_CALLS, seconds: 60 } };
const POLICY = {
  plans: {
    anonymous: { rate: { perMinute: 1, burst: 2 }, maxWaitSeconds: 0, offers },
    free: { rate: { perMinute: 1, burst: 20 }, maxWaitSeconds: 0, offers },
    small: { rate: { perMinute: 1, burst: 1 }, maxWaitSeconds: 0, offers },
    tight: { rate: { perMinute: 1, burst: 4 }, maxWaitSeconds: 0, offers, quotas: { day: { calls: 1, per: "day" } } },
    payable: {
      rate: { perMinute: 1, burst: 4 },
      maxWaitSeconds: 0,
      offers: { ...offers, quotas: true },
      quotas: { day: { calls: 1, per: "day" } },
    },
    spoken: { rate: { perMinute: 1, burst: 1 }, maxWaitSeconds: 0, offers, refuse: "result" },
    held: { rate: { perMinute: 60, burst: 1 }, offers },
    firm: { rate: { perMinute: 1, burst: 1 }, maxWaitSeconds: 0 },
  },
  ownTools: { prefix: "turnpike_" },
};

let endpoints: TwoEndpoints;
let gate: RunningGate;
let origin: Origin;
let toolsUrl: string;
beforeAll(async () => {
  endpoints = await startTwoEndpoints(POLICY);
  ({ gate, origin, toolsUrl } = endpoints);
});
afterAll(() => endpoints.stop());

interface Account {
  readonly key: string;
  call(name: string, args?: Readonly<Record<string, unknown>>, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  verify(solution: unknown): Promise<Answer>;
  status(): Promise<{
    readonly credits: number;
    readonly plan: string;
    readonly limits: readonly { readonly name: string; readonly remaining: number }[];
  }>;
}

async function anAccount(plan: string): Promise<Account> {
  const { key } = await makeKey(gate, plan);
  const own = { "X-API-Key": key };
  return {
    key,
    call: (name, args = {}, headers = {}) => postMessage(gate.url, toolCall(name, args), { ...own, ...headers }),
    verify: (solution) => post("/turnpike/verify", solution, own),
    status: async () => JSON.parse((await send(at("/turnpike/status"), { headers: own })).text) as never,
  };
}

const at = (path: string): string => new URL(path, gate.url).href;

function post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return send(at(path), { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: text });
}

/** An account whose rate is empty, and the refusal that says so. */
async function anEmptyAccount(plan = "small"): Promise<{ account: Account; refused: Answer; challenge: PowChallenge }> {
  const account = await anAccount(plan);
  for (let i = 0; (await account.call("spend", { i })).status === 200; i++);
  const refused = await account.call("refused", { because: "empty" });
  return { account, refused, challenge: challengeIn(refused) };
}

function challengeIn(answer: Answer): PowChallenge {
  return (errorIn(answer).error.data["challenges"] as PowChallenge[])[0]!;
}

function zeroBits(text: string): number {
  const bits = Array.from(createHash("sha256").update(text).digest(), (byte) => byte.toString(2).padStart(8, "0")).join("");
  return /^0*/.exec(bits)![0].length;
}

function solve({ id, salt, difficulty, signature }: PowChallenge): Solution {
  for (let nonce = 0; ; nonce++) if (zeroBits(salt + nonce) >= difficulty) return { id, salt, nonce: String(nonce), signature };
}

describe("a call whose rate is empty", () => {
  it("is answered 402 with a challenge in body and header, and once that is solved the same call passes with nothing added", async () => {
    const { account, refused, challenge } = await anEmptyAccount();
    expect(refused.status).toBe(402);
    expect(refused.headers["www-authenticate"]).toBe(
      `PowChallenge realm="turnpike", id="${challenge.id}", salt="${challenge.salt}", difficulty=4, signature="${challenge.signature}"`,
    );
    expect(refused.headers["retry-after"]).toBe("60");
    expect(errorIn(refused).error).toMatchObject({ code: 402, data: { status: 402, cause: "rate", limiter: "edge" } });
    expect(errorIn(refused).error.message).toMatch(/Or go on at once: solve the proof of work under "challenges"/);
    expect(challenge).toMatchObject({ type: "pow", algorithm: "SHA-256", verify: at("/turnpike/verify") });

    const verified = await account.verify(solve(challenge));
    expect(verified.status).toBe(200);
    expect(JSON.parse(verified.text)).toMatchObject({ calls: PROOF_CALLS, token: expect.stringMatching(/^tpass_/) });
    expect((await account.call("refused", { because: "empty" })).status).toBe(200);
    expect(await account.status()).toMatchObject({ plan: "small", credits: PROOF_CALLS - 1 });
  });

  it("passes exactly as often as the credit says, also when many come at once", async () => {
    const { account, challenge } = await anEmptyAccount("free");
    await account.verify(solve(challenge));
    const statuses = await Promise.all(Array.from({ length: 60 }, async (_, i) => (await account.call("many", { i })).status));
    // One is kept for the call that earned it.
    expect(statuses.filter((status) => status === 200)).toHaveLength(PROOF_CALLS - 1);
    expect((await account.call("refused", { because: "empty" })).status).toBe(200);
    expect((await account.call("refused", { because: "empty" })).status).toBe(402);
  });

  it("keeps the first call of a fresh credit for the call that earned it", async () => {
    const { account, challenge } = await anEmptyAccount("free");
    const earned = challengeIn(await account.call("mine", { mine: true }));
    expect(challenge.id).not.toBe(earned.id);
    await account.verify(solve(earned));
    const others = await Promise.all(Array.from({ length: 10 }, async (_, i) => (await account.call("theirs", { i })).status));
    expect(others.filter((status) => status === 200)).toHaveLength(PROOF_CALLS - 1);
    expect((await account.call("mine", { mine: true })).status).toBe(200);
  });

  it("is told 402 in a tool result where the plan wants that, with the same challenge", async () => {
    const account = await anAccount("spoken");
    await account.call("first");
    const answer = JSON.parse((await account.call("second")).text) as {
      result: { isError: boolean; ["_meta"]: Record<string, { challenges: unknown[] }> };
    };
    expect(answer.result.isError).toBe(true);
    expect(answer.result["_meta"]["turnpike/refusal"]!.challenges).toHaveLength(1);
  });

  it("uses a credit rather than being held, and is held when there is none", async () => {
    const account = await anAccount("held");
    await account.call("first");
    const challenge = challengeIn(await account.call("second", {}, { Prefer: "wait=0" }));
    await account.verify(solve(challenge));
    const before = (await account.status()).credits;
    await account.call("third");
    await account.call("fourth");
    expect((await account.status()).credits).toBeLessThan(before);
  });

  it("is given its credit back when the origin did not get it", async () => {
    const { account, challenge } = await anEmptyAccount();
    await account.verify(solve(challenge));
    const respond = origin.respond;
    origin.respond = (_seen, response) => void response.writeHead(503).end();
    expect((await account.call("lost")).status).toBe(503);
    origin.respond = respond;
    await expect.poll(async () => (await account.status()).credits).toBe(PROOF_CALLS);
  });
});

describe("no offer comes with", () => {
  it("a refusal for a loop, a quota, the origin or calls on a plan that offers none", async () => {
    const account = await anAccount("free");
    for (let i = 0; i < 10; i++) await account.call("same");
    for (let i = 0; (await account.call("spend", { i })).status === 200; i++);
    // What was just refused is refused again without being looked at.
    await new Promise((resolve) => setTimeout(resolve, 300));
    const loop = await account.call("same");
    expect(errorIn(loop).error.data).toMatchObject({ status: 429, cause: "repeat" });
    expect(errorIn(loop).error.data).not.toHaveProperty("challenges");
    const tight = await anAccount("tight");
    await tight.call("a");
    expect((await tight.call("b")).status).toBe(429);
    const firm = await anAccount("firm");
    await firm.call("a");
    expect((await firm.call("b")).status).toBe(429);
    expect((await post("/turnpike/challenge", {}, { "X-API-Key": firm.key })).status).toBe(404);
  });

  it("but a quota can be paid for where the policy says so", async () => {
    const account = await anAccount("payable");
    await account.call("a");
    const refused = await account.call("b");
    expect(refused.status).toBe(402);
    await account.verify(solve(challengeIn(refused)));
    expect((await account.call("b")).status).toBe(200);
  });
});

describe("a bad solution changes nothing, and each kind is told apart", () => {
  it.each<[string, number, (good: Solution, challenge: PowChallenge) => unknown]>([
    ["malformed-body", 400, () => "not json"],
    ["malformed-body", 400, () => []],
    ["malformed-solution", 400, ({ id, salt }) => ({ id, salt })],
    ["malformed-solution", 400, (good) => ({ ...good, nonce: 7 })],
    ["body-too-large", 413, (good) => ({ ...good, more: "x".repeat(40_000) })],
    ["altered-challenge", 400, (good) => ({ ...good, salt: `${good.salt.slice(0, -1)}${good.salt.endsWith("A") ? "Q" : "A"}` })],
    ["wrong-nonce", 400, (good, challenge) => ({ ...good, nonce: unsolving(challenge) })],
  ])("%s", async (kind, status, change) => {
    const { account, challenge } = await anEmptyAccount();
    const good = solve(challenge);
    const answer = await account.verify(change(good, challenge));
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text)).toMatchObject({ type: `urn:turnpike:problem:${kind}`, status });
    expect((await account.status()).credits).toBe(0);
    expect((await account.verify(good)).status).toBe(200);
  });

  it("of another consumer is foreign, and stays good for its own", async () => {
    const [one, other] = [await anEmptyAccount(), await anEmptyAccount()];
    const solution = solve(one.challenge);
    const answer = await other.account.verify(solution);
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.text)).toMatchObject({ type: "urn:turnpike:problem:foreign-challenge" });
    expect((await one.account.verify(solution)).status).toBe(200);
  });

  it("a thousand at once of one solution are one credit", async () => {
    const { account, challenge } = await anEmptyAccount("free");
    const solution = solve(challenge);
    const statuses: number[] = [];
    for (let round = 0; round < 10; round++) {
      const answers = await Promise.all(Array.from({ length: 100 }, () => account.verify(solution)));
      statuses.push(...answers.map(({ status }) => status));
    }
    const won = statuses.filter((status) => status === 200).length;
    const calls = await Promise.all(Array.from({ length: 30 }, async (_, i) => (await account.call("paid", { i })).status));
    const passed = calls.filter((status) => status === 200).length;
    console.log(`of ${statuses.length} concurrent replays of one solution ${won} was redeemed`);
    expect(won).toBe(1);
    // One is kept for the call that earned it.
    expect(passed).toBe(PROOF_CALLS - 1);
  });

  it("gets harder with each solve, and a cheap one cannot be kept for later", async () => {
    const { account, challenge } = await anEmptyAccount();
    const hoard = await Promise.all(Array.from({ length: 8 }, async () => challengeIn(await account.call("hoard"))));
    expect(challenge.difficulty).toBe(4);
    const statuses: number[] = [];
    for (const one of hoard) statuses.push((await account.verify(solve(one))).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 410, 410, 410]);
    const fresh = JSON.parse((await post("/turnpike/challenge", {}, { "X-API-Key": account.key })).text) as PowChallenge;
    expect(fresh.difficulty).toBe(8);
  });
});

function unsolving({ salt, difficulty }: PowChallenge): string {
  for (let nonce = 0; ; nonce++) if (zeroBits(salt + nonce) < difficulty) return String(nonce);
}

describe("a pass", () => {
  it.each<[string, (token: string) => { headers?: Record<string, string>; meta?: string }]>([
    ["in its own header", (token) => ({ headers: { "Turnpike-Pass": token } })],
    ["as a bearer", (token) => ({ headers: { Authorization: `Bearer ${token}` } })],
    ["in a message's _meta", (token) => ({ meta: token })],
  ])(
    "%s pays for somebody else's call once their own limits have refused, identifies nobody, and never reaches the origin as a header",
    async (_where, show) => {
      const { account, challenge } = await anEmptyAccount();
      const { token } = JSON.parse((await account.verify(solve(challenge))).text) as { token: string };
      const poor = await anAccount("firm");
      await poor.call("first");
      expect((await poor.call("second")).status).toBe(429);
      const { headers = {}, meta } = show(token);
      const message = toolCall("second");
      const paid = { ...message, params: { ...message.params, ...(meta ? { _meta: { "turnpike/pass": meta } } : {}) } };
      const [seen, answer] = await Promise.all([origin.next(), postMessage(gate.url, paid, { "X-API-Key": poor.key, ...headers })]);
      expect(answer.status).toBe(200);
      expect(seen.headers["turnpike-plan"]).toBe("firm");
      expect(JSON.stringify(seen.headers)).not.toContain(token);
      expect((await account.status()).credits).toBe(PROOF_CALLS - 1);
    },
  );

  it("that is bad, or spent, changes nothing", async () => {
    const { account, challenge } = await anEmptyAccount("free");
    const { token } = JSON.parse((await account.verify(solve(challenge))).text) as { token: string };
    const poor = await anAccount("firm");
    await poor.call("first");
    for (const pass of ["tpass_x.y.z", `${token}x`, "nonsense"])
      expect((await poor.call("second", {}, { "Turnpike-Pass": pass })).status).toBe(429);
    for (let i = 0; i < PROOF_CALLS - 1; i++) expect((await poor.call("paid", { i }, { "Turnpike-Pass": token })).status).toBe(200);
    expect((await poor.call("unpaid", {}, { "Turnpike-Pass": token })).status).toBe(429);
  });

  it("is checked, and spent, by a backend", async () => {
    const { account, challenge } = await anEmptyAccount();
    const { token } = JSON.parse((await account.verify(solve(challenge))).text) as { token: string };
    const check = async (body: object) => JSON.parse((await post("/turnpike/token/verify", body)).text) as Record<string, unknown>;
    expect(await check({ token })).toMatchObject({
      valid: true,
      plan: "small",
      calls: PROOF_CALLS,
      consumer: expect.stringMatching(/^key:/),
    });
    expect(await check({ token, spend: 2 })).toMatchObject({ valid: true, calls: PROOF_CALLS - 2 });
    expect(await check({ token, spend: PROOF_CALLS })).toMatchObject({ valid: false, why: "spent", calls: PROOF_CALLS - 2 });
    expect(await check({ token: `${token}x` })).toMatchObject({ valid: false });
    expect((await post("/turnpike/token/verify", { spend: 1 })).status).toBe(400);
  });
});

describe("the gate's own endpoints", () => {
  it("tell everybody the limits, costs and offers before they call", async () => {
    const answer = await send(at("/turnpike/limits"));
    expect(answer.status).toBe(200);
    const { plans } = JSON.parse(answer.text) as { plans: Record<string, { limits: object[]; offers: object[] }> };
    expect(plans["free"]!.limits[0]).toMatchObject({ name: "free", kind: "rate", quota: 20, refillPerMinute: 1 });
    expect(plans["free"]!.offers).toEqual([{ type: "pow", difficulty: 4, maxDifficulty: 8, calls: PROOF_CALLS, forSeconds: 60 }]);
    expect(plans["firm"]!.offers).toEqual([]);
  });

  it("take no other method, and no unknown key", async () => {
    expect((await send(at("/turnpike/verify"))).status).toBe(405);
    expect((await send(at("/turnpike/status"), { headers: { "X-API-Key": "tp_wrong" } })).status).toBe(401);
  });
});

describe("an agent with tools alone", () => {
  it("gets past a refusal by challenge, verify and the same call again", async () => {
    const { key } = await makeKey(gate, "small");
    const agent = await connectAgent("client-2-legacy", toolsUrl, { key });
    expect(await agent.listTools()).toEqual(
      expect.arrayContaining(["count_words", "turnpike_challenge", "turnpike_verify", "turnpike_status"]),
    );
    await agent.call("count_words", { text: "one" });
    await expect(agent.call("count_words", { text: "two" })).rejects.toThrow(/solve the proof of work/);
    const tools = await connectAgent("sdk-1", new URL("/turnpike/mcp", toolsUrl).href, { key });
    const challenge = JSON.parse((await tools.call("challenge")).text.split("\n").at(-1)!) as PowChallenge;
    expect((await agent.call("turnpike_verify", { ...solve(challenge) })).isError).toBe(false);
    expect((await agent.call("count_words", { text: "two" })).isError).toBe(false);
    expect((await tools.call("status")).text).toContain(`${PROOF_CALLS - 1} prepaid calls`);
    expect((await tools.call("verify", { ...solve(challenge) })).text).toContain("handed in before");
    await Promise.all([agent.close(), tools.close()]);
  });
});
