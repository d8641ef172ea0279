import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type LimitSigns, needsBody, readLimitSigns } from "../../src/origin/limit-signs.ts";

const NOW = Date.UTC(2026, 10, 21, 12, 0, 0);
const NOW_SECONDS = NOW / 1_000;
const MAX_SECONDS = 31 * 86_400;
const DAY_MS = 86_400_000;
/** Any moment at which this could run. */
const anyNow = fc.integer({ min: Date.UTC(2001, 0), max: Date.UTC(2099, 11) });

function read(status: number, fields: Record<string, string>, body: string | null = null, now = NOW): LimitSigns | null {
  return readLimitSigns(status, new Headers(fields), body, now);
}

function refusal(closedForMs: number | null, quota: LimitSigns["quota"] = null): LimitSigns {
  return { isRefusal: true, closedForMs, quota };
}

function window(limit: number | null, remaining: number, resetMs: number | null) {
  return { limit, remaining, resetMs };
}

function resetMs(value: string, now: number) {
  return read(200, { "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": value }, null, now)?.closedForMs;
}

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

describe("Retry-After", () => {
  test("in seconds is read exactly, on 429 and on 403", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MAX_SECONDS }), fc.constantFrom(403, 429), anyNow, (seconds, status, now) => {
        expect(read(status, { "Retry-After": `${seconds}` }, null, now)).toEqual(refusal(seconds * 1_000));
      }),
    );
  });

  const LONG_DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
  const FORMS: [string, (date: Date) => string][] = [
    ["the form of today", (date) => date.toUTCString()],
    [
      "the form of RFC 850",
      (date) => {
        const [, day, month, year, time] = date.toUTCString().split(" ");
        return `${LONG_DAYS[date.getUTCDay()]}, ${day}-${month}-${year!.slice(2)} ${time} GMT`;
      },
    ],
    [
      "the form of asctime",
      (date) => {
        const [weekday, , month, year, time] = date.toUTCString().split(" ");
        return `${weekday!.slice(0, 3)} ${month} ${String(date.getUTCDate()).padStart(2, " ")} ${time} ${year}`;
      },
    ],
    ["ISO 8601", (date) => date.toISOString()],
    ["ISO 8601 elsewhere", (date) => `${new Date(date.getTime() + 5.5 * 3_600_000).toISOString().slice(0, 19)}+05:30`],
    [
      "a script's date",
      (date) => `${date.toUTCString().replace(/^(\w{3}), (\d\d) (\w{3}) (\d{4}) (\S+).*/, "$1 $3 $2 $4 $5")} GMT+0000 (UTC)`,
    ],
  ];
  test.each(FORMS)("as a date in %s is the time until then", (_, format) => {
    fc.assert(
      fc.property(anyNow, fc.integer({ min: 1, max: MAX_SECONDS - 1 }), (now, seconds) => {
        const until = Math.floor(now / 1_000 + seconds) * 1_000;
        fc.pre(until > now);
        expect(read(429, { "Retry-After": format(new Date(until)) }, null, now)).toEqual(refusal(until - now));
      }),
    );
  });

  test.each([
    ["retry-after-ms", "1500", 1_500],
    ["x-ms-retry-after-ms", "20.5", 21],
    ["retry-after", "0.25", 250],
    ["retry-after", "1, 30", 30_000],
    ["retry-after", "Sat, 21 Nov 2026 12:00:05 GMT", 5_000],
  ])("%s: %s is %i ms", (name, value, expected) => {
    expect(read(429, { [name]: value })).toEqual(refusal(expected));
  });

  test("in milliseconds goes before seconds", () => {
    expect(read(429, { "retry-after-ms": "4043", "retry-after": "5" })).toEqual(refusal(4_043));
  });

  test.each([
    "-5",
    "soon",
    "NaN",
    "Infinity",
    "1e3",
    "0x10",
    "",
    "99999999",
    "99999999999999999999",
    "0",
    "Sat, 21 Nov 2026 11:59:00 GMT",
    "Sat, 32 Nov 2026 12:00:05 GMT",
    "Sat, 21 Nov 2056 12:00:05 GMT",
  ])("of %j names no time: garbage, a time that has passed, or one too far to be believed", (value) => {
    expect(read(429, { "Retry-After": value })).toEqual(refusal(null));
  });

  test("of a month is believed, of more is not", () => {
    expect(read(429, { "Retry-After": `${MAX_SECONDS}` })).toEqual(refusal(31 * DAY_MS));
    expect(read(429, { "Retry-After": `${MAX_SECONDS + 1}` })).toEqual(refusal(null));
  });
});

