import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fingerprint } from "../../src/mcp/fingerprint.ts";
import { anyJson, aRecord } from "./json.ts";

type Params = Record<string, unknown>;

/** The same JSON with the keys of every object in another order. */
function shuffled(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(shuffled);
  if (typeof json !== "object" || json === null) return json;
  const copy: Params = {};
  for (const [key, value] of Object.entries(json).toReversed())
    Object.defineProperty(copy, key, { value: shuffled(value), enumerable: true });
  return copy;
}

/** JSON with sorted keys: equal texts are equal calls. */
function canonical(json: unknown): string {
  if (Array.isArray(json)) return `[${json.map(canonical).join()}]`;
  if (typeof json !== "object" || json === null) return JSON.stringify(json);
  const entries = Object.entries(json).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${canonical(value)}`).join()}}`;
}

describe("a fingerprint", () => {
  test("does not depend on the order of keys, on _meta, or on how the text was spelled", () => {
    fc.assert(
      fc.property(aRecord, anyJson, anyJson, (params, meta, otherMeta) => {
        const parsed = JSON.parse(JSON.stringify(params, null, 2)) as Params;
        const one = fingerprint("tools/call", { ...parsed, _meta: meta });
        expect(fingerprint("tools/call", { ...(shuffled(parsed) as Params), _meta: otherMeta })).toBe(one);
        const { _meta: _gone, ...bare } = parsed;
        expect(fingerprint("tools/call", bare)).toBe(one);
      }),
      { numRuns: 500 },
    );
  });

  test("is a positive integer that a number holds exactly", () => {
    fc.assert(
      fc.property(fc.string(), aRecord, (method, params) => {
        const print = fingerprint(method, params);
        expect(Number.isSafeInteger(print)).toBe(true);
        expect(print).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });

  test.each<[string, [string, Params], [string, Params]]>([
    ["the method", ["tools/call", { name: "a" }], ["prompts/get", { name: "a" }]],
    ["the name", ["tools/call", { name: "a" }], ["tools/call", { name: "b" }]],
    ["an argument", ["tools/call", { arguments: { a: 1 } }], ["tools/call", { arguments: { a: 2 } }]],
    ["the type of an argument", ["tools/call", { arguments: { a: 1 } }], ["tools/call", { arguments: { a: "1" } }]],
    ["null and its text", ["tools/call", { arguments: { a: null } }], ["tools/call", { arguments: { a: "null" } }]],
    ["true and its text", ["tools/call", { arguments: { a: true } }], ["tools/call", { arguments: { a: "true" } }]],
    ["an empty list and an empty object", ["tools/call", { arguments: { a: [] } }], ["tools/call", { arguments: { a: {} } }]],
    ["the order of a list", ["tools/call", { arguments: { a: [1, 2] } }], ["tools/call", { arguments: { a: [2, 1] } }]],
    ["where a list ends", ["tools/call", { arguments: { a: [[1], 2] } }], ["tools/call", { arguments: { a: [[1, 2]] } }]],
    ["where a text ends", ["tools/call", { arguments: { a: "bc", d: "" } }], ["tools/call", { arguments: { a: "b", cd: "" } }]],
    [
      "the answer to the server's question",
      ["tools/call", { name: "a", inputResponses: { q: 1 } }],
      ["tools/call", { name: "a", inputResponses: { q: 2 } }],
    ],
    ["being an answer at all", ["tools/call", { name: "a" }], ["tools/call", { name: "a", inputResponses: {} }]],
    ["the request's state", ["tools/call", { name: "a", requestState: "s1" }], ["tools/call", { name: "a", requestState: "s2" }]],
    ["a _meta that is an argument", ["tools/call", { arguments: { _meta: 1 } }], ["tools/call", { arguments: { _meta: 2 } }]],
  ])("depends on %s", (_what, one, other) => {
    expect(fingerprint(...one)).not.toBe(fingerprint(...other));
  });

  test("of different calls differ: no collision over generated arguments", () => {
    const seen = new Map<number, string>();
    fc.assert(
      fc.property(fc.array(aRecord, { minLength: 20, maxLength: 20 }), (many) => {
        for (const args of many) {
          const json = JSON.parse(JSON.stringify(args)) as Params;
          const text = canonical(json);
          const print = fingerprint("tools/call", { name: "x", arguments: json });
          expect(seen.get(print) ?? text).toBe(text);
          seen.set(print, text);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("of neighbours differ: pages, offsets, pairs of numbers, long texts that differ in one place", () => {
    const seen = new Set<number>();
    let calls = 0;
    const call = (args: Params): void => {
      seen.add(fingerprint("tools/call", { name: "read", arguments: args }));
      calls++;
    };
    for (let page = 0; page < 20_000; page++) call({ page });
    for (let x = 0; x < 150; x++) for (let y = 0; y < 150; y++) call({ x, y });
    for (let i = 0; i < 2_000; i++) call({ text: `${"a".repeat(i)}b${"a".repeat(2_000 - i)}` });
    for (let i = 0; i < 20_000; i++) call({ path: `/home/user/file-${i.toString(36)}.txt` });
    for (let bits = 0; bits < 4_096; bits++) call({ flags: Array.from({ length: 12 }, (_, i) => ((bits >> i) & 1) === 1) });
    expect(seen.size).toBe(calls);
  });
});
