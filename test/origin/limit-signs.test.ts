import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type LimitSigns, needsBody, readLimitSigns } from "../../src/origin/limit-signs.ts";
import { anyNow, MAX_SECONDS, NOW, NOW_SECONDS, read, refusal, window } from "./read-signs.ts";

describe("an ordinary answer", () => {
  test("without rate-limit fields says nothing, and costs five look-ups", () => {
    const headers = new Headers({ "content-type": "application/json" });
    let lookUps = 0;
    const counting = new Proxy(headers, {
      get(target, name) {
        lookUps++;
        const member: unknown = Reflect.get(target, name);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
    expect(readLimitSigns(200, counting, null, NOW)).toBeNull();
    expect(lookUps).toBe(5);
  });

  test("with something left tells the quota and closes nothing", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e9 }),
        fc.integer({ min: 1, max: 1e9 }),
        fc.nat(MAX_SECONDS),
        fc.constantFrom("ratelimit", "x-ratelimit", "x-rate-limit"),
        (limit, remaining, seconds, prefix) => {
          const fields = { [`${prefix}-limit`]: `${limit}`, [`${prefix}-remaining`]: `${remaining}`, [`${prefix}-reset`]: `${seconds}` };
          expect(read(200, fields)).toEqual({ isRefusal: false, closedForMs: null, quota: window(limit, remaining, seconds * 1_000) });
        },
      ),
    );
  });

  test("with nothing left closes until the reset", () => {
    expect(read(200, { "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": `${NOW_SECONDS + 90}` })).toEqual({
      isRefusal: false,
      closedForMs: 90_000,
      quota: window(null, 0, 90_000),
    });
  });

  test("with nothing left and no reset closes for no time that is known", () => {
    expect(read(200, { RateLimit: '"a";r=0' })).toEqual({ isRefusal: false, closedForMs: null, quota: window(null, 0, null) });
  });

  test("that sends Retry-After with a success is not refusing", () => {
    expect(read(202, { "Retry-After": "5" })).toBeNull();
  });

  test("that speaks of rate limits in its body is not refusing", () => {
    expect(read(200, {}, '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"Rate limit exceeded"}]}}')).toBeNull();
    expect(read(200, {}, "Rate limit exceeded, retry after 5 seconds")).toBeNull();
  });

  test("with a limit of zero, as some say that they have none, says nothing", () => {
    expect(read(200, { "X-RateLimit-Limit": "0", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60" })).toBeNull();
  });
});

describe("a refusal", () => {
  test("is every 429, even one that says nothing more", () => {
    expect(read(429, {})).toEqual(refusal(null));
    expect(read(429, {}, "Rate limit exceeded. Please wait before trying again.")).toEqual(refusal(null));
  });

  test.each<[string, Record<string, string>, string | null, LimitSigns | null]>([
    [
      "GitHub's primary limit",
      { "x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0", "x-ratelimit-reset": `${NOW_SECONDS + 1_800}` },
      null,
      refusal(1_800_000, window(5_000, 0, 1_800_000)),
    ],
    [
      "GitHub's secondary limit with a time",
      { "retry-after": "60", "x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4000", "x-ratelimit-reset": `${NOW_SECONDS + 1_800}` },
      null,
      refusal(60_000, window(5_000, 4_000, 1_800_000)),
    ],
    [
      "both of GitHub's limits at once",
      { "retry-after": "60", "x-ratelimit-remaining": "0", "x-ratelimit-reset": `${NOW_SECONDS + 1_800}` },
      null,
      refusal(1_800_000, window(null, 0, 1_800_000)),
    ],
    [
      "GitHub's secondary limit in words",
      {},
      '{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}',
      refusal(null),
    ],
    [
      "Google's reason",
      {},
      '{"error":{"code":403,"message":"Rate Limit Exceeded","errors":[{"reason":"rateLimitExceeded"}]}}',
      refusal(null),
    ],
    [
      "a plain 403",
      { "x-ratelimit-remaining": "5" },
      '{"message":"Resource not accessible by integration"}',
      { isRefusal: false, closedForMs: null, quota: window(null, 5, null) },
    ],
    ["a 403 that speaks of limits and of none that was hit", {}, '{"message":"You may not change the rate limits of this project."}', null],
  ])("with 403 is read as %s", (_, fields, body, expected) => {
    expect(read(403, fields, body)).toEqual(expected);
  });

  test.each<[string, Record<string, string>, string | null, boolean]>([
    ["Retry-After alone: an outage", { "Retry-After": "30" }, null, false],
    ["Retry-After and a page of an outage", { "Retry-After": "30" }, "<h1>Service Unavailable</h1>", false],
    ["words alone", {}, "Too many requests", false],
    ["Retry-After and an empty window", { "Retry-After": "30", RateLimit: '"a";r=0;t=30' }, null, true],
    ["Retry-After and words", { "Retry-After": "30" }, "Too many requests", true],
    ["Retry-After and a title", { "Retry-After": "30" }, '{"title":"Rate limit exceeded"}', true],
    [
      "Retry-After and a problem of reduced capacity",
      { "Retry-After": "30" },
      '{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity","title":"Busy"}',
      false,
    ],
  ])("with 503 needs more than a time: %s", (_, fields, body, isRefusal) => {
    const signs = read(503, fields, body);
    expect(signs?.isRefusal ?? false).toBe(isRefusal);
    if (isRefusal) expect(signs?.closedForMs).toBe(30_000);
  });

  test("with 503 is a JSON-RPC error of a limit, without a Retry-After too", () => {
    expect(read(503, {}, '{"jsonrpc":"2.0","id":1,"error":{"code":429,"message":"Wait","data":{"retryAfterMs":5}}}')).toEqual(refusal(5));
  });

  test("with 402 asks for payment: nothing is closed to who can pay", () => {
    const body =
      '{"jsonrpc":"2.0","id":1,"error":{"code":402,"message":"Rate limit reached","data":{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","retryAfterMs":12000}}}';
    expect(read(402, { "Retry-After": "12", RateLimit: '"free";r=0;t=12' }, body)).toEqual({
      isRefusal: false,
      closedForMs: null,
      quota: window(null, 0, 12_000),
    });
  });

  test("takes Retry-After before the RateLimit fields, the time of a full bucket and the body", () => {
    const fields = {
      "Retry-After": "12",
      RateLimit: '"a";r=0;t=60',
      "x-ratelimit-remaining-requests": "0",
      "x-ratelimit-reset-requests": "6m0s",
    };
    expect(read(429, fields, '{"retry_after":90}')?.closedForMs).toBe(12_000);
    expect(read(429, { "Retry-After": "12", "RateLimit-Remaining": "0", "RateLimit-Reset": "60" })?.closedForMs).toBe(12_000);
  });

  test("takes the longest of what applies when there is no Retry-After", () => {
    const fields = { RateLimit: '"a";r=0;t=60', "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30" };
    expect(read(429, fields, '{"retry_after":90}')?.closedForMs).toBe(90_000);
    expect(read(429, fields, '{"retry_after":9}')?.closedForMs).toBe(60_000);
    expect(read(429, { ...fields, "Retry-After": "0" }, '{"retry_after":90}')?.closedForMs).toBe(90_000);
  });

  test("does not take the reset of a window that has calls left for its time", () => {
    expect(read(429, { "X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "30" })?.closedForMs).toBeNull();
  });

  test.each([200, 400, 404, 500])("is a JSON-RPC error of a limit, with status %i too", (status) => {
    const body = '{"jsonrpc":"2.0","id":1,"error":{"code":429,"message":"Rate limit exceeded","data":{"retryAfterSeconds":7}}}';
    expect(read(status, {}, body)).toEqual(refusal(7_000));
  });

  test("is AWS's, with a result beside the error", () => {
    const body = '{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":-32004,"message":"Too many requests. Please try again later."}}';
    expect(read(429, {}, body)).toEqual(refusal(null));
    expect(read(200, {}, body)).toEqual(refusal(null));
  });

  test.each([
    ["Discord's", '{"message":"You are being rate limited.","retry_after":0.65,"global":false}', 650],
    [
      "OpenAI's",
      '{"error":{"message":"Rate limit reached for requests. Please try again in 6m0s.","code":"rate_limit_exceeded"}}',
      360_000,
    ],
    ["Google's", '{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"@type":"RetryInfo","retryDelay":"39.5s"}]}}', 39_500],
    [
      "a Problem Details object",
      '{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Quota used up","status":429,"retryAfterMs":4043}',
      4_043,
    ],
    ["plain text", "Too many requests, retry after 2 seconds.", 2_000],
  ])("takes its time from %s body", (_, body, expected) => {
    expect(read(429, {}, body)).toEqual(refusal(expected));
  });
});

describe("whether the body is needed", () => {
  test.each<[number, Record<string, string>, boolean]>([
    [429, { "content-type": "application/json" }, true],
    [429, { "content-type": "application/problem+json; charset=utf-8" }, true],
    [403, { "content-type": "text/plain" }, true],
    [403, { "content-type": "application/json", "retry-after": "0" }, true],
    [429, { "content-type": "application/json", "retry-after": "5" }, false],
    [429, { "content-type": "application/json", "content-length": "10000000" }, false],
    [429, { "content-type": "text/event-stream" }, false],
    [429, { "content-type": "image/png" }, false],
    [429, {}, false],
    [503, { "content-type": "text/html" }, false],
    [503, { "content-type": "text/html", "retry-after": "5" }, true],
    [503, { "content-type": "application/json" }, true],
    [400, { "content-type": "application/json" }, true],
    [400, { "content-type": "text/html" }, false],
    [402, { "content-type": "application/json" }, false],
    [200, { "content-type": "application/json" }, false],
    [304, { "content-type": "application/json" }, false],
  ])("to know what a %i with %j says: %s", (status, fields, expected) => {
    expect(needsBody(status, new Headers(fields))).toBe(expected);
  });
});

describe("anything else that comes", () => {
  const NAMES = ["retry-after", "retry-after-ms", "x-ms-retry-after-ms", "content-type", "content-length", "ratelimit", "ratelimit-policy"];
  for (const prefix of ["ratelimit-", "x-ratelimit-", "x-rate-limit-"])
    NAMES.push(...["limit", "remaining", "reset"].map((end) => prefix + end));
  const BITS = [
    '"a"',
    ";r=",
    ";t=",
    ";q=",
    "0",
    "1",
    "9",
    "12",
    ", ",
    "-",
    ".",
    "e",
    "limit=",
    "remaining=",
    "reset=",
    "s",
    "m",
    ":",
    "GMT",
    " ",
    "T",
    "Z",
    "\\",
    '"',
    "\xb5",
  ];
  const anyField = fc.oneof(
    fc.array(fc.constantFrom(...BITS), { maxLength: 30 }).map((bits) => bits.join("")),
    fc.string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)), maxLength: 40 }),
    fc.double().map(String),
    fc.maxSafeInteger().map(String),
  );
  const anyFields = fc.dictionary(fc.constantFrom(...NAMES), anyField);
  const anyStatus = fc.oneof(fc.constantFrom(200, 400, 402, 403, 429, 503), fc.integer({ min: 200, max: 599 }));
  const anyBody = fc.oneof(fc.constant(null), fc.string({ unit: "binary" }), fc.json());

  test("never throws, and never says a time that cannot be", () => {
    fc.assert(
      fc.property(anyStatus, anyFields, anyBody, anyNow, (status, fields, body, now) => {
        const headers = new Headers(fields);
        expect(typeof needsBody(status, headers)).toBe("boolean");
        const signs = readLimitSigns(status, headers, body, now);
        if (signs === null) return;
        const { isRefusal, closedForMs, quota } = signs;
        expect(isRefusal || quota !== null).toBe(true);
        if (closedForMs !== null) {
          expect(Number.isInteger(closedForMs) && closedForMs > 0 && closedForMs <= MAX_SECONDS * 1_000).toBe(true);
          expect(isRefusal || quota?.remaining === 0).toBe(true);
        }
        if (quota !== null) {
          expect(Number.isInteger(quota.remaining) && quota.remaining >= 0).toBe(true);
          expect(quota.resetMs === null || (Number.isInteger(quota.resetMs) && quota.resetMs >= 0)).toBe(true);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
