import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SolveSpeed } from "../../src/client/solve/speed.ts";

describe("the speed of this machine", () => {
  it("is assumed at first, and comes close to what is measured within a few proofs", () => {
    fc.assert(
      fc.property(fc.integer({ min: 50, max: 50_000 }), (triesPerMs) => {
        const speed = new SolveSpeed();
        for (let i = 0; i < 8; i++) speed.learn(triesPerMs * 1_000, 1_000);
        expect(speed.expectedMs(18) / (2 ** 18 / triesPerMs)).toBeGreaterThan(0.9);
        expect(speed.expectedMs(18) / (2 ** 18 / triesPerMs)).toBeLessThan(1.1);
      }),
    );
  });

  it("is not judged by one proof that luck has found while the workers started", () => {
    const speed = new SolveSpeed();
    const before = speed.expectedMs(19);
    speed.learn(8_192, 30);
    expect(speed.expectedMs(19)).toBeLessThan(before * 1.2);
  });

  it("follows a machine that has become busy, and one that no longer is", () => {
    const speed = new SolveSpeed();
    const calm = 2 ** 18 / 5_000;
    for (let i = 0; i < 6; i++) speed.learn(1_000_000, 200);
    for (let i = 0; i < 4; i++) speed.learn(250_000, 1_000);
    expect(speed.expectedMs(18)).toBeGreaterThan(calm * 8);
    for (let i = 0; i < 12; i++) speed.learn(1_000_000, 200);
    expect(speed.expectedMs(18)).toBeLessThan(calm * 1.6);
  });

  it("learns nothing where the clock stands still", () => {
    const speed = new SolveSpeed();
    const before = speed.expectedMs(18);
    for (let i = 0; i < 5; i++) speed.learn(1_000_000, 0);
    expect(speed.expectedMs(18)).toBe(before);
  });
});
