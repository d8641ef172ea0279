import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NOBODY, refusalAnswer } from "../../src/refusals/answer.ts";
import { badMessageAnswer, impossibleAnswer, originUnreachableAnswer, strangerAnswer } from "../../src/refusals/gate-errors.ts";
import { pendingAnswer } from "../../src/selling/pending-answer.ts";
import { aRefusal, askedWith, DAILY, HANDSHAKE, L402, NOW, POW, RATE, REQUEST_ID, toolCall, LOOP_AND_ORIGIN } from "./a-refusal.ts";

interface Told {
  readonly jsonrpc: string;
  readonly id?: string | number;
  readonly error: { readonly code: number; readonly message: string; readonly data: Record<string, unknown> };
}

async function read<T = Told>(response: Response): Promise<T> {
  return (await response.json()) as T;
}

function typeFor(accept: string): string | null {
  return refusalAnswer(aRefusal(), askedWith([toolCall(1)], { accept }), false, NOW).headers.get("Content-Type");
}

describe("a refusal", () => {
  test("of one request is a JSON-RPC error with its own id, and the problem in data", async () => {
    const response = refusalAnswer(aRefusal(), askedWith([toolCall(7)]), false, NOW);
    expect(response.status).toBe(429);
    expect(Object.fromEntries(response.headers)).toEqual({
      "cache-control": "no-store",
      "content-type": "application/json",
      ratelimit: '"free";r=0;t=12',
      "ratelimit-policy": '"free";q=30;w=60',
      "retry-after": "12",
    });
    const { jsonrpc, id, error } = await read(response);
    expect([jsonrpc, id, error.code]).toEqual(["2.0", 7, 429]);
    expect(error.data).toEqual({
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      title: "Rate limit reached",
      status: 429,
      detail: error.message,
      instance: `urn:uuid:${REQUEST_ID}`,
      "violated-policies": ["free"],
      cause: "rate",
      limiter: "edge",
      plan: "free",
      retryAfterMs: 11_200,
    });
  });

  test("with ways on is 402, has each in one header and in its data, and says whether paying is away", async () => {
    const offered = refusalAnswer(aRefusal({ challenges: [L402, POW] }), askedWith([toolCall(7)]), false, NOW);
    expect([offered.status, offered.headers.get("www-authenticate")]).toEqual([402, expect.stringMatching(/^L402 .*, PowChallenge /)]);
    const { data } = (await read(offered)).error;
    expect(data["challenges"]).toEqual([L402, POW]);
    expect(data).not.toHaveProperty("payment");
    const away = refusalAnswer(aRefusal({ challenges: [], isPaymentAway: true }), askedWith([toolCall(7)]), false, NOW);
    expect([away.status, away.headers.get("www-authenticate")]).toEqual([429, null]);
    const { data: alone } = (await read(away)).error;
    expect(alone["payment"]).toBe("unavailable");
    expect(alone).not.toHaveProperty("challenges");
  });

  test("whose payment is good and cannot be taken yet is 503, and says not to pay again", async () => {
    for (const why of ["unavailable", "unsettled"] as const) {
      const response = pendingAnswer(why, askedWith([toolCall(7)]));
      expect([response.status, response.headers.get("retry-after")]).toEqual([503, "5"]);
      expect((await read(response)).error.message).toMatch(/payment.*Nothing is lost.*do not pay again/);
    }
  });

  test.each([0, "", "seven", -1])("carries the id %j as it came", async (id) => {
    expect((await read(refusalAnswer(aRefusal(), askedWith([toolCall(id)]), false, NOW))).id).toBe(id);
  });

  test("of a batch is one error for each request in it, and for nothing else", async () => {
    const messages = [toolCall(1), { kind: "notification", method: "x", params: {} }, { kind: "response" }, toolCall("b")] as const;
    const errors = await read<Told[]>(refusalAnswer(aRefusal(), askedWith(messages, { isBatch: true }), false, NOW));
    expect(errors.map((error) => error.id)).toEqual([1, "b"]);
    expect(errors.every((error) => error.error.code === 429)).toBe(true);
  });

  test("of a batch of one is a list of one", async () => {
    const errors = await read<Told[]>(refusalAnswer(aRefusal(), askedWith([toolCall(1)], { isBatch: true }), false, NOW));
    expect(errors).toHaveLength(1);
  });

  test("of a notification is one error without an id", async () => {
    const refusal = aRefusal({ cause: "capacity", lane: "unmetered", violated: [], meters: [] });
    const error = await read(refusalAnswer(refusal, askedWith([{ kind: "notification", method: "x", params: {} }]), false, NOW));
    expect(error.error.code).toBe(503);
    expect("id" in error).toBe(false);
  });

  test("of something that is no JSON-RPC is application/problem+json", async () => {
    const response = refusalAnswer(aRefusal(), NOBODY, false, NOW);
    expect(response.headers.get("Content-Type")).toBe("application/problem+json");
    expect(await read<Record<string, unknown>>(response)).toMatchObject({ status: 429, cause: "rate", retryAfterMs: 11_200 });
  });

  test("is application/problem+json to whoever prefers it, and not to whoever takes JSON as well", () => {
    expect(typeFor("application/problem+json")).toBe("application/problem+json");
    expect(typeFor("application/problem+json, application/json")).toBe("application/json");
    expect(typeFor("*/*")).toBe("application/json");
  });

  test("of the handshake is 503, in whole seconds, without an instance", async () => {
    const refusal = aRefusal({ lane: "handshake", violated: [HANDSHAKE] });
    const response = refusalAnswer(refusal, askedWith([{ kind: "request", id: 0, method: "initialize", params: {} }]), false, NOW);
    expect(response.status).toBe(503);
    expect(response.headers.get("Retry-After")).toBe("12");
    const { error } = await read(response);
    expect(error.data).toMatchObject({ type: expect.stringContaining("#temporary-reduced-capacity") as string, retryAfterSeconds: 12 });
    expect(Object.keys(error.data)).not.toContain("instance");
    expect(Object.keys(error.data)).not.toContain("retryAfterMs");
  });

  test.each([
    ["rate", 429, "quota-exceeded"],
    ["quota", 429, "quota-exceeded"],
    ["repeat", 429, "abnormal-usage-detected"],
    ["concurrency", 429, "quota-exceeded"],
    ["origin", 429, "quota-exceeded"],
    ["capacity", 503, "temporary-reduced-capacity"],
  ] as const)("for %s is %i, of type %s", async (cause, status, type) => {
    const refusal = aRefusal({ cause, violated: cause === "quota" ? [DAILY] : [], ...LOOP_AND_ORIGIN });
    const response = refusalAnswer(refusal, askedWith([toolCall(1)]), false, NOW);
    expect(response.status).toBe(status);
    expect((await read(response)).error.data).toMatchObject({
      type: `https://iana.org/assignments/http-problem-types#${type}`,
      cause,
      status,
    });
  });

  test("says when its time is an estimate", async () => {
    const { error } = await read(refusalAnswer(aRefusal({ isEstimated: true }), askedWith([toolCall(1)]), false, NOW));
    expect(error.data["estimated"]).toBe(true);
  });

  test("rounds Retry-After up, never down", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 90 * 86_400_000 }), (retryAfterMs) => {
        const response = refusalAnswer(aRefusal({ retryAfterMs }), askedWith([toolCall(1)]), false, NOW);
        const seconds = Number(response.headers.get("Retry-After"));
        expect(seconds * 1_000).toBeGreaterThanOrEqual(retryAfterMs);
        expect(seconds * 1_000).toBeLessThan(retryAfterMs + 1_000);
      }),
      { numRuns: 100 },
    );
  });
});

