import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  coversSlots,
  createSlots,
  exactSlots,
  giveSlotsBack,
  type LeaseTicket,
  NO_SLOTS,
  renewSlots,
  type Slots,
  slotsAhead,
  slotsInUse,
  type StoredSlots,
  takeSlots,
} from "../../src/limits/slots.ts";

const START = Date.UTC(2026, 10, 21, 12);
const LEASE_MS = 30_000;

describe("slots", () => {
  test("are lent up to their number, given back once, and run out by themselves", () => {
    const slots = createSlots();
    const first = takeSlots(slots, 1, 2, 3, START)!;
    expect(takeSlots(slots, 2, 2, 3, START)).toBeNull();
    expect(takeSlots(slots, 3, 1, 3, START)).not.toBeNull();
    giveSlotsBack(slots, first, START + 1);
    giveSlotsBack(slots, first, START + 1);
    expect(slotsInUse(slots, START + 1)).toBe(1);
    expect(slotsInUse(slots, START + LEASE_MS - 1)).toBe(1);
    expect(slotsInUse(slots, START + LEASE_MS)).toBe(0);
    expect(renewSlots(slots, { ...first, id: 3 }, START + LEASE_MS)).toBeNull();
  });

  test("of what has been open for long are renewed for longer, and never for more than five minutes", () => {
    const slots = createSlots();
    let lease = takeSlots(slots, 1, 1, 1, START)!;
    const lengths: number[] = [];
    for (let now = START; now < START + 3_600_000; now += lease.forMs / 2) {
      lease = renewSlots(slots, lease, now)!;
      lengths.push(lease.until - now);
    }
    expect(lengths[0]).toBe(LEASE_MS);
    expect(Math.max(...lengths)).toBe(300_000);
  });
});

/** A gate and an object that can crash: what the object lends is never more than its number, whatever happens. */
type Step = { readonly what: "take" | "give" | "renew" | "vanish" | "crash" | "flush"; readonly napMs: number; readonly which: number };

const aStep: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom("take", "take", "take", "give", "renew", "vanish", "crash", "flush"),
  napMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 20_000 })),
  which: fc.nat({ max: 50 }),
});

describe("over crashes", () => {
  test("never more are in use than the number, as long as gates renew in time; and all of them come back", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.array(aStep, { minLength: 1, maxLength: 120, size: "max" }), (most, steps) => {
        let stored: StoredSlots = NO_SLOTS;
        let slots: Slots = createSlots();
        let nextId = 0;
        let now = START;
        const held: LeaseTicket[] = [];
        const keep = (): void => {
          if (!coversSlots(stored, slots, now)) stored = slotsAhead(slots, now);
        };
        for (const { what, napMs, which } of steps) {
          now += napMs;
          // A gate renews in time, or takes its call for over.
          for (const [i, lease] of held.entries()) {
            if (lease.until > now + LEASE_MS / 3) continue;
            const renewed = lease.until > now ? renewSlots(slots, lease, now) : null;
            if (renewed) held[i] = renewed;
            else held.splice(i, 1, { ...lease, until: -1 });
          }
          for (let i = held.length - 1; i >= 0; i--) if (held[i]!.until < 0) held.splice(i, 1);
          keep();
          const at = which % Math.max(1, held.length);
          if (what === "take") {
            const lease = takeSlots(slots, nextId++, 1, most, now);
            if (lease) held.push(lease);
          } else if (what === "give" && held.length > 0) {
            giveSlotsBack(slots, held.splice(at, 1)[0]!, now);
          } else if (what === "vanish" && held.length > 0) {
            held.splice(at, 1);
          } else if (what === "crash") {
            slots = createSlots(stored);
          } else if (what === "flush") {
            stored = exactSlots(slots, now);
          }
          keep();
          expect(held.length).toBeLessThanOrEqual(most);
          expect(slotsInUse(slots, now)).toBeGreaterThanOrEqual(held.length);
        }
        expect(slotsInUse(slots, now + 2 * 300_000)).toBe(0);
      }),
      { numRuns: 500 },
    );
  });
});
