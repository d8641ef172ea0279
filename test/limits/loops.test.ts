import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createAccount } from "../../src/limits/account.ts";
import { ask } from "../../src/limits/ask.ts";
import { loopBit, type Watch } from "../../src/limits/limit.ts";
import { MAX_TRAIL } from "../../src/limits/trail.ts";
import { charge, createDisk, Instance, rateLimit, watch } from "./life.ts";

const START = Date.UTC(2026, 10, 21, 12);
const WIDE = rateLimit({ burst: 100_000, perMinute: 100_000 });
const HOUR_MS = 3_600_000;

function looping(...watches: Watch[]) {
  return { ...charge(1), watches };
}

const inARow = (fingerprint: number, calls = 3, windowMs = HOUR_MS): Watch => watch("in-a-row", fingerprint, calls, windowMs);
const turns = (fingerprint: number, calls = 6, windowMs = HOUR_MS): Watch => watch("taking-turns", fingerprint, calls, windowMs);

/** Sends calls one after the other, a minute apart, and tells which passed. */
function send(calls: readonly Watch[], apartMs = 60_000): boolean[] {
  const account = createAccount(1);
  return calls.map((one, i) => ask(account, [WIDE], [looping(one)], 0, START + i * apartMs).kind === "admit");
}

describe("one tool, whatever its arguments", () => {
  test("is stopped by its number of calls in the window, and other tools are not", () => {
    const account = createAccount(1);
    const search = (arguments_: number) => looping(watch("identical", arguments_, 10, 60_000), watch("same-tool", 7, 5, 60_000));
    for (let i = 0; i < 5; i++) expect(ask(account, [WIDE], [search(100 + i)], 0, START + i).kind).toBe("admit");
    expect(ask(account, [WIDE], [search(200)], 0, START + 10)).toMatchObject({
      kind: "refuse",
      cause: "repeat",
      violated: loopBit("same-tool"),
      retryAfterMs: 59_990,
    });
    expect(ask(account, [WIDE], [looping(watch("same-tool", 8, 5, 60_000))], 0, START + 10).kind).toBe("admit");
  });
});

describe("a run of one call", () => {
  test("is stopped although it is slower than any window, until the oldest of it is over", () => {
    const account = createAccount(1);
    for (let i = 0; i < 3; i++) expect(ask(account, [WIDE], [looping(inARow(7))], 0, START + i * 600_000).kind).toBe("admit");
    const refused = ask(account, [WIDE], [looping(inARow(7))], 0, START + 1_800_000);
    expect(refused).toMatchObject({ cause: "repeat", violated: loopBit("in-a-row"), retryAfterMs: 1_800_000 });
    expect(ask(account, [WIDE], [looping(inARow(7))], 0, START + 3_600_000).kind).toBe("admit");
  });

  test("ends with any other call that is watched", () => {
    expect(send([7, 7, 8, 7, 7, 7, 7].map((fingerprint) => inARow(fingerprint)))).toEqual([true, true, true, true, true, true, false]);
  });

  test("is found in a batch, and a batch that is one by itself is impossible", () => {
    const account = createAccount(1);
    ask(account, [WIDE], [looping(inARow(7)), looping(inARow(7))], 0, START);
    expect(ask(account, [WIDE], [looping(inARow(7)), looping(inARow(7))], 0, START + 1)).toMatchObject({ kind: "refuse", cause: "repeat" });
    const batch = [1, 2, 3, 4].map(() => looping(inARow(9)));
    expect(ask(account, [WIDE], batch, 0, START + 2)).toEqual({ kind: "impossible", violated: loopBit("in-a-row") });
  });
});

describe("two calls that take turns", () => {
  test("are stopped, both of them, and stay stopped", () => {
    expect(send([7, 8, 7, 8, 7, 8, 7, 8, 8, 7].map((fingerprint) => turns(fingerprint)))).toEqual([
      ...Array.from({ length: 6 }, () => true),
      false,
      false,
      false,
      false,
    ]);
  });

  test("are not, when other work is between them, or when one of them hardly occurs", () => {
    expect(send([7, 8, 7, 9, 8, 7, 8, 7, 8].map((fingerprint) => turns(fingerprint)))).not.toContain(false);
    expect(send([7, 7, 7, 7, 7, 8, 7].map((fingerprint) => turns(fingerprint)))).not.toContain(false);
  });

  test("a third call passes at any time", () => {
    expect(send([7, 8, 7, 8, 7, 8, 9, 7].map((fingerprint) => turns(fingerprint)))).not.toContain(false);
  });
});

describe("the order of calls", () => {
  test("is remembered in a bound, and over an eviction", () => {
    const disk = createDisk();
    const first = new Instance(disk);
    for (let i = 0; i < 3 * MAX_TRAIL; i++) first.ask([WIDE], [looping(inARow(7 + (i % 90), 90))], 0, START + i);
    expect(first.account.trail).toHaveLength(MAX_TRAIL);
    for (let i = 0; i < 3; i++) first.ask([WIDE], [looping(inARow(5))], 0, START + 10_000 + i);
    first.flush(START + 20_000);
    expect(first.afterCrash().ask([WIDE], [looping(inARow(5))], 0, START + 20_000)).toMatchObject({ cause: "repeat" });
  });

  test("tells a true time, and a clock that is set back makes nobody wait longer", () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 0, max: 400_000 })), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(steps, fc.integer({ min: 2, max: 8 }), fc.constantFrom(inARow, turns), (all, calls, rule) => {
        const account = createAccount(1);
        let now = START;
        for (const [fingerprint, nap] of all) {
          now += nap;
          const asked = [looping(rule(fingerprint, Math.max(4, calls)))];
          const verdict = ask(account, [WIDE], asked, 0, now);
          if (verdict.kind !== "refuse") continue;
          const copy = structuredClone(account);
          expect(ask(copy, [WIDE], asked, 0, now + verdict.retryAfterMs - 1).kind).toBe("refuse");
          expect(ask(copy, [WIDE], asked, 0, now + verdict.retryAfterMs).kind).toBe("admit");
          const back = structuredClone(account);
          expect(ask(back, [WIDE], asked, 0, now - HOUR_MS)).toMatchObject({ retryAfterMs: verdict.retryAfterMs });
        }
      }),
      { numRuns: 300 },
    );
  });

  test("can be watched without refusing anything", () => {
    const account = createAccount(1);
    const observed = [1, 2, 3, 4].map((i) => {
      const verdict = ask(account, [WIDE], [looping(watch("in-a-row", 7, 3, HOUR_MS, "observe"))], 0, START + i);
      return verdict.kind === "admit" ? verdict.observed : "refused";
    });
    expect(observed).toEqual([0, 0, 0, loopBit("in-a-row")]);
  });
});
