import { describe, expect, it } from "vitest";
import { createTurnpikeFetch, type PowChallenge, type Progress, type SolvePow, TurnpikeError } from "../../src/client/index.ts";
import { answer, refusal, scripted, toolCall, URL_OF_GATE } from "./scripted-gate.ts";

const solved = (challenge: PowChallenge): Awaited<ReturnType<SolvePow>> => ({
  ok: true,
  solution: { id: challenge.id, salt: challenge.salt, nonce: "n", signature: challenge.signature },
  tries: 1,
  elapsedMs: 1,
});
const instantly: SolvePow = (challenge) => Promise.resolve(solved(challenge));
const tooLate: SolvePow = () => Promise.resolve({ ok: false, why: "expired" });
/** Slower than is assumed of a machine, which is known after the first: four seconds, beside a wait of one. */
const slowly: SolvePow = (challenge) => Promise.resolve({ ...solved(challenge), tries: 2 ** 18, elapsedMs: 4_000 });
const hardWork = (): Response => refusal({ difficulty: 18, retryAfterMs: 1_000 });
/** What waits or works would take longer than any test. */
const LONG_MS = 30_000;

const longWait = (): Response => refusal({ difficulty: 8, retryAfterMs: LONG_MS });
const shortWait = (): Response => refusal({ difficulty: 8, retryAfterMs: 10 });

async function rejection(promise: Promise<unknown>): Promise<TurnpikeError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  return error as TurnpikeError;
}

describe("a call that is told to wait", () => {
  it("is sent again as it was, once the time is over and never sooner", async () => {
    const gate = scripted([() => refusal({ retryAfterMs: 120 }), answer]);
    const call = toolCall();
    const response = await createTurnpikeFetch({ fetch: gate.fetch })(URL_OF_GATE, call);
    expect(response.status).toBe(200);
    const [first, second] = gate.sent;
    expect(gate.sent).toHaveLength(2);
    expect(second!.at - first!.at).toBeGreaterThanOrEqual(120);
    expect(second!.body).toBe(call.body);
    expect([...second!.headers]).toEqual([...first!.headers]);
  });

  it("takes the exact time rather than the whole seconds of Retry-After", async () => {
    const gate = scripted([() => refusal({ retryAfterMs: 100 }), answer]);
    await createTurnpikeFetch({ fetch: gate.fetch })(URL_OF_GATE, toolCall());
    expect(gate.sent[1]!.at - gate.sent[0]!.at).toBeLessThan(900);
  });

  it("does so for any server's 429 with Retry-After, and for a gate's 503", async () => {
    for (const first of [
      () => new Response("slow down", { status: 429, headers: { "Retry-After": "0" } }),
      () => refusal({ status: 503 }),
    ]) {
      const gate = scripted([first, answer]);
      expect((await createTurnpikeFetch({ fetch: gate.fetch })(URL_OF_GATE, toolCall())).status).toBe(200);
    }
  });

  it("waits no longer than it may, in all, and says so", async () => {
    const gate = scripted([() => refusal({ retryAfterMs: 80 }), () => refusal({ retryAfterMs: 80 }), answer]);
    const error = await rejection(createTurnpikeFetch({ fetch: gate.fetch, maxWait: 100 })(URL_OF_GATE, toolCall()));
    expect(gate.sent).toHaveLength(2);
    expect(error).toBeInstanceOf(TurnpikeError);
    expect(error.message).toBe(
      "The gate's own words. It was not sent again, after 1 s of waiting: the wait of 1 s is longer than the 1 s that were left for it.",
    );
  });

  it("ends at once when its signal aborts, and with the signal's reason", async () => {
    for (const which of ["call", "client"] as const) {
      const aborter = new AbortController();
      const gate = scripted([() => refusal({ retryAfterMs: LONG_MS })]);
      const client = createTurnpikeFetch({ fetch: gate.fetch, ...(which === "client" ? { signal: aborter.signal } : {}) });
      const calling = client(URL_OF_GATE, { ...toolCall(), ...(which === "call" ? { signal: aborter.signal } : {}) });
      setTimeout(() => aborter.abort(new Error("enough")), 20);
      await expect(calling).rejects.toThrow("enough");
      expect(gate.sent).toHaveLength(1);
    }
  });

  it("ends when its client cancels it by a notification, in its session only", async () => {
    const gate = scripted([() => refusal({ retryAfterMs: LONG_MS }), () => new Response(null, { status: 202 })]);
    const client = createTurnpikeFetch({ fetch: gate.fetch });
    const calling = client(URL_OF_GATE, toolCall(7, { "Mcp-Session-Id": "mine" }));
    calling.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 20));
    const cancel = (requestId: number | string, session: string) =>
      client(URL_OF_GATE, {
        method: "POST",
        headers: { "Mcp-Session-Id": session },
        body: JSON.stringify({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId } }),
      });
    await cancel(7, "another");
    await cancel("7", "mine");
    await cancel(8, "mine");
    expect(await Promise.race([calling, new Promise((resolve) => setTimeout(resolve, 50, "waiting"))])).toBe("waiting");
    await cancel(7, "mine");
    expect((await rejection(calling)).name).toBe("AbortError");
  });
});

