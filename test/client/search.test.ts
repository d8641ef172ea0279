import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_TRIES, searchNonces } from "../../src/client/solve/search.ts";
import { zeroBits } from "../support/challenge-gate.ts";

/** Every length around the edges of SHA-256's blocks, and characters of one to four bytes. */
const salts = fc.oneof(
  fc.nat({ max: 200 }).map((length) => "s".repeat(length)),
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.constantFrom("", "salz-für-dich", "塩", "🧂🧂"),
);

describe("searchNonces", () => {
  it("finds nonces that SHA-256 itself agrees with, whatever the salt", () => {
    fc.assert(
      fc.property(salts, fc.integer({ min: 0, max: 9 }), (salt, difficulty) => {
        const { nonce } = searchNonces(salt, difficulty, 0, 1e6);
        expect(zeroBits(salt + nonce)).toBeGreaterThanOrEqual(difficulty);
      }),
    );
  });

  it("does so for salts of every length, around the ends of blocks and words", () => {
    for (let length = 0; length <= 130; length++) {
      const salt = "x".repeat(length);
      expect(zeroBits(salt + searchNonces(salt, 8, 0, 1e6).nonce), `${length} characters`).toBeGreaterThanOrEqual(8);
    }
  });

  it("does so where the counter carries into its higher characters", () => {
    for (const carry of [64, 4_096, 64 ** 3, 64 ** 4]) {
      const { nonce, tries } = searchNonces("carry", 10, carry - 1, 1e6);
      expect(tries).toBeGreaterThan(1);
      expect(zeroBits(`carry${nonce}`)).toBeGreaterThanOrEqual(10);
    }
  });

  it("finds the same nonce however the tries are dealt out, and says how many it took", () => {
    fc.assert(
      fc.property(salts, fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }), (salt, lengths) => {
        const whole = searchNonces(salt, 9, 0, 1e6);
        let start = 0;
        for (let i = 0; ; i++) {
          const count = lengths[i % lengths.length]!;
          const part = searchNonces(salt, 9, start, count);
          if (part.nonce !== null) {
            expect(part.nonce).toBe(whole.nonce);
            expect(start + part.tries).toBe(whole.tries);
            return;
          }
          expect(part.tries).toBe(count);
          start += count;
        }
      }),
    );
  });

  it("misses none: what is passed over does not solve it", () => {
    const found = searchNonces("none-is-missed", 7, 0, 1e6);
    for (let n = 0; n < found.tries - 1; n++)
      expect(zeroBits(`none-is-missed${searchNonces("none-is-missed", 0, n, 1).nonce}`)).toBeLessThan(7);
  });

  it("uses nonces that every gate takes: visible ASCII, at most 54 characters", () => {
    fc.assert(
      fc.property(
        salts,
        fc.maxSafeNat().map((n) => n % MAX_TRIES),
        (salt, start) => {
          expect(searchNonces(salt, 0, start, 1).nonce).toMatch(/^[\w-]{7,54}$/);
        },
      ),
    );
  });

  it("never tries a nonce twice", () => {
    const edges = [0, 1, 63, 64, 4_095, 262_143, 262_144, 262_145, 16_777_216, MAX_TRIES - 1];
    const nonces = new Set(edges.map((n) => searchNonces("once", 0, n, 1).nonce));
    expect(nonces.size).toBe(edges.length);
  });

  it("has nothing to find behind the last nonce", () => {
    expect(searchNonces("s", 0, MAX_TRIES, 10)).toEqual({ nonce: null, tries: 0 });
  });
});
