import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readPowChallenge, readPowChallenges, readPowHeader } from "../../src/client/pow-challenge.ts";

const GOOD = { type: "pow", algorithm: "SHA-256", id: "i", salt: "s", difficulty: 18, signature: "g" } as const;

function quote(text: string): string {
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

describe("a challenge", () => {
  it("is taken as it is sent, and what is not part of it is left", () => {
    const sent = { ...GOOD, expiresAt: "2026-11-21T12:00:00Z", verify: "https://gate.example/turnpike/verify" };
    expect(readPowChallenge({ ...sent, more: true })).toEqual(sent);
  });

  it.each([
    ["another type", { ...GOOD, type: "l402" }],
    ["another algorithm", { ...GOOD, algorithm: "scrypt" }],
    ["no salt", { ...GOOD, salt: undefined }],
    ["an endless salt", { ...GOOD, salt: "s".repeat(5_000) }],
    ["a difficulty in words", { ...GOOD, difficulty: "18" }],
    ["a broken difficulty", { ...GOOD, difficulty: 18.5 }],
    ["a negative difficulty", { ...GOOD, difficulty: -1 }],
    ["no object", "pow"],
    ["null", null],
  ])("with %s is none", (_, value) => {
    expect(readPowChallenge(value)).toBeNull();
  });

  it("is found among others", () => {
    expect(readPowChallenges([{ type: "l402", invoice: "lnbc" }, null, GOOD])).toEqual([GOOD]);
    expect(readPowChallenges({ 0: GOOD })).toEqual([]);
  });

  it("can be anything at all without harm", () => {
    fc.assert(fc.property(fc.anything(), (value) => void readPowChallenges([value])));
  });
});

describe("a challenge in WWW-Authenticate", () => {
  const header = 'PowChallenge realm="turnpike", id="i", salt="s", difficulty=18, signature="g"';

  it.each([
    ["alone", header],
    ["after L402", `L402 version="0", token="AgEE", macaroon="AgEE", invoice="lnbc300n1", ${header}`],
    ["before Bearer", `${header}, Bearer realm="x", id="not this"`],
    ["in other letters", header.replace("PowChallenge", "powchallenge")],
  ])("is read %s", (_, text) => {
    expect(readPowHeader(text)).toEqual(GOOD);
  });

  it("is read through the quoting of its values", () => {
    const values = fc.string({ minLength: 1, unit: "grapheme-ascii" });
    fc.assert(
      fc.property(values, values, values, (id, salt, signature) => {
        const text = `Basic realm="a", PowChallenge id=${quote(id)}, difficulty=3 , salt=${quote(salt)},signature=${quote(signature)}`;
        expect(readPowHeader(text)).toEqual({ ...GOOD, id, salt, signature, difficulty: 3 });
      }),
    );
  });

  it.each([
    "",
    "Bearer",
    "PowChallenge",
    'PowChallenge id="i"',
    'XPowChallenge id="i", salt="s", difficulty=1, signature="g"',
    header.replace("18", '"x"'),
  ])("is not seen in %j", (text) => {
    expect(readPowHeader(text)).toBeNull();
  });

  it("can be any text without harm", () => {
    fc.assert(fc.property(fc.string(), (text) => void readPowHeader(`PowChallenge ${text}`)));
  });
});