describe("a call that is offered a proof of work", () => {
  it("is sent again with the pass once the solution is taken, which is posted as its caller and with nothing of the call", async () => {
    const gate = scripted([() => refusal({ difficulty: 8, retryAfterMs: LONG_MS }), answer]);
    const call = toolCall(7, { "Mcp-Session-Id": "s", "Mcp-Method": "tools/call", Authorization: "Bearer other" });
    expect((await createTurnpikeFetch({ fetch: gate.fetch })(URL_OF_GATE, call)).status).toBe(200);
    const [posted] = gate.verified;
    expect(posted).toMatchObject({ url: "https://gate.example/turnpike/verify", method: "POST" });
    expect(Object.keys(JSON.parse(String(posted!.body)) as object).toSorted()).toEqual(["id", "nonce", "salt", "signature"]);
    expect(Object.fromEntries(posted!.headers)).toEqual({
      accept: "application/json",
      authorization: "Bearer other",
      "content-type": "application/json",
      "x-api-key": "tp_key",
    });
    expect(gate.sent[1]!.body).toBe(call.body);
    expect(gate.sent[1]!.headers.get("turnpike-pass")).toBe("tpass_x");
  });

  it("waits instead where that is quicker", async () => {
    const gate = scripted([() => refusal({ difficulty: 8, retryAfterMs: 50 }), answer]);
    expect((await createTurnpikeFetch({ fetch: gate.fetch })(URL_OF_GATE, toolCall())).status).toBe(200);
    expect(gate.verified).toHaveLength(0);
  });

  it.each([
    ["works once more, for all the calls that a proof buys, when those of the last one were used up", 10, 2],
    ["waits where that is quicker for each call", 1, 1],
  ])("%s", async (_name, calls, proofs) => {
    const gate = scripted([hardWork, answer, hardWork, answer], () => Response.json({ token: "tpass_x", calls }));
    const client = createTurnpikeFetch({ fetch: gate.fetch, solve: slowly });
    await client(URL_OF_GATE, toolCall());
    // Refused later than the proof was paid for.
    await new Promise((resolve) => setTimeout(resolve, 5));
    await client(URL_OF_GATE, toolCall());
    expect(gate.verified).toHaveLength(proofs);
  });

  it("waits where the proof fails, or the gate does not take it", async () => {
    for (const { solve, verify } of [
      { solve: tooLate, verify: undefined },
      { solve: instantly, verify: () => new Response("{}", { status: 400 }) },
      { solve: instantly, verify: () => Promise.reject(new TypeError("connection lost")) },
      { solve: instantly, verify: () => new Response(null, { status: 302, headers: { Location: "https://evil.example/" } }) },
    ]) {
      const gate = scripted([() => refusal({ difficulty: 8, retryAfterMs: 800 }), answer], verify);
      expect((await createTurnpikeFetch({ fetch: gate.fetch, solve })(URL_OF_GATE, toolCall())).status).toBe(200);
      expect(gate.sent[1]!.at - gate.sent[0]!.at).toBeGreaterThanOrEqual(800);
      expect(gate.sent[1]!.headers.has("turnpike-pass")).toBe(false);
    }
  });

  it("posts no key to another site, and begins nothing that is too hard", async () => {
    for (const [offer, why] of [
      [{ difficulty: 8, verify: "https://evil.example/turnpike/verify" }, "its proof of work is to be sent to another site"],
      [{ difficulty: 23 }, "its proof of work of 23 bits is harder than the 22 that this client takes on"],
    ] as const) {
      const gate = scripted([() => refusal({ ...offer, retryAfterMs: LONG_MS }), answer]);
      const error = await rejection(createTurnpikeFetch({ fetch: gate.fetch, maxWait: 1_000 })(URL_OF_GATE, toolCall()));
      expect(error.message).toContain(why);
      expect(error.message).toContain("the wait of 30 s is longer than the 1 s");
      expect(gate.verified).toHaveLength(0);
      expect(gate.sent).toHaveLength(1);
    }
  });

  it("is not solved by a client that solves nothing", async () => {
    const gate = scripted([() => refusal({ difficulty: 1, retryAfterMs: 30 }), answer]);
    await createTurnpikeFetch({ fetch: gate.fetch, solve: false })(URL_OF_GATE, toolCall());
    expect(gate.verified).toHaveLength(0);
  });

  it("ends at once when it is aborted while it works", async () => {
    const gate = scripted([() => refusal({ difficulty: 32, retryAfterMs: 2 ** 40 })]);
    const aborter = new AbortController();
    const client = createTurnpikeFetch({ fetch: gate.fetch, maxDifficulty: 32, maxWait: 0 });
    const calling = client(URL_OF_GATE, { ...toolCall(), signal: aborter.signal });
    setTimeout(() => aborter.abort(new Error("enough")), 50);
    await expect(calling).rejects.toThrow("enough");
    expect(gate.verified).toHaveLength(0);
  });

  it("tells what it does, of which call", async () => {
    const gate = scripted([() => refusal({ difficulty: 8, retryAfterMs: LONG_MS }), answer]);
    const told: Progress[] = [];
    const bodies = new Set<string | null>();
    const call = toolCall();
    const onProgress = (progress: Progress, { body }: { body: string | null }): void => {
      told.push(progress);
      bodies.add(body);
    };
    await createTurnpikeFetch({ fetch: gate.fetch, onProgress })(URL_OF_GATE, call);
    expect(told.map(({ kind }) => kind)).toEqual(["solving", "solved", "resending"]);
    expect([...bodies]).toEqual([call.body]);
  });
});

