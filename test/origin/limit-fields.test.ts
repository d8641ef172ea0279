import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { LimitSigns } from "../../src/origin/limit-signs.ts";
import { anyNow, MAX_SECONDS, NOW, NOW_SECONDS, read, refusal, window } from "./read-signs.ts";

function resetMs(value: string, now: number) {
  return read(200, { "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": value }, null, now)?.closedForMs;
}

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
      fc.property(anyNow, fc.integer({ min: 1_000, max: MAX_SECONDS * 1_000 - 1_000 }), (now, waitMs) => {
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
