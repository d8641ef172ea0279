import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BoundedCache } from "../../src/bounded-cache.ts";

describe("a bounded cache", () => {
  test("stays within its bound over 100,000 keys, and keeps what is in use", () => {
    const cache = new BoundedCache<number>(1_000);
    cache.set("in use", 7, Infinity);
    let most = 0;
    for (let i = 0; i < 100_000; i++) {
      cache.set(`key-${i}`, i, Infinity);
      if (i % 100 === 0) expect(cache.get("in use", 0)).toBe(7);
      most = Math.max(most, cache.size);
    }
    expect(most).toBeLessThanOrEqual(1_000);
    expect(cache.get("key-99999", 0)).toBe(99_999);
    expect(cache.get("key-0", 0)).toBeUndefined();
  });

  test("never tells what was not set last, or what has run out, and stays within its bound", () => {
    const step = fc.record({
      kind: fc.constantFrom("set", "set", "get"),
      key: fc.integer({ min: 0, max: 12 }).map(String),
      lifetime: fc.integer({ min: 0, max: 20 }),
    });
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 9 }), fc.array(step, { minLength: 1, maxLength: 100, size: "max" }), (bound, steps) => {
        const cache = new BoundedCache<number>(bound);
        const model = new Map<string, { value: number; until: number }>();
        for (const [now, { kind, key, lifetime }] of steps.entries()) {
          if (kind === "set") {
            cache.set(key, now, now + lifetime);
            model.set(key, { value: now, until: now + lifetime });
            if (lifetime > 0) expect(cache.get(key, now)).toBe(now);
          } else {
            const value = cache.get(key, now);
            const known = model.get(key);
            if (value !== undefined) expect(known !== undefined && now < known.until && known.value === value).toBe(true);
          }
          expect(cache.size).toBeLessThanOrEqual(bound);
        }
      }),
      { numRuns: 500 },
    );
  });
});
