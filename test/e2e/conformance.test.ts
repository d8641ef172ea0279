/** The official conformance suite finds the same things through the gate as without it, check by check, in both eras. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startFixture } from "../conformance/fixture.ts";
import { runSuite, sideBySide, type SuiteResult } from "../conformance/run-suite.ts";
import { policyText } from "../support/admin.ts";
import type { DualEraServer } from "../support/dual-era.ts";
import { type RunningGate, startGate } from "../support/gate.ts";

const PLENTY = 100_000;
/** The suite sends its requests in bursts, and the same ones again and again. */
const POLICY = policyText({
  plans: { anonymous: { rate: PLENTY } },
  repeats: { identical: 1_000 },
  handshake: { address: PLENTY },
});
/** What our fixture gets of the checks that count: all of them, so that there is something to lose. */
const REQUIRED = { "2025-11-25": 84, "2026-07-28": 164 } as const;
/** An extension that the fixture does not have; the suite runs it and does not score it. */
const UNSCORED = /^tasks-/;

/** The same with everything on that looks at calls and answers, takes slots or counts for the origin. */
const EVERYTHING = policyText({
  plans: { anonymous: { rate: PLENTY, concurrency: 500, streams: 500, tools: { "test_*": { rate: PLENTY, cost: 2 } } } },
  repeats: {
    identical: 1_000,
    sameTool: { calls: 1_000, withinSeconds: 60 },
    inARow: { calls: 100, withinSeconds: 1 },
    takingTurns: { calls: 100, withinSeconds: 1 },
  },
  handshake: { address: PLENTY },
  originQuota: { calls: PLENTY, per: "1h", readAnswers: true },
  ownTools: { prefix: "turnpike_" },
});

/** One for each side, so that what one run changes is not told to the other's subscriptions. */
let bare: DualEraServer;
let gated: DualEraServer;
let fullyGated: DualEraServer;
let gate: RunningGate;
let fullGate: RunningGate;
beforeAll(async () => {
  [bare, gated, fullyGated] = await Promise.all([startFixture(), startFixture(), startFixture()]);
  [gate, fullGate] = await Promise.all([
    startGate({ origin: gated.url, policy: POLICY }),
    startGate({ origin: fullyGated.url, policy: EVERYTHING }),
  ]);
});
afterAll(async () => {
  await Promise.all([gate.stop(), fullGate.stop()]);
  await Promise.all([bare.stop(), gated.stop(), fullyGated.stop()]);
});

describe.for(["2025-11-25", "2026-07-28"] as const)("the requirements of %s", (revision) => {
  let direct: SuiteResult;
  let throughGate: SuiteResult;
  let throughFullGate: SuiteResult;
  beforeAll(async () => {
    [direct, throughGate, throughFullGate] = (await Promise.all([bare, gate, fullGate].map(({ url }) => runSuite(url, revision)))) as [
      SuiteResult,
      SuiteResult,
      SuiteResult,
    ];
    console.log(`Conformance suite, requirements of ${revision}\n${sideBySide(direct, throughGate)}`);
  });

  it("are met by the fixture on its own", () => {
    const scored = [...direct].filter(([name]) => !UNSCORED.test(name));
    expect(scored.filter(([, result]) => result.failed > 0)).toEqual([]);
    expect([...direct.values()].reduce((sum, result) => sum + result.passed, 0)).toBeGreaterThanOrEqual(REQUIRED[revision]);
  });

  it("are met through the gate in the same checks, with the same outcomes", () => {
    expect([...throughGate.keys()]).toEqual([...direct.keys()]);
    for (const [name, result] of throughGate) expect({ name, ...result }).toEqual({ name, ...direct.get(name) });
  });

  it("are met in the same way with slots, loops, costs, the origin's quota and the gate's own tools on", () => {
    expect([...throughFullGate.keys()]).toEqual([...direct.keys()]);
    for (const [name, result] of throughFullGate) expect({ name, ...result }).toEqual({ name, ...direct.get(name) });
  });

  it("include protection against DNS rebinding, which the gate gives by itself", () => {
    expect(throughGate.get("dns-rebinding-protection")).toMatchObject({ passed: 2, failed: 0 });
  });
});
