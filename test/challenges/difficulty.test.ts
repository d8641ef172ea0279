import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  DEFAULT_BOUNDS,
  difficultyFor,
  EASE_MS,
  isTooOld,
  MAX_RAISE_BITS,
  MAX_SOLVES_SINCE_ISSUE,
  NO_SOLVES,
  recordSolve,
  shiftSolves,
  type Solves,
} from "../../src/challenges/difficulty.ts";
import { NOW } from "./keys.ts";

const bounds = fc.tuple(fc.integer({ min: 1, max: 24 }), fc.nat(10)).map(([base, more]) => ({ base, max: base + more }));

function solved(times: number, now: number, from: Solves = NO_SOLVES): Solves {
  let solves = from;
  for (let i = 0; i < times; i++) solves = recordSolve(solves, now);
  return solves;
}

describe("difficulty", () => {
  test("starts at the base, rises a bit with each solve, and stops at the most", () => {
    const bits = Array.from({ length: 7 }, (_, i) => difficultyFor(solved(i, NOW), DEFAULT_BOUNDS, NOW));
    expect(bits).toEqual([18, 19, 20, 21, 22, 22, 22]);
  });

  test("falls by a bit for each minute without a solve, down to the base", () => {
    const solves = solved(3, NOW);
    const after = (ms: number) => difficultyFor(solves, DEFAULT_BOUNDS, NOW + ms);
    expect([0, 59_999, 60_000, 119_999, 120_000, 179_999, 180_000, 10 ** 12].map(after)).toEqual([21, 21, 20, 20, 19, 19, 18, 18]);
  });

  test("is at the base again six minutes after the last solve, however many there were", () => {
    const solves = solved(1_000, NOW);
    expect(solves.count).toBe(1_000);
    expect(difficultyFor(solves, DEFAULT_BOUNDS, NOW + MAX_RAISE_BITS * EASE_MS - 1)).toBe(19);
    expect(difficultyFor(solves, DEFAULT_BOUNDS, NOW + MAX_RAISE_BITS * EASE_MS)).toBe(18);
  });

  test("is the base for who solves once a minute, or less often", () => {
    let solves = NO_SOLVES;
    for (let now = NOW; now < NOW + 20 * EASE_MS; now += EASE_MS) {
      expect(difficultyFor(solves, DEFAULT_BOUNDS, now)).toBe(18);
      solves = recordSolve(solves, now);
    }
  });

  test("keeps to what the plan sets, and is the same for all when base and most are the same", () => {
    expect(difficultyFor(solved(9, NOW), { base: 10, max: 12 }, NOW)).toBe(12);
    expect(difficultyFor(solved(9, NOW), { base: 20, max: 20 }, NOW)).toBe(20);
    expect(difficultyFor(NO_SOLVES, { base: 20, max: 20 }, NOW)).toBe(20);
  });

  test("is what the log of all solves says, at any time", () => {
    const steps = fc.array(fc.record({ nap: fc.integer({ min: 0, max: 200_000 }), isSolve: fc.boolean() }), { maxLength: 60 });
    fc.assert(
      fc.property(steps, bounds, (life, { base, max }) => {
        let solves = NO_SOLVES;
        let now = NOW;
        // What is still to be taken away, in milliseconds: the slow, obvious way.
        let raisedMs = 0;
        for (const { nap, isSolve } of life) {
          now += nap;
          raisedMs = Math.max(0, raisedMs - nap);
          if (isSolve) {
            raisedMs = Math.min(raisedMs + EASE_MS, MAX_RAISE_BITS * EASE_MS);
            solves = recordSolve(solves, now);
          }
          expect(difficultyFor(solves, { base, max }, now)).toBe(Math.min(max, base + Math.ceil(raisedMs / EASE_MS)));
        }
        expect(solves.count).toBe(life.filter(({ isSolve }) => isSolve).length);
      }),
      { numRuns: 500 },
    );
  });

  test("of a clock that was set back is the same once the times have moved with it, and within the bounds where they have not", () => {
    fc.assert(
      fc.property(fc.nat(10), fc.nat(10 ** 9), bounds, (times, backMs, within) => {
        const solves = solved(times, NOW);
        const moved = shiftSolves(solves, backMs);
        expect(difficultyFor(moved, within, NOW - backMs)).toBe(difficultyFor(solves, within, NOW));
        expect(moved.count).toBe(times);
        expect(difficultyFor(solves, within, NOW - backMs)).toBeLessThanOrEqual(Math.min(within.max, within.base + MAX_RAISE_BITS));
        const next = recordSolve(solves, NOW - backMs);
        expect(difficultyFor(next, within, NOW - backMs + MAX_RAISE_BITS * EASE_MS)).toBe(within.base);
      }),
      { numRuns: 300 },
    );
  });
});

describe("a challenge", () => {
  test("is accepted up to four solves after it was issued, so that cheap ones cannot be hoarded", () => {
    const issued = solved(10, NOW);
    const later = (times: number) => isTooOld(solved(times, NOW, issued), issued.count);
    expect(Array.from({ length: 7 }, (_, times) => later(times))).toEqual([false, false, false, false, false, true, true]);
    expect(MAX_SOLVES_SINCE_ISSUE).toBe(4);
  });

  test("from before its account was forgotten is too old", () => {
    expect(isTooOld(NO_SOLVES, 1)).toBe(true);
    expect(isTooOld(NO_SOLVES, 0)).toBe(false);
  });

  test("hoarded while it was cheap is worth five solves and no more, however many there are", () => {
    let account = NO_SOLVES;
    const hoard = Array.from({ length: 100 }, () => account.count);
    let counted = 0;
    for (const solvesAtIssue of hoard) {
      if (isTooOld(account, solvesAtIssue)) continue;
      account = recordSolve(account, NOW);
      counted++;
    }
    expect(counted).toBe(MAX_SOLVES_SINCE_ISSUE + 1);
  });
});
