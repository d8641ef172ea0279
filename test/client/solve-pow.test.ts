import { describe, expect, it } from "vitest";
import type { PowChallenge } from "../../src/client/pow-challenge.ts";
import { estimate, type SolveProgress } from "../../src/client/solve/estimate.ts";
import { solvePow } from "../../src/client/solve/solve-pow.ts";
import { zeroBits } from "../support/challenge-gate.ts";

let count = 0;
function challenge(difficulty: number, more: Partial<PowChallenge> = {}): PowChallenge {
  return { type: "pow", algorithm: "SHA-256", id: "the-id", salt: `salt-${++count}-${process.pid}`, difficulty, signature: "sig", ...more };
}

/** No machine solves this while a test runs. */
const ENDLESS = 32;

describe("solvePow", () => {
  it.each([0, 1, 12, 17])("solves %i bits, and hands back what the gate wants to see", async (difficulty) => {
    const asked = challenge(difficulty);
    const solved = await solvePow(asked);
    if (!solved.ok) throw new Error(solved.why);
    const { nonce, ...rest } = solved.solution;
    expect(rest).toEqual({ id: "the-id", salt: asked.salt, signature: "sig" });
    expect(zeroBits(asked.salt + nonce)).toBeGreaterThanOrEqual(difficulty);
    expect(solved.tries).toBeGreaterThan(0);
  });

  it("does not begin what is harder than allowed", async () => {
    let isBegun = false;
    const onProgress = (): void => void (isBegun = true);
    expect(await solvePow(challenge(23), { onProgress })).toEqual({ ok: false, why: "too-hard" });
    expect(await solvePow(challenge(15), { maxDifficulty: 14, onProgress })).toEqual({ ok: false, why: "too-hard" });
    expect(await solvePow(challenge(33), { maxDifficulty: 99, onProgress })).toEqual({ ok: false, why: "too-hard" });
    expect(isBegun).toBe(false);
  });

  it("does not work on what has expired, nor on for longer than it is good for", async () => {
    expect(await solvePow(challenge(1, { expiresAt: new Date(Date.now() - 1).toISOString() }))).toEqual({ ok: false, why: "expired" });
    const soon = challenge(ENDLESS, { expiresAt: new Date(Date.now() + 300).toISOString() });
    expect(await solvePow(soon, { maxDifficulty: ENDLESS })).toEqual({ ok: false, why: "expired" });
  });

  it("stops at once when it is cancelled: while it works, while it waits for its turn, and before", async () => {
    const first = new AbortController();
    const second = new AbortController();
    const working = solvePow(challenge(ENDLESS), { maxDifficulty: ENDLESS, signal: first.signal });
    const waiting = solvePow(challenge(1), { signal: second.signal });
    const next = solvePow(challenge(1));
    second.abort();
    expect(await waiting).toEqual({ ok: false, why: "aborted" });
    first.abort();
    expect(await working).toEqual({ ok: false, why: "aborted" });
    expect((await next).ok).toBe(true);
    expect(await solvePow(challenge(1), { signal: AbortSignal.abort() })).toEqual({ ok: false, why: "aborted" });
  });

  it("tells how it goes, and leaves the event loop free", async () => {
    const aborter = new AbortController();
    const told: SolveProgress[] = [];
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 5);
    const onProgress = (progress: SolveProgress): void => {
      told.push(progress);
      if (told.length === 3) aborter.abort();
    };
    await solvePow(challenge(ENDLESS), { maxDifficulty: ENDLESS, signal: aborter.signal, onProgress });
    clearInterval(ticking);
    expect(ticks).toBeGreaterThan(3);
    expect(told).toHaveLength(3);
    expect(told[2]!.tries).toBeGreaterThan(told[0]!.tries);
    expect(told[2]!.hashesPerSecond).toBeGreaterThan(10_000);
  });

  it("solves several at once one after the other", async () => {
    const solved = await Promise.all(Array.from({ length: 6 }, () => solvePow(challenge(12))));
    expect(solved.every(({ ok }) => ok)).toBe(true);
  });
});

describe("estimate", () => {
  it("is as long after a million tries as after the first: a proof has no memory", () => {
    const early = estimate(20, 1_000, 1);
    const late = estimate(20, 1_000_000, 1_000);
    expect(early.expectedMs).toBeCloseTo(1_048.576);
    expect(late.expectedMs).toBe(early.expectedMs);
    expect(late.likelyWithinMs).toBeCloseTo(1_048.576 * Math.log(10));
  });

  it("says nothing where the clock stands still", () => {
    expect(estimate(20, 1_000, 0)).toMatchObject({ hashesPerSecond: null, expectedMs: null, likelyWithinMs: null });
  });
});