describe("a refusal as a result", () => {
  interface Result {
    readonly id: number;
    readonly result: Record<string, Record<string, unknown>>;
  }

  test("is what a tool says: status 200, isError, the text, the problem in _meta, and no structuredContent", async () => {
    const response = refusalAnswer(aRefusal(), askedWith([toolCall(7)]), true, NOW);
    expect(response.status).toBe(200);
    expect(response.headers.get("Retry-After")).toBe("12");
    expect(response.headers.get("RateLimit")).toBe('"free";r=0;t=12');
    const { id, result } = await read<Result>(response);
    expect(id).toBe(7);
    expect(Object.keys(result).toSorted()).toEqual(["_meta", "content", "isError", "resultType"]);
    expect(result).toMatchObject({ resultType: "complete", isError: true, content: [{ type: "text" }] });
    expect(result["_meta"]!["turnpike/refusal"]).toMatchObject({ status: 429, cause: "rate", retryAfterMs: 11_200 });
  });

  test("is for tools/call alone: other methods, and batches with one of them, get the error", () => {
    const list = { kind: "request", id: 2, method: "resources/read", params: {} } as const;
    expect(refusalAnswer(aRefusal(), askedWith([list]), true, NOW).status).toBe(429);
    expect(refusalAnswer(aRefusal(), askedWith([toolCall(1), list], { isBatch: true }), true, NOW).status).toBe(429);
    expect(refusalAnswer(aRefusal(), NOBODY, true, NOW).status).toBe(429);
  });
});

describe("other answers of the gate", () => {
  test("a call that can never pass is 400 with -32600, and no Retry-After", async () => {
    const response = impossibleAnswer("free", { limits: [RATE] }, askedWith([toolCall(1)]));
    expect(response.status).toBe(400);
    expect(response.headers.get("Retry-After")).toBeNull();
    expect((await read(response)).error.code).toBe(-32600);
  });

  test("a bad message keeps its id, or has none: never null", async () => {
    expect(await read(badMessageAnswer({ status: 400, code: -32600, message: "Bad.", id: 3 }, null))).toMatchObject({ id: 3 });
    expect("id" in (await read(badMessageAnswer({ status: 400, code: -32700, message: "Bad." }, null)))).toBe(false);
  });

  test("an origin that is away is 502, and says that nothing was charged", async () => {
    const response = originUnreachableAnswer(REQUEST_ID, askedWith([toolCall(1)]));
    expect(response.status).toBe(502);
    const { error } = await read(response);
    expect(error.message).toContain("nothing was charged");
    expect(error.data).toMatchObject({ cause: "origin", limiter: "origin" });
  });

  test("a stranger is 401 with a challenge, and 429 with a time after too many attempts", async () => {
    const once = strangerAnswer("unknown-key", null);
    expect([once.status, once.headers.get("WWW-Authenticate"), once.headers.get("Retry-After")]).toEqual([401, "Bearer", null]);
    const often = strangerAnswer("unknown-key", 4_100);
    expect([often.status, often.headers.get("WWW-Authenticate"), often.headers.get("Retry-After")]).toEqual([429, null, "5"]);
    expect(strangerAnswer("invalid-token", null).headers.get("WWW-Authenticate")).toBe('Bearer error="invalid_token"');
    expect(strangerAnswer("issuer-unavailable", null).status).toBe(503);
  });
});
