import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createMatcher } from "../../src/limits/patterns.ts";

describe("names by pattern", () => {
  test.each([
    ["get_job_*", "get_job_status", true],
    ["get_job_*", "get_job_", true],
    ["get_job_*", "forget_job_x", false],
    ["*", "", true],
    ["*_status", "get_status", true],
    ["a*c*e", "abcde", true],
    ["a*c*e", "abde", false],
    ["a.c", "abc", false],
    ["file://*", "file:///a\nb", true],
    ["(x)*", "(x)1", true],
    ["Get*", "get_x", false],
    ["ab*ba", "aba", false],
    ["a*b*b", "ab", false],
    ["a**b", "ab", true],
    ["*a*", "bab", true],
  ])("%j matches %j: %s", (pattern, name, expected) => {
    expect(createMatcher({ [pattern]: "value" })(name)).toBe(expected ? "value" : undefined);
  });

  test("an exact name goes before any pattern, and the first pattern before the next", () => {
    const matcher = createMatcher({ "get_*": 1, "get_a*": 2, get_abc: 3 });
    expect([matcher("get_abc"), matcher("get_ab"), matcher("put")]).toEqual([3, 1, undefined]);
  });

  test("every other character means itself", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 12 }), fc.string({ unit: "binary", maxLength: 12 }), (prefix, rest) => {
        const literal = prefix.replaceAll("*", "");
        expect(createMatcher({ [`${literal}*`]: 1 })(literal + rest)).toBe(1);
        expect(createMatcher({ [literal]: 1 })(literal)).toBe(1);
      }),
      { numRuns: 500 },
    );
  });

  test("patterns with several stars mean what the regular expression would", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 10 });
    const pattern = fc.string({ unit: fc.constantFrom("a", "b", "*"), maxLength: 7 });
    fc.assert(
      fc.property(pattern, text, (pattern, name) => {
        const isMatch = new RegExp(`^${pattern.replaceAll("*", ".*")}$`).test(name);
        expect(createMatcher({ [pattern]: 1 })(name)).toBe(isMatch ? 1 : undefined);
      }),
      { numRuns: 2_000 },
    );
  });

  test("a name of megabytes that nearly matches is told apart at once", { timeout: 5_000 }, () => {
    const matcher = createMatcher({ "*a*a*a*c": 1, "*ab*ba*c": 2 });
    expect(matcher("a".repeat(2_000_000))).toBeUndefined();
    expect(matcher("ab".repeat(1_000_000))).toBeUndefined();
  });
});
