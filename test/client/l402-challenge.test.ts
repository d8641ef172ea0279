import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readL402Challenge, readL402Challenges, readL402Header } from "../../src/client/l402-challenge.ts";

const GOOD = { type: "l402", macaroon: "AgEEbHNhdA==", invoice: "lnbc300n1x", priceSats: 30, calls: 10 } as const;

describe("an L402 offer", () => {
  it("is taken as it is sent, and what is not part of it is left", () => {
    const sent = { ...GOOD, expiresAt: "2026-11-21T12:00:00Z", verify: "/turnpike/verify" };
    expect(readL402Challenge({ ...sent, more: true })).toEqual(sent);
    expect(readL402Challenges([{ type: "pow" }, null, GOOD])).toEqual([GOOD]);
  });

  it.each([
    ["another type", { ...GOOD, type: "pow" }],
    ["no macaroon", { ...GOOD, macaroon: undefined }],
    ["a macaroon that does not fit into a header", { ...GOOD, macaroon: "AgEE\r\nX-Other: 1" }],
    ["no invoice", { ...GOOD, invoice: "" }],
    ["an endless invoice", { ...GOOD, invoice: "l".repeat(5_000) }],
    ["a price in words", { ...GOOD, priceSats: "30" }],
    ["a price of nothing", { ...GOOD, priceSats: 0 }],
    ["a broken price", { ...GOOD, priceSats: 0.5 }],
  ])("with %s is none", (_, value) => {
    expect(readL402Challenge(value)).toBeNull();
  });

  it.each([
    ["as L402 says", 'L402 version="0", token="AgEE", invoice="lnbc1"'],
    ["with both names", 'L402 version="0", token="other", macaroon="AgEE", invoice="lnbc1", PowChallenge id="i"'],
    ["by its old name, before the new one", 'LSAT macaroon="AgEE", invoice="lnbc1", L402 macaroon="x", invoice="y"'],
    ["behind another scheme", 'Bearer realm="x", token="no", l402 macaroon="AgEE", invoice="lnbc1"'],
  ])("is read from WWW-Authenticate %s", (_, header) => {
    expect(readL402Header(header)).toEqual({ type: "l402", macaroon: "AgEE", invoice: "lnbc1" });
  });

  it("is not seen in other headers", () => {
    for (const header of ["", "L402", 'XL402 macaroon="AgEE", invoice="lnbc1"', 'Bearer realm="L402"', 'L402 invoice="lnbc1"'])
      expect(readL402Header(header)).toBeNull();
  });

  it("can be anything at all without harm", () => {
    fc.assert(fc.property(fc.anything(), (value) => void readL402Challenges([value])));
    fc.assert(fc.property(fc.string(), (text) => void readL402Header(`L402 ${text}`)));
  });
});