describe("RateLimit fields", () => {
  const anyPolicy = fc.record({ q: fc.integer({ min: 1, max: 1e6 }), r: fc.nat(4), t: fc.integer({ min: 1, max: MAX_SECONDS }) });

  test("of draft-10 tell the tightest of several policies, and close until the last empty one is refilled", () => {
    fc.assert(
      fc.property(fc.array(anyPolicy, { minLength: 1, maxLength: 6 }), (policies) => {
        const signs = read(200, {
          "RateLimit-Policy": policies.map(({ q }, at) => `"p${at}";q=${q};w=60`).join(", "),
          RateLimit: policies.map(({ r, t }, at) => `"p${at}";r=${r};t=${t}`).join(" ,\t"),
        });
        const [tight] = policies.toSorted((a, b) => a.r - b.r || b.t - a.t);
        expect(signs?.quota).toMatchObject({ remaining: tight!.r, resetMs: tight!.t * 1_000 });
        expect(policies.some(({ q, r, t }) => q === signs?.quota?.limit && r === tight!.r && t === tight!.t)).toBe(true);
        expect(signs?.closedForMs).toBe(tight!.r === 0 ? tight!.t * 1_000 : null);
      }),
    );
  });

  test.each<[string, Record<string, string>, LimitSigns["quota"]]>([
    [
      "draft-10 with names that are quoted",
      { RateLimit: String.raw`"a\"b,c;d";r=1;t=2`, "RateLimit-Policy": String.raw`"a\"b,c;d";q=9` },
      window(9, 1, 2_000),
    ],
    ["draft-10 with parameters of other types", { RateLimit: '"a";r=1;t=2;pk=:cHJvZA==:;x=?1;y=to/ken;z=1.5;f' }, window(null, 1, 2_000)],
    [
      "draft-10 that counts bytes and calls in flight",
      {
        RateLimit: '"a";r=0;t=2, "b";r=0, "c";r=5',
        "RateLimit-Policy": '"a";q=9;qu="content-bytes", "b";q=4;qu="concurrent-requests", "c";q=6;qu="requests"',
      },
      window(6, 5, null),
    ],
    ["draft-07", { RateLimit: "limit=100, remaining=50, reset=30", "RateLimit-Policy": "100;w=60" }, window(100, 50, 30_000)],
    [
      "draft-03 with policies",
      { "RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "50", "RateLimit-Reset": "30" },
      window(100, 50, 30_000),
    ],
    [
      "GitLab's moments",
      { "RateLimit-Limit": "600", "RateLimit-Remaining": "599", "RateLimit-Reset": `${NOW_SECONDS + 15}` },
      window(600, 599, 15_000),
    ],
    [
      "a proxy's and the API's side by side",
      { "X-RateLimit-Limit": "100, 30", "X-RateLimit-Remaining": "40, 2", "X-RateLimit-Reset": "60, 7" },
      window(30, 2, 7_000),
    ],
    [
      "OpenAI's",
      { "x-ratelimit-limit-requests": "5000", "x-ratelimit-remaining-requests": "4999", "x-ratelimit-reset-requests": "12ms" },
      window(5_000, 4_999, 12),
    ],
    ["no reset at all", { "X-RateLimit-Remaining": "7" }, window(null, 7, null)],
  ])("are read as %s", (_, fields, quota) => {
    expect(read(200, fields)).toEqual({ isRefusal: false, closedForMs: null, quota });
  });

  test.each([
    '"a";r=-1',
    '"a";r=1.0',
    '"a";r="1"',
    '"a"',
    "a;r=0",
    '"a;r=0;t=5',
    '"a";r=0;t=5,',
    '"a";r=0 "b";r=1',
    '"a";r=0"b";r=1',
    '("a");r=0',
    '"a";r=0;T=5',
    '"a";r=1234567890123456',
    "remaining=x",
    "remaining=0 reset=5",
    "limit=5, reset=3",
    "remaining=-1",
    "0",
  ])("that are malformed say nothing: %s", (field) => {
    expect(read(200, { RateLimit: field })).toBeNull();
  });

  test.each(["-1", "", "none", "NaN", "1e3", "0x1", "1234567890123456"])("with %j remaining say nothing", (remaining) => {
    expect(read(200, { "X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": "60" })).toBeNull();
  });

  test("as long as no honest server sends them say nothing", () => {
    expect(read(200, { RateLimit: `"${"a".repeat(10_000)}";r=0;t=5` })).toBeNull();
    expect(read(200, { RateLimit: Array.from({ length: 65 }, () => '"a";r=0;t=5').join() })).toBeNull();
    expect(read(200, { "X-RateLimit-Remaining": "0".repeat(5_000) })).toBeNull();
  });
});

describe("X-RateLimit-Reset", () => {
  test("is told by its magnitude: epoch seconds, epoch milliseconds, or seconds from now, at any time", () => {
    fc.assert(
      fc.property(anyNow, fc.integer({ min: 1_000, max: 31 * DAY_MS - 1_000 }), (now, waitMs) => {
        expect(resetMs(`${now + waitMs}`, now)).toBe(waitMs);
        expect(resetMs(((now + waitMs) / 1_000).toFixed(3), now)).toBe(waitMs);
        const wholeSeconds = Math.ceil((now + waitMs) / 1_000);
        expect(resetMs(`${wholeSeconds}`, now)).toBe(wholeSeconds * 1_000 - now);
        expect(resetMs((waitMs / 1_000).toFixed(3), now)).toBe(waitMs);
      }),
      { numRuns: 1_000 },
    );
  });

  test.each([
    ["6m0s", 360_000],
    ["1s", 1_000],
    ["250ms", 250],
    ["1h2m3.5s", 3_723_500],
    ["850µs", 1],
    ["120ns", null],
    ["2 minutes", 120_000],
    ["1 hour and 30 minutes", 5_400_000],
    ["1d12h", 129_600_000],
    ["40d", null],
    ["6m0", null],
    ["m6s", null],
    ["2026-11-21T12:00:30Z", 30_000],
    ["2026-11-21 13:00:30.5 +01:00", 30_500],
    ["2026-13-21T12:00:30Z", null],
    ["Sat Nov 21 2026 13:00:30 GMT+0100 (Central European Standard Time)", 30_000],
    ["12345678901", null],
  ])("of %j is %j ms", (value, expected) => {
    expect(resetMs(value, NOW)).toBe(expected);
  });

  test("with a month or an hour that does not exist says nothing", () => {
    const now = Date.UTC(2026, 11, 25);
    for (const moment of ["2026-13-02T00:00:00Z", "2026-12-25T25:00:00Z", "2026-12-32T00:00:00Z"]) expect(resetMs(moment, now)).toBeNull();
  });

  test("that has passed is a reset of zero, and closes nothing", () => {
    expect(read(200, { "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": `${NOW_SECONDS - 60}` })).toEqual({
      isRefusal: false,
      closedForMs: null,
      quota: window(null, 0, 0),
    });
  });

  test("on a 429 without a remaining is that of an empty window; on a success it says nothing", () => {
    expect(read(429, { "X-RateLimit-Reset": "40" })).toEqual(refusal(40_000, window(null, 0, 40_000)));
    expect(read(200, { "X-RateLimit-Reset": "40" })).toBeNull();
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
          expect(Number.isInteger(closedForMs) && closedForMs > 0 && closedForMs <= 31 * DAY_MS).toBe(true);
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
