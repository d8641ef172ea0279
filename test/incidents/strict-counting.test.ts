/**
 * "A burst of fifty calls in a second never gets past the ceiling": counted at the origin, with the gate killed in
 * the middle of the burst and with the gate alive throughout.
 */

import { afterAll, beforeAll, expect, it } from "vitest";
import { makeKey } from "../support/admin.ts";
import { scratch } from "../support/command.ts";
import { type RunningGate, startGate } from "../support/gate.ts";
import { postMessage, toolCall } from "../support/http.ts";
import { type Origin, startOrigin } from "../support/origin.ts";

/** The default policy's plan `free`. */
const FREE = 30;
const PER_MS = FREE / 60_000;
const BURST = 200;
/** What a crash may cost its consumer: an eighth of the burst, written off in advance. */
const MOST_LOST = Math.ceil(FREE / 8);
const NOW = { Prefer: "wait=0" };

/** Outlives the gate that is killed. */
const state = scratch();
let origin: Origin;
let gate: RunningGate;
beforeAll(async () => {
  origin = await startOrigin();
  gate = await startGate({ origin: origin.url, state });
});
afterAll(async () => {
  await gate.stop();
  await origin.stop();
});

/** Calls of one key, all sent at once; what becomes of each. */
async function burst(key: string, calls: number, name: string): Promise<(number | "no answer")[]> {
  return Promise.all(
    Array.from({ length: calls }, async (_, i) => {
      try {
        return (await postMessage(gate.url, toolCall(name, { i }, i), { "X-API-Key": key, ...NOW })).status;
      } catch {
        return "no answer";
      }
    }),
  );
}

/** Calls with this tool's name that the origin got. */
function reached(name: string): number {
  return origin.seen.filter((seen) => seen.body.includes(`"name":"${name}"`)).length;
}

/** Tokens that the bucket can have won back since `start`. */
function refilledSince(start: number): number {
  return Math.floor((Date.now() - start) * PER_MS);
}

it(`of ${BURST} calls at once, no more than ${FREE} reach the origin although the gate is killed half-way and started again`, async () => {
  const [torn, calm] = await Promise.all([makeKey(gate, "free"), makeKey(gate, "free")]);
  const start = Date.now();
  // One consumer has spent half of its plan and waits; another is in the middle of a burst.
  expect(await burst(calm.key, FREE / 2, "calm")).toEqual(Array.from({ length: FREE / 2 }, () => 200));
  const tornBurst = burst(torn.key, BURST, "torn");
  while (reached("torn") < FREE / 2) await origin.next();
  await gate.kill();
  const before = await tornBurst;
  const reachedBefore = reached("torn");

  gate = await startGate({ origin: origin.url, state });
  await burst(torn.key, BURST, "torn");
  await burst(calm.key, BURST, "calm");
  const refilled = refilledSince(start);
  console.log(
    `crash: the gate was killed after ${reachedBefore} of a burst of ${BURST} had reached the origin (${before.filter((outcome) => outcome === "no answer").length} calls got no answer); ` +
      `after the restart ${reached("torn") - reachedBefore} more did, ${reached("torn")} in all. ` +
      `Another consumer had ${FREE / 2} calls before the crash and ${reached("calm") - FREE / 2} after it. ` +
      `${refilled} tokens were refilled in the ${Date.now() - start} ms that it took`,
  );
  expect(reached("torn")).toBeLessThanOrEqual(FREE + refilled);
  expect(reached("calm")).toBeLessThanOrEqual(FREE + refilled);
  expect(reached("calm")).toBeGreaterThanOrEqual(FREE - MOST_LOST);
});

it(`of ${BURST} calls at once on "free", ${FREE} reach the origin`, async () => {
  const { key } = await makeKey(gate, "free");
  const start = Date.now();
  const outcomes = await burst(key, BURST, "burst");
  const tookMs = Date.now() - start;
  const refilled = refilledSince(start);
  const admitted = outcomes.filter((outcome) => outcome === 200).length;
  console.log(`burst: ${admitted} of ${BURST} concurrent calls on "free" (${FREE} a minute) were admitted, in ${tookMs} ms`);
  expect(outcomes.filter((outcome) => outcome !== 200 && outcome !== 402)).toEqual([]);
  expect(reached("burst")).toBe(admitted);
  expect(admitted).toBeGreaterThanOrEqual(FREE);
  expect(admitted).toBeLessThanOrEqual(FREE + refilled);
});