describe("calls that are refused together", () => {
  it("share what one proof has earned, and solve again only when it is used up", async () => {
    let credits = 0;
    const gate = scripted(
      [(sent) => (sent.headers.has("turnpike-pass") && credits-- > 0 ? answer() : refusal({ difficulty: 8, retryAfterMs: LONG_MS }))],
      () => {
        credits += 4;
        return Response.json({ token: "tpass_x", calls: 4 });
      },
    );
    const client = createTurnpikeFetch({ fetch: gate.fetch, solve: instantly });
    const responses = await Promise.all(Array.from({ length: 8 }, (_, id) => client(URL_OF_GATE, toolCall(id))));
    expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
    expect(gate.verified).toHaveLength(2);
  });

  it("share nothing across keys", async () => {
    const gate = scripted([(sent) => (sent.headers.has("turnpike-pass") ? answer() : refusal({ difficulty: 8, retryAfterMs: LONG_MS }))]);
    const client = createTurnpikeFetch({ fetch: gate.fetch, solve: instantly });
    await Promise.all(["a", "b", "c"].map((key) => client(URL_OF_GATE, toolCall(1, { "X-API-Key": key }))));
    expect(new Set(gate.verified.map(({ headers }) => headers.get("x-api-key")))).toEqual(new Set(["a", "b", "c"]));
  });

  it("go on when the one that works is aborted", async () => {
    const gate = scripted([(sent) => (sent.headers.has("turnpike-pass") ? answer() : refusal({ difficulty: 8, retryAfterMs: LONG_MS }))]);
    const aborter = new AbortController();
    let asked = 0;
    const solve: SolvePow = async (challenge, { signal } = {}) => {
      if (asked++ > 0) return solved(challenge);
      await new Promise((resolve) => signal!.addEventListener("abort", resolve));
      return { ok: false, why: "aborted" };
    };
    const client = createTurnpikeFetch({ fetch: gate.fetch, solve });
    const first = client(URL_OF_GATE, { ...toolCall(1), signal: aborter.signal });
    const second = client(URL_OF_GATE, toolCall(2));
    setTimeout(() => aborter.abort(new Error("enough")), 30);
    await expect(first).rejects.toThrow("enough");
    expect((await second).status).toBe(200);
  });
});

