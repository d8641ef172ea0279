import { describe, expect, it } from "vitest";
import { readRefusal } from "../../src/client/refusal.ts";

const NOW = Date.parse("2026-11-21T12:00:00Z");
const POW = { type: "pow", algorithm: "SHA-256", id: "i", salt: "s", difficulty: 18, signature: "g", verify: "/v" };
const DATA = { status: 402, detail: "Wait 12 seconds.", cause: "rate", limiter: "edge", retryAfterMs: 11_500, challenges: [POW] };
const ERROR = { jsonrpc: "2.0", id: 7, error: { code: 402, message: "Wait 12 seconds.", data: DATA } };
const RESULT = { jsonrpc: "2.0", id: 7, result: { isError: true, content: [], _meta: { "turnpike/refusal": DATA } } };

function answer(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(typeof body === "string" ? body : JSON.stringify(body), {
    status,
    headers: { "Content-Type": "application/json", "Retry-After": "12", ...headers },
  });
}

describe("a refusal", () => {
  it.each([
    ["a JSON-RPC error", answer(402, ERROR)],
    ["Problem Details", answer(402, DATA, { "Content-Type": "application/problem+json" })],
    ["a tool result", answer(200, RESULT)],
    ["a batch of errors", answer(402, [ERROR, ERROR])],
    ["a batch of results", answer(200, [RESULT, RESULT])],
  ])("is read from %s, and the response is still there", async (_, response) => {
    expect(await readRefusal(response, NOW)).toMatchObject({
      status: 402,
      message: "Wait 12 seconds.",
      cause: "rate",
      retryAfterMs: 11_500,
      challenges: [POW],
      isResult: response.status === 200,
    });
    expect(await response.text()).toContain("Wait 12 seconds.");
  });

  it("is read from headers where the body cannot be read", async () => {
    const headers = { "Content-Type": "text/plain", "WWW-Authenticate": 'PowChallenge id="i", salt="s", difficulty=18, signature="g"' };
    expect(await readRefusal(answer(402, "no", headers), NOW)).toMatchObject({
      problem: null,
      retryAfterMs: 12_000,
      challenges: [{ id: "i" }],
    });
  });

  it("offers payments by its body, which names their price, and by its header only where the body cannot be read", async () => {
    const payment = { type: "l402", macaroon: "AgEE", invoice: "lnbc1body", priceSats: 30 };
    const headers = { "WWW-Authenticate": 'L402 version="0", token="AgEE", invoice="lnbc1header"' };
    const listed = await readRefusal(answer(402, { ...DATA, challenges: [payment, POW] }, headers), NOW);
    expect(listed).toMatchObject({ payments: [payment], challenges: [POW] });
    expect((await readRefusal(answer(402, DATA, headers), NOW))!.payments).toEqual([]);
    const unreadable = await readRefusal(answer(402, "no", { "Content-Type": "text/plain", ...headers }), NOW);
    expect(unreadable).toMatchObject({ problem: null, payments: [{ invoice: "lnbc1header" }], challenges: [] });
  });

  it("names its time in seconds, or by a date of the server's clock", async () => {
    const at = (headers: Record<string, string>) => readRefusal(answer(429, "no", { "Content-Type": "text/plain", ...headers }), NOW);
    expect((await at({}))!.retryAfterMs).toBe(12_000);
    expect((await at({ "Retry-After": "Sat, 21 Nov 2026 12:00:30 GMT" }))!.retryAfterMs).toBe(30_000);
    const late = { "Retry-After": "Sat, 21 Nov 2026 12:10:30 GMT", Date: "Sat, 21 Nov 2026 12:10:00 GMT" };
    expect((await at(late))!.retryAfterMs).toBe(30_000);
    expect((await at({ "Retry-After": "soon" }))!.retryAfterMs).toBeNull();
    expect((await readRefusal(answer(503, { cause: "rate", limiter: "edge", retryAfterSeconds: 3 }), NOW))!.retryAfterMs).toBe(3_000);
  });

  it("has challenges that expire by the clock of this machine", async () => {
    const body = { ...DATA, challenges: [{ ...POW, expiresAt: "2026-11-21T12:15:00Z" }] };
    const response = answer(402, body, { Date: "Sat, 21 Nov 2026 12:10:00 GMT" });
    expect((await readRefusal(response, NOW))!.challenges[0]!.expiresAt).toBe("2026-11-21T12:05:00.000Z");
  });
});

describe("what is no refusal", () => {
  it.each([
    ["an answer", answer(200, { jsonrpc: "2.0", id: 7, result: { content: [] } })],
    ["a batch of which one has run", answer(200, [RESULT, { jsonrpc: "2.0", id: 8, result: {} }])],
    ["a 503 of the origin", answer(503, ERROR.error.message)],
    ["a 503 with an error of the origin's", answer(503, { ...DATA, limiter: "origin" })],
    ["a 500", answer(500, ERROR)],
    ["a 401", answer(401, ERROR)],
    ["a 402 of somebody who wants to be paid otherwise", answer(402, { accepts: ["x402"] })],
  ])("is %s", async (_, response) => {
    expect(await readRefusal(response, NOW)).toBeNull();
    expect(await response.text()).not.toBe("");
  });

  it("is a stream, of which nothing is read", async () => {
    let isRead = false;
    const body = new ReadableStream({ pull: () => void (isRead = true) }, { highWaterMark: 0 });
    const headers = { "Content-Type": "text/event-stream", "Retry-After": "1" };
    expect(await readRefusal(new Response(body, { status: 200, headers }), NOW)).toBeNull();
    expect(isRead).toBe(false);
  });

  it("is an answer without Retry-After, of which nothing is read either", async () => {
    let isRead = false;
    const body = new ReadableStream({ pull: () => void (isRead = true) }, { highWaterMark: 0 });
    expect(await readRefusal(new Response(body, { headers: { "Content-Type": "application/json" } }), NOW)).toBeNull();
    expect(isRead).toBe(false);
  });

  it("is a body without end, of which no more is read than a refusal can be long", async () => {
    let bytes = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        bytes += 16_384;
        controller.enqueue(new Uint8Array(16_384).fill(0x20));
      },
    });
    expect(await readRefusal(new Response(body, { headers: { "Content-Type": "application/json", "Retry-After": "1" } }), NOW)).toBeNull();
    expect(bytes).toBeLessThan(1_000_000);
  });

  it("is a body that breaks off: its reader meets the failure", async () => {
    const body = new ReadableStream({ start: (controller) => controller.error(new Error("broken off")) });
    const response = new Response(body, { headers: { "Content-Type": "application/json", "Retry-After": "1" } });
    expect(await readRefusal(response, NOW)).toBeNull();
    await expect(response.text()).rejects.toThrow("broken off");
  });
});
