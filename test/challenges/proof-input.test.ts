import { describe, expect, test } from "vitest";
import { type ProofReading, readProof as readProofOf } from "../../src/challenges/proof-input.ts";
import { readL402Body } from "../../src/challenges/presented-l402.ts";
import { challengeFor, solve } from "./keys.ts";

const PREIMAGE = "0b".repeat(32);

const readProof = (body: Readonly<Record<string, unknown>>): ProofReading => readProofOf(body, readL402Body);

describe("what is handed in for prepaid calls", () => {
  test("is a solution, or a payment, also with the rest of its challenge", async () => {
    const challenge = await challengeFor();
    const solution = solve(challenge);
    expect(readProof({ ...challenge, ...solution })).toEqual({ ok: true, proof: { kind: "solution", solution } });
    const credential = { macaroons: ["AgEE"], preimage: PREIMAGE };
    const paid = { type: "l402", macaroon: "AgEE", invoice: "lnbc1", preimage: PREIMAGE };
    expect(readProof(paid)).toEqual({ ok: true, proof: { kind: "payment", credential } });
  });

  test("is taken for a payment as soon as one of its two is there, and is then told of the other", () => {
    expect(readProof({ macaroon: "AgEE" })).toEqual({ ok: false, problems: ["preimage: is missing"] });
    expect(readProof({ preimage: PREIMAGE, nonce: "1" })).toEqual({ ok: false, problems: ["macaroon: is missing"] });
    expect(readProof({})).toMatchObject({ ok: false, problems: expect.arrayContaining([expect.stringMatching(/^nonce/)]) as unknown });
  });

  test("is a solution and nothing else where no payments are taken", () => {
    expect(readProofOf({ macaroon: "AgEE", preimage: PREIMAGE }, null)).toMatchObject({
      ok: false,
      problems: expect.arrayContaining([expect.stringMatching(/^id/)]) as unknown,
    });
  });
});
