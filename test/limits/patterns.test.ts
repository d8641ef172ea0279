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
});
