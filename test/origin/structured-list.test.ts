import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parseItemList } from "../../src/origin/structured-list.ts";

const anyString = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) });
const anyInteger = fc.integer({ min: -999_999_999_999_999, max: 999_999_999_999_999 });
const anyKey = fc.stringMatching(/^[a-z*][a-z0-9_.*-]{0,8}$/);

function serialise(value: string | number): string {
  return typeof value === "number" ? String(value) : `"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

test("a list of strings and integers with parameters is read as it was written", () => {
  const anyItem = fc.record({ value: fc.oneof(anyString, anyInteger), parameters: fc.dictionary(anyKey, fc.oneof(anyString, anyInteger)) });
  fc.assert(
    fc.property(fc.array(anyItem, { minLength: 1, maxLength: 8 }), (items) => {
      const text = items.map(
        ({ value, parameters }) =>
          serialise(value) +
          Object.entries(parameters)
            .map(([key, of]) => `; ${key}=${serialise(of)}`)
            .join(""),
      );
      const read = parseItemList(text.join(", "))?.map(({ value, parameters }) => [value, Object.fromEntries(parameters)]);
      expect(read).toEqual(items.map(({ value, parameters }) => [value, { ...parameters }]));
    }),
  );
});

test("a parameter that stands twice has its last value", () => {
  expect(parseItemList('"a";r=1;r=2')?.[0]?.parameters.get("r")).toBe(2);
});

test("a list that is wrong anywhere is wrong altogether", () => {
  for (const text of [
    "",
    ",",
    '"a",',
    '"a" "b"',
    '"a"; =1',
    '"a";r=',
    "1.",
    "1.2345",
    "1234567890123.1",
    '"\\a"',
    '"\u00e9"',
    "(1 2)",
    ":a",
    "?2",
  ]) {
    expect(parseItemList(text)).toBeNull();
  }
});
