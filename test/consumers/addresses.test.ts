import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addressConsumer, isInRange, parseRange } from "../../src/consumers/addresses.ts";

function text(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(":");
}

describe("a caller by address", () => {
  test.each([
    ["192.0.2.7", "addr:192.0.2.7"],
    ["::ffff:192.0.2.7", "addr:192.0.2.7"],
    ["::ffff:c000:207", "addr:192.0.2.7"],
    ["2001:db8:1:2:3:4:5:6", "addr:2001:db8:1:2::/64"],
    ["2001:DB8:1:2::", "addr:2001:db8:1:2::/64"],
    ["2001:0db8:0001:0002:ffff:ffff:ffff:ffff", "addr:2001:db8:1:2::/64"],
    ["::1", "addr:::/64"],
  ])("%s is %s", (address, consumer) => {
    expect(addressConsumer(address)).toBe(consumer);
  });

  test.each(["", "unknown", "192.0.2", "192.0.2.256", "2001:db8::1::2", "192.0.2.7, 198.51.100.1", "[::1]", "192.0.2.7:80"])(
    "%j is none",
    (text) => {
      expect(addressConsumer(text)).toBeNull();
    },
  );

  test("one /64 is one caller, the next is another", () => {
    const groups = fc.array(fc.integer({ min: 1, max: 0xffff }), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(groups, groups, (one, other) => {
        const sameNetwork = [...one.slice(0, 4), ...other.slice(4)];
        expect(addressConsumer(text(sameNetwork))).toBe(addressConsumer(text(one)));
        const neighbour = [...one.slice(0, 3), one[3]! ^ 1, ...one.slice(4)];
        expect(addressConsumer(text(neighbour))).not.toBe(addressConsumer(text(one)));
      }),
      { numRuns: 300 },
    );
  });

  test("no text makes it throw", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-fx.:%/]{0,24}$/)), (text) => {
        const consumer = addressConsumer(text);
        if (consumer !== null) expect(consumer).toMatch(/^addr:/);
      }),
      { numRuns: 2_000, examples: [["fe80::1%eth0"], ["fe80::1%1"]] },
    );
  });
});

describe("a range that strangers share", () => {
  test.each([
    ["192.0.2.0/24", "192.0.2.255", true],
    ["192.0.2.0/24", "192.0.3.0", false],
    ["192.0.2.0/24", "::ffff:192.0.2.9", true],
    ["192.0.2.7/32", "192.0.2.7", true],
    ["0.0.0.0/0", "203.0.113.1", true],
    ["0.0.0.0/0", "2001:db8::1", false],
    ["2001:db8::/32", "2001:db8:ffff::1", true],
    ["2001:db8::/32", "2001:db9::1", false],
    ["2001:db8::/32", "192.0.2.1", false],
    ["192.0.2.0/24", "no address", false],
  ])("%s holds %s: %s", (range, address, expected) => {
    expect(isInRange(address, parseRange(range)!)).toBe(expected);
  });

  test.each(["", "192.0.2.0", "192.0.2.0/33", "2001:db8::/129", "192.0.2.0/-1", "a/8", "192.0.2.0/24/8", "192.0.2/24", "10/8"])(
    "%j is none",
    (text) => {
      expect(parseRange(text)).toBeNull();
    },
  );
});
