import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readSolution } from "../../src/challenges/solution-input.ts";
import { anyJson } from "../mcp/json.ts";
import { challengeFor, solve } from "./keys.ts";

const BODY = "body: must be an object {id, salt, nonce, signature}";
const NONCE = "nonce: must be a string of 1 to 64 visible ASCII characters or spaces; a number goes in quotes";

describe("the body of a solution", () => {
  test("is read as it was sent, also when it is the whole challenge with the nonce added", async () => {
    const challenge = await challengeFor();
    const solution = solve(challenge);
    expect(readSolution(JSON.parse(JSON.stringify(solution)))).toEqual({ ok: true, solution });
    expect(readSolution({ ...challenge, nonce: solution.nonce })).toEqual({ ok: true, solution });
  });

  test("is told all that is wrong with it, each with its place", async () => {
    const solution = solve(await challengeFor());
    const problems = (changes: object) => {
      const read = readSolution({ ...solution, ...changes });
      return read.ok ? [] : read.problems;
    };
    expect(problems({ nonce: 12_345 })).toEqual([NONCE]);
    expect(problems({ nonce: "" })).toEqual([NONCE]);
    expect(problems({ nonce: "x".repeat(65) })).toEqual([NONCE]);
    expect(problems({ id: `${solution.id}A` })).toEqual(["id: must be the challenge's id, unchanged"]);
    expect(problems({ salt: null, signature: `${solution.signature}=` })).toEqual([
      "salt: must be the challenge's salt, unchanged",
      "signature: must be the challenge's signature, unchanged",
    ]);
    expect(readSolution({ id: solution.id })).toEqual({
      ok: false,
      problems: ["salt: is missing", "nonce: is missing", "signature: is missing"],
    });
  });

  test.each([null, undefined, "text", 7, true])("that is %j is told what it must be", (body) => {
    expect(readSolution(body)).toEqual({ ok: false, problems: [BODY] });
  });

  test("that is any JSON at all is refused, and none of it is repeated", () => {
    const secret = "marked-3f0c4c3e";
    const marked = fc.record({ id: fc.constant(secret), salt: anyJson, nonce: anyJson, signature: anyJson }, { requiredKeys: [] });
    fc.assert(
      fc.property(fc.oneof(anyJson, marked), (body) => {
        const read = readSolution(body);
        expect(read.ok).toBe(false);
        if (read.ok) return;
        expect(read.problems.length).toBeGreaterThan(0);
        expect(read.problems.join()).not.toContain(secret);
        for (const problem of read.problems) expect(problem).toMatch(/^(?:body|id|salt|nonce|signature): /);
      }),
      { numRuns: 500 },
    );
  });
});
