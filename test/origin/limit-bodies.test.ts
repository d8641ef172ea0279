import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readBodySigns, readLimitSigns } from "../../src/origin/limit-signs.ts";
import { MAX_SECONDS, NOW } from "./read-signs.ts";

const QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded";

function error(code: number, message: string, data?: unknown) {
  return { jsonrpc: "2.0", id: 1, error: { code, message, ...(data === undefined ? {} : { data }) } };
}

function toolError(result: object) {
  return { jsonrpc: "2.0", id: 1, result: { isError: true, ...result } };
}

function text(content: string) {
  return [{ type: "text", text: content }];
}

function read(body: unknown) {
  return readBodySigns(JSON.stringify(body), NOW);
}

/** What a refusal without a quota says, or undefined where there is none. */
function waitOf(body: unknown): number | null | undefined {
  return read(body)?.closedForMs;
}

describe("a JSON-RPC error", () => {
  test.each([
    [429, "Slow down", true],
    [-32029, "Slow down", true],
    [-32023, "Slow down", true],
    [-32004, "Too many requests. Please try again later.", true],
    [-32004, "Resource not found", false],
    [-32000, "Rate limit exceeded for client: x", true],
    [-32000, "Monthly quota exceeded", true],
    [-32000, "Too many requests", true],
    [-32000, "You are being rate limited", true],
    [-32000, "Rate limit: 10 a minute", true],
    [-32000, "Disk quota exceeded", false],
    [-32000, "You have exceeded your storage quota", false],
    [-32000, "Cannot read the rate limit settings", false],
    [-32000, "Server busy", false],
    [-32603, "Rate limit exceeded", false],
    [-32602, "Too many requests", false],
    [403, "Forbidden", false],
    [402, "Rate limit exceeded", false],
  ])("with code %i and %j is a limit: %s", (code, message, isLimit) => {
    expect(read(error(code, message))).toEqual(isLimit ? { isRefusal: true, closedForMs: null, quota: null } : null);
  });

  test.each<[unknown, number]>([
    [{ retryAfterMs: 4043 }, 4_043],
    [{ retry_after_ms: "250" }, 250],
    [{ retryAfterSeconds: 7 }, 7_000],
    [{ retry_after_seconds: 7 }, 7_000],
    [{ retry_after: 1.5 }, 1_500],
    [{ retryAfter: "2s" }, 2_000],
    [{ retryAfter: "Sat, 21 Nov 2026 12:00:05 GMT" }, 5_000],
    [{ reset_in: 30 }, 30_000],
    [{ resetAt: "2026-11-21T12:01:00Z" }, 60_000],
    [{ resetAt: NOW + 1_234 }, 1_234],
    [{ reset_at: NOW / 1_000 + 9 }, 9_000],
    [{ details: { remaining: 0, reset_in: 12 } }, 12_000],
    [{ metadata: { headers: { "X-RateLimit-Reset": String(NOW + 5_000) } } }, 5_000],
    [{ retryAfterMs: 1_000, resetAt: "2026-11-21T12:01:00Z" }, 60_000],
  ])("tells its time in its data: %j", (data, expected) => {
    expect(waitOf(error(429, "Retry after 99 seconds", data))).toBe(expected);
  });

  test("tells any time in seconds, milliseconds or as a moment, to the millisecond", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MAX_SECONDS }), (seconds) => {
        expect(waitOf(error(429, "", { retryAfter: seconds }))).toBe(seconds * 1_000);
        expect(waitOf(error(429, "", { retryAfterMs: seconds }))).toBe(seconds);
        expect(waitOf(error(429, "", { resetAt: new Date(NOW + seconds).toISOString() }))).toBe(seconds);
        expect(waitOf(error(429, `Rate limit exceeded. Retry after ${seconds} seconds.`))).toBe(seconds * 1_000);
      }),
    );
  });

  test.each([
    ["Retry after 2 seconds", 2_000],
    ["Rate limit reached. Please try again in 3m", 180_000],
    ["Try again in 6m0s.", 360_000],
    ["Please wait 1 minute and 5 seconds before you try again.", 65_000],
    ["Please wait at least 500 ms", 500],
    ["API rate limit of 5000 still exceeded, not making remote request. [rate reset in 12m30s]", 750_000],
    ["403 API rate limit of 5000 still exceeded until 2026-11-21 12:10:00 +0000 UTC", 600_000],
    ["Retry-After: 12", 12_000],
    ["retry after 12.", 12_000],
    ["Retry after 3 attempts", null],
    ["Try again later", null],
    ["60 requests per 60 seconds", null],
    ["Retry after -5 seconds", null],
    ["Try again in 9000 days", null],
    [`${"x".repeat(5_000)} retry after 5 seconds`, null],
  ])("tells its time in words as a last resort: %j", (message, expected) => {
    expect(waitOf(error(429, message))).toBe(expected);
  });

  test.each([
    { retryAfterMs: -1 },
    { retryAfterMs: 1e300 },
    { retry_after: "soon" },
    { resetAt: {} },
    { retryAfter: null },
    { retryAfter: 0 },
    [],
    "5",
    null,
  ])("whose data is garbage names no time: %j", (data) => {
    expect(waitOf(error(429, "Slow down", data))).toBeNull();
  });

  test("of any code is one when its data says so to programs", () => {
    expect(waitOf(error(-32603, "Upstream failed", { code: "rate_limited", retry_after: 3 }))).toBe(3_000);
    expect(waitOf(error(-32603, "Upstream failed", { type: QUOTA_EXCEEDED, retryAfterMs: 3 }))).toBe(3);
    expect(waitOf(error(-32602, "Plugin Violation: Rate limit exceeded", { details: { reset_in: 3 } }))).toBe(3_000);
  });

  test("that asks for payment is none, whatever its data says", () => {
    expect(read(error(402, "Rate limit reached", { type: QUOTA_EXCEEDED, retryAfterMs: 3 }))).toBeNull();
  });

  test("tells its quota, as SEP-3304 writes it", () => {
    expect(read(error(-32023, "Rate limited", { retryAfterMs: 800, limit: 60, remaining: 0 }))).toEqual({
      isRefusal: true,
      closedForMs: 800,
      quota: { limit: 60, remaining: 0, resetMs: 800 },
    });
  });

  test("in a batch is found among answers, and the longest time holds", () => {
    const answer = { jsonrpc: "2.0", id: 2, result: {} };
    expect(
      waitOf([answer, error(429, "", { retryAfter: 2 }), error(-32601, "Unknown", { retryAfter: 99 }), error(429, "", { retryAfter: 5 })]),
    ).toBe(5_000);
    expect(read([answer, answer])).toBeNull();
  });
});

