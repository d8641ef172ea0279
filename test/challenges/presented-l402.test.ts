import { describe, expect, test } from "vitest";
import { looksLikeL402 } from "../../src/challenges/l402-scheme.ts";
import { presentedL402, readL402, readL402Body } from "../../src/challenges/presented-l402.ts";

const PREIMAGE = "0b".repeat(32);
const CREDENTIAL = { macaroons: ["AgEE"], preimage: PREIMAGE };

function meta(text: unknown): Record<string, unknown> {
  return { _meta: { "turnpike/pass": text } };
}

describe("an L402 credential in a header", () => {
  test.each([
    `L402 AgEE:${PREIMAGE}`,
    `LSAT AgEE:${PREIMAGE}`,
    `l402 AgEE:${PREIMAGE}`,
    `Lsat   AgEE:${PREIMAGE} `,
    `L402 AgEE : ${PREIMAGE}`,
  ])("is read as %s", (value) => {
    expect(presentedL402(new Headers({ Authorization: value }), [])).toEqual(CREDENTIAL);
    expect(looksLikeL402(value)).toBe(true);
  });

  test("may have several macaroons, of which the first two are taken", () => {
    expect(readL402(`L402 AgEE, AgEF,AgEG:${PREIMAGE}`)?.macaroons).toEqual(["AgEE", "AgEF"]);
    expect(readL402(`L402 ${"AgEE,".repeat(1_000)}:${PREIMAGE}`)?.macaroons).toHaveLength(2);
  });

  test("stands in Turnpike-Pass where Authorization is the origin's", () => {
    const headers = new Headers({ Authorization: "Bearer of-the-origin", "Turnpike-Pass": `L402 AgEE:${PREIMAGE}` });
    expect(presentedL402(headers, [])).toEqual(CREDENTIAL);
    const both = new Headers({ Authorization: `L402 AAAA:${PREIMAGE}`, "Turnpike-Pass": `L402 AgEE:${PREIMAGE}` });
    expect(presentedL402(both, [])).toEqual(CREDENTIAL);
    const pass = new Headers({ Authorization: `L402 AgEE:${PREIMAGE}`, "Turnpike-Pass": "tpass_x" });
    expect(presentedL402(pass, [])).toEqual(CREDENTIAL);
  });

  test("stands in _meta of a message where no header has one, in the first message that has", () => {
    const messages = [
      { kind: "response" },
      { kind: "notification", method: "notifications/initialized", params: {} },
      { kind: "request", id: 2, method: "tools/call", params: meta(`L402 AgEE:${PREIMAGE}`) },
      { kind: "request", id: 3, method: "tools/call", params: meta(`L402 AAAA:${PREIMAGE}`) },
    ] as const;
    expect(presentedL402(new Headers(), messages)).toEqual(CREDENTIAL);
    expect(presentedL402(new Headers({ Authorization: `L402 AgEF:${PREIMAGE}` }), messages)?.macaroons).toEqual(["AgEF"]);
    for (const other of ["tpass_x", 7, null]) {
      expect(presentedL402(new Headers(), [{ kind: "request", id: 1, method: "tools/call", params: meta(other) }])).toBeNull();
    }
  });

  test.each(["Bearer AgEE", "L4022 AgEE:00", "L402x", "Basic TDQwMg==", "", "XL402 AgEE:00"])("is not seen in %s", (value) => {
    expect(presentedL402(new Headers({ Authorization: value }), [])).toBeNull();
    expect(looksLikeL402(value)).toBe(false);
  });

  test("that is broken is a credential still, so that it is answered as one and shown to nobody else", () => {
    for (const value of ["L402", "L402 ", "L402 AgEE", `L402 ${"A".repeat(100_000)}:${PREIMAGE}`]) {
      expect(readL402(value)).toEqual({ macaroons: [], preimage: "" });
      expect(looksLikeL402(value)).toBe(true);
    }
    expect(readL402("L402 :")).toEqual({ macaroons: [""], preimage: "" });
  });
});

describe("an L402 credential as a body", () => {
  test("is the macaroon and the preimage, also with the rest of the challenge", () => {
    expect(readL402Body({ macaroon: "AgEE", preimage: PREIMAGE })).toEqual({ ok: true, credential: CREDENTIAL });
    const whole = { type: "l402", macaroon: "AgEE", invoice: "lnbc1", priceSats: 30, calls: 10, expiresAt: "x", preimage: PREIMAGE };
    expect(readL402Body(whole)).toEqual({ ok: true, credential: CREDENTIAL });
  });

  test("is told all that is wrong with it, each with its place, and nothing of what was sent", () => {
    expect(readL402Body({ macaroon: 7 })).toEqual({
      ok: false,
      problems: ["macaroon: must be the challenge's macaroon, unchanged", "preimage: is missing"],
    });
    expect(readL402Body([])).toMatchObject({ ok: false });
    for (const body of [null, 7, "text"])
      expect(readL402Body(body)).toEqual({ ok: false, problems: ["body: must be an object {macaroon, preimage}"] });
  });
});
