import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Lane } from "../../src/mcp/lanes.ts";
import { refusalAnswer } from "../../src/refusals/answer.ts";
import {
  badMessageAnswer,
  foreignAnswer,
  goneAnswer,
  impossibleAnswer,
  originUnreachableAnswer,
  strangerAnswer,
  unknownPlanAnswer,
} from "../../src/refusals/gate-errors.ts";
import { duration, LONG_WAIT_MS, wordRefusal } from "../../src/refusals/wording.ts";
import {
  aRefusal,
  anyLimit,
  askedWith,
  DAILY,
  HANDSHAKE,
  L402,
  NOW,
  POW,
  RATE,
  REQUEST_ID,
  toolCall,
  LOOP_AND_ORIGIN,
} from "./a-refusal.ts";

/** What mcp-remote takes for something else when it reads it in the text of a failed connection. */
const TAKEN_FOR_ELSE = ["404", "405", "Not Found", "Method Not Allowed"];

describe("what a model reads", () => {
  test("names what was hit, how long to wait and what happens sooner", () => {
    expect(wordRefusal(aRefusal())).toBe(
      'Rate limit reached on plan "free": 30 calls a minute. Wait 12 seconds, then send the same call again; sooner, it will be refused again.',
    );
  });

  test("says what each way on asks for and what it buys, in the order of the offers", () => {
    const pay =
      'pay the Lightning invoice under "challenges" in this error\'s data (30 sats for 10 calls), and send the same call again with the header "Authorization: L402 <macaroon>:<preimage>"';
    const work = 'solve the proof of work there, POST the solution to its "verify" URL, and send the same call again';
    expect(wordRefusal(aRefusal({ challenges: [L402, POW] }))).toBe(`${wordRefusal(aRefusal())} Or go on at once: ${pay}; or ${work}.`);
    expect(wordRefusal(aRefusal({ challenges: [{ ...L402, calls: 1 }] }))).toContain("(30 sats for 1 call)");
  });

  test("says that paying is not possible at the moment, with the other way on and without one", () => {
    const away = " Paying is not possible at the moment.";
    expect(wordRefusal(aRefusal({ isPaymentAway: true, challenges: [] }))).toBe(wordRefusal(aRefusal()) + away);
    const text = wordRefusal(aRefusal({ isPaymentAway: true, challenges: [POW] }));
    expect(text).toContain(`${away} Or go on at once: solve the proof of work under "challenges"`);
  });

  test("of a loop says that the same call will not help", () => {
    const text = wordRefusal(aRefusal({ cause: "repeat", violated: [], loop: { kind: "identical", calls: 10, windowMs: 60_000 } }));
    expect(text).toContain("10 times within 60 seconds");
    expect(text).toContain("Sending it again will not help");
    expect(text).toContain("12 seconds");
  });

  test("of a wait longer than a minute says to stop, and until when", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: LONG_WAIT_MS + 1, max: 40 * 86_400_000 }),
        fc.constantFrom("rate" as const, "quota" as const),
        (retryAfterMs, cause) => {
          const text = wordRefusal(aRefusal({ retryAfterMs, cause, violated: [DAILY] }));
          expect(text).toMatch(/do not wait/i);
          expect(text).toContain("stop");
          const until = Date.parse(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/.exec(text)![0]);
          expect(until).toBeGreaterThanOrEqual(NOW + retryAfterMs);
          expect(until).toBeLessThan(NOW + retryAfterMs + 1_000);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("of a wait up to a minute says how long, never less than the true time", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: LONG_WAIT_MS }), (retryAfterMs) => {
        const text = wordRefusal(aRefusal({ retryAfterMs }));
        const seconds = Number(/Wait (\d+) seconds?,/.exec(text)![1]);
        expect(seconds).toBe(Math.ceil(retryAfterMs / 1_000));
      }),
      { numRuns: 200 },
    );
  });

  test("says about where the time cannot be known", () => {
    expect(wordRefusal(aRefusal({ isEstimated: true }))).toContain("Wait about 12 seconds");
  });

  test.each([
    [1, "1 second"],
    [1_001, "2 seconds"],
    [60_000, "60 seconds"],
    [90_000, "90 seconds"],
    [900_000, "15 minutes"],
    [7_200_000, "2 hours"],
    [604_800_000, "7 days"],
  ])("%i ms are %s", (ms, words) => {
    expect(duration(ms)).toBe(words);
  });
});