describe("a tool result", () => {
  const NOTION = { error: { code: "rate_limited", retry_after_seconds: 12, rate_limit_reason: "workspace" } };

  test("is a refusal in Notion's form, in its structured content or in its text", () => {
    expect(waitOf(toolError({ structuredContent: NOTION, content: text("Rate limited") }))).toBe(12_000);
    expect(waitOf(toolError({ content: text(JSON.stringify(NOTION)) }))).toBe(12_000);
  });

  test("is a refusal with a Problem Details object in its _meta, as this gate sends it", () => {
    const meta = { "turnpike/refusal": { type: QUOTA_EXCEEDED, status: 429, retryAfterMs: 77 } };
    expect(waitOf(toolError({ content: text("Wait"), _meta: meta }))).toBe(77);
    expect(read(toolError({ _meta: { "turnpike/refusal": { ...meta["turnpike/refusal"], status: 402 } } }))).toBeNull();
  });

  test("takes the time from its text when the code comes without one", () => {
    expect(waitOf(toolError({ structuredContent: { code: "too_many_requests" }, content: text("Try again in 3 minutes") }))).toBe(180_000);
  });

  test.each([
    ["prose alone", toolError({ content: text("Rate limit exceeded. Retry after 5 seconds.") })],
    ["the status of some other server", toolError({ structuredContent: { status: 429, url: "https://example.com/" } })],
    ["a success with the code", { jsonrpc: "2.0", id: 1, result: { isError: false, structuredContent: NOTION } }],
    ["a success without isError", { jsonrpc: "2.0", id: 1, result: { structuredContent: NOTION } }],
    ["another code", toolError({ structuredContent: { error: { code: "not_found", retry_after: 5 } } })],
    ["no content", toolError({})],
  ])("is none by %s", (_, body) => {
    expect(read(body)).toBeNull();
  });
});

describe("any body", () => {
  test("that is longer than a refusal says nothing", () => {
    const body = JSON.stringify(error(429, "Slow down", { retryAfter: 5, padding: "x".repeat(70_000) }));
    expect(readBodySigns(body, NOW)).toBeNull();
    expect(readLimitSigns(429, new Headers(), body, NOW)).toEqual({ isRefusal: true, closedForMs: null, quota: null });
  });

  test("never throws, and only an error closes anything", () => {
    const key = fc.constantFrom(
      "error",
      "result",
      "isError",
      "structuredContent",
      "content",
      "text",
      "code",
      "data",
      "message",
      "_meta",
      "retryAfter",
      "resetAt",
      "remaining",
      "type",
    );
    const leaf = fc.oneof(
      fc.constantFrom(429, -32000, true, null, "rate_limited", "Rate limit exceeded. Retry after 5s", QUOTA_EXCEEDED),
      fc.double(),
      fc.string(),
    );
    const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
      tree: fc.oneof({ maxDepth: 4 }, leaf, fc.dictionary(key, tie("tree"), { maxKeys: 5 }), fc.array(tie("tree"), { maxLength: 4 })),
    }));
    fc.assert(
      fc.property(
        fc.oneof(
          tree.map((value) => JSON.stringify(value) ?? ""),
          fc.string({ unit: "binary" }),
        ),
        (body) => {
          const signs = readBodySigns(body, NOW);
          if (signs === null) return;
          expect(signs.isRefusal).toBe(true);
          expect(body).toMatch(/"error"|"isError"|#quota-exceeded/);
          if (signs.closedForMs !== null)
            expect(Number.isInteger(signs.closedForMs) && signs.closedForMs > 0 && signs.closedForMs <= MAX_SECONDS * 1_000).toBe(true);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test("that is made to be slow is read in no time that matters", () => {
    const nasty = ["retry ", "wait - ", "1m", "1 minute and ", "exceeded ", "rate limit ", "try a b ", '"isError" ', "[", '{"error":'];
    for (const bit of nasty) {
      const body = bit.repeat(Math.floor(60_000 / bit.length));
      const start = performance.now();
      readLimitSigns(429, new Headers(), body, NOW);
      readBodySigns(body, NOW);
      expect(performance.now() - start).toBeLessThan(5_000);
    }
  });
});