describe("what is never sent again", () => {
  it("is a call that may have run", async () => {
    for (const status of [500, 502, 504]) {
      const gate = scripted([() => new Response("?", { status, headers: { "Retry-After": "0" } }), answer]);
      expect((await createTurnpikeFetch({ fetch: gate.fetch })(URL_OF_GATE, toolCall())).status).toBe(status);
    }
    const foreign = scripted([() => new Response("?", { status: 503, headers: { "Retry-After": "0" } }), answer]);
    expect((await createTurnpikeFetch({ fetch: foreign.fetch })(URL_OF_GATE, toolCall())).status).toBe(503);
    const broken = scripted([() => Promise.reject(new TypeError("connection lost")), answer]);
    await expect(createTurnpikeFetch({ fetch: broken.fetch })(URL_OF_GATE, toolCall())).rejects.toThrow("connection lost");
    for (const { sent } of [foreign, broken]) expect(sent).toHaveLength(1);
  });

  it("is a loop: the gate's words say that the same call will not help", async () => {
    const gate = scripted([() => refusal({ cause: "repeat", retryAfterMs: 5 }), answer]);
    const error = await rejection(createTurnpikeFetch({ fetch: gate.fetch })(URL_OF_GATE, toolCall()));
    expect(error).toMatchObject({
      name: "TurnpikeError",
      code: 429,
      message: "The gate's own words. It was not sent again.",
      data: { cause: "repeat" },
    });
    expect(gate.sent).toHaveLength(1);
  });

  it("is a body that flows once", async () => {
    for (const init of [{ body: new Blob([toolCall().body]).stream(), duplex: "half" }, undefined] as const) {
      const gate = scripted([() => refusal(), answer]);
      const input = init ? URL_OF_GATE : new Request(URL_OF_GATE, toolCall());
      const response = await createTurnpikeFetch({ fetch: gate.fetch })(input, init && { method: "POST", ...init });
      expect(response.status).toBe(429);
      expect(gate.sent).toHaveLength(1);
    }
  });

  it("is a call that was refused three times", async () => {
    const gate = scripted([() => refusal({ retryAfterMs: 1 })]);
    const error = await rejection(createTurnpikeFetch({ fetch: gate.fetch })(URL_OF_GATE, toolCall()));
    expect(error.message).toBe("The gate's own words. It was refused 3 times in a row, after 1 s of waiting.");
    expect(gate.sent).toHaveLength(3);
  });

  it("is a call to a server that names no time", async () => {
    const gate = scripted([() => new Response("slow down", { status: 429 }), answer]);
    const response = await createTurnpikeFetch({ fetch: gate.fetch })(URL_OF_GATE, toolCall());
    expect(await response.text()).toBe("slow down");
    expect(gate.sent).toHaveLength(1);
  });
});

describe("giving up", () => {
  it("responds with the last refusal as it came, where that is asked for", async () => {
    const gate = scripted([() => refusal({ retryAfterMs: LONG_MS })]);
    const response = await createTurnpikeFetch({ fetch: gate.fetch, maxWait: 0, giveUp: "respond" })(URL_OF_GATE, toolCall());
    expect(response.status).toBe(429);
    expect(await response.json()).toMatchObject({ id: 7, error: { code: 429, message: "The gate's own words." } });
  });

  it("responds with a refusal that is a tool's answer, for the model to read", async () => {
    const data = { status: 429, detail: "Wait.", cause: "quota", limiter: "edge", retryAfterMs: LONG_MS };
    const result = {
      resultType: "complete",
      isError: true,
      content: [{ type: "text", text: "Wait." }],
      _meta: { "turnpike/refusal": data },
    };
    const gate = scripted([() => Response.json({ jsonrpc: "2.0", id: 7, result }, { headers: { "Retry-After": "30" } })]);
    const response = await createTurnpikeFetch({ fetch: gate.fetch, maxWait: 0 })(URL_OF_GATE, toolCall());
    expect(await response.json()).toMatchObject({ result: { content: [{ text: "Wait." }] } });
  });
});

describe("Prefer: wait=0", () => {
  it("is asked for once it is known that work is quicker than waiting, and no longer than that", async () => {
    const gate = scripted([longWait, answer, answer, shortWait, answer, answer]);
    const client = createTurnpikeFetch({ fetch: gate.fetch, solve: instantly });
    for (let id = 0; id < 4; id++) await client(URL_OF_GATE, toolCall(id));
    // Refused, paid with work, unheld; refused with a short wait; from then on held again.
    expect(gate.sent.map(({ headers }) => headers.get("prefer"))).toEqual([null, null, "wait=0", "wait=0", "wait=0", null]);
  });

  it("is never put over a preference of the caller's, nor asked for by who solves nothing, nor elsewhere", async () => {
    const gate = scripted([longWait, answer]);
    const client = createTurnpikeFetch({ fetch: gate.fetch, solve: instantly });
    await client(URL_OF_GATE, toolCall());
    await client(URL_OF_GATE, toolCall(8, { Prefer: "wait=3" }));
    await client("https://gate.example/other", toolCall(9));
    await client(URL_OF_GATE);
    expect(gate.sent.slice(2).map(({ headers }) => headers.get("prefer"))).toEqual(["wait=3", null, null]);

    const idle = scripted([() => refusal({ difficulty: 8, retryAfterMs: 40 }), answer]);
    const waits = createTurnpikeFetch({ fetch: idle.fetch, solve: false });
    await waits(URL_OF_GATE, toolCall());
    await waits(URL_OF_GATE, toolCall());
    expect(idle.sent.map(({ headers }) => headers.get("prefer"))).toEqual([null, null, null]);
  });
});

describe("everything else", () => {
  it("passes as it was given, and its answer as it came", async () => {
    const streamed = new Response(new ReadableStream(), { headers: { "Content-Type": "text/event-stream" } });
    const gate = scripted([() => streamed]);
    const response = await createTurnpikeFetch({ fetch: gate.fetch })(URL_OF_GATE, toolCall());
    expect(response).toBe(streamed);
    expect(response.bodyUsed).toBe(false);
  });
});