describe("words that clients take for something else", () => {
  const lanes = fc.constantFrom<Lane>("handshake", "stream", "unmetered");

  test("are in no refusal of the handshake, for any time told", async () => {
    await fc.assert(
      fc.asyncProperty(
        lanes,
        fc.constantFrom("rate" as const, "capacity" as const),
        fc.integer({ min: 1, max: 2 * 3_600_000 }),
        async (lane, cause, retryAfterMs) => {
          const refusal = aRefusal({ lane, cause, retryAfterMs, violated: cause === "rate" ? [HANDSHAKE] : [], meters: [] });
          const asked = askedWith([{ kind: "request", id: 0, method: "initialize", params: {} }]);
          const answer = await refusalAnswer(refusal, asked, false, NOW).text();
          for (const word of TAKEN_FOR_ELSE) expect(answer).not.toContain(word);
        },
      ),
      {
        numRuns: 1_000,
        examples: [
          ["handshake", "rate", 404_000],
          ["handshake", "rate", 1_405_000],
        ],
      },
    );
  });

  test("the instance, whose digits nobody chooses, is in no refusal of the handshake", async () => {
    const refusal = aRefusal({ lane: "handshake", violated: [HANDSHAKE], requestId: REQUEST_ID.replace("0b0f", "4040") });
    const asked = askedWith([{ kind: "request", id: 0, method: "tools/list", params: {} }]);
    expect(await refusalAnswer(refusal, asked, false, NOW).text()).not.toContain("404");
  });

  test("no text of ours contains Unauthorized", async () => {
    const asked = askedWith([toolCall(1)]);
    const strangers = ["unknown-key", "disabled-key", "expired-key", "invalid-token", "key-required", "issuer-unavailable"] as const;
    const answers = [
      ...strangers.flatMap((why) => [strangerAnswer(why, null), strangerAnswer(why, 12_000)]),
      impossibleAnswer("free", { limits: [RATE] }, asked),
      impossibleAnswer("free", "loop", asked),
      impossibleAnswer("free", "too-many-names", asked),
      unknownPlanAnswer("gold", asked),
      originUnreachableAnswer(REQUEST_ID, asked),
      goneAnswer(asked),
      foreignAnswer("host"),
      foreignAnswer("origin"),
      badMessageAnswer({ status: 400, code: -32700, message: "The body is not valid JSON." }, null),
      ...(["rate", "quota", "repeat", "concurrency", "origin", "capacity"] as const).map((cause) =>
        refusalAnswer(aRefusal({ cause, ...LOOP_AND_ORIGIN }), asked, false, NOW),
      ),
    ];
    for (const answer of answers) {
      expect(await answer.text()).not.toMatch(/unauthorized/i);
      expect([...answer.headers.values()].join()).not.toMatch(/unauthorized/i);
    }
  });

  test("any limit is named in words", () => {
    fc.assert(
      fc.property(anyLimit, (limit) => {
        const text = wordRefusal(aRefusal({ violated: [limit], cause: limit.kind === "rate" ? "rate" : "quota" }));
        const most = limit.kind === "rate" ? limit.burst : limit.calls;
        expect(text).toContain(most === 1 ? "1 call " : `${most} calls `);
        expect(text).not.toMatch(/undefined|NaN|\[object/);
      }),
      { numRuns: 200 },
    );
  });
});
