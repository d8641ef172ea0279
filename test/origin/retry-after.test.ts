import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyNow, MAX_SECONDS, read, refusal } from "./read-signs.ts";

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
    expect(read(429, { "Retry-After": `${MAX_SECONDS}` })).toEqual(refusal(MAX_SECONDS * 1_000));
    expect(read(429, { "Retry-After": `${MAX_SECONDS + 1}` })).toEqual(refusal(null));
  });
});
