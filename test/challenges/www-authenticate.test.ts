import { parseL402 } from "@getalby/lightning-tools";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { L402Challenge } from "../../src/challenges/l402.ts";
import { challengeValues, l402ChallengeValue, powChallengeValue } from "../../src/challenges/www-authenticate.ts";
import { challengeFor, VERIFY } from "./keys.ts";

interface Parsed {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** RFC 9110, 11.6.1, as strict as it is written, for challenges with parameters: several may stand in one value. */
function parseChallenges(text: string): Parsed[] {
  const TOKEN = String.raw`[!#$%&'*+\-.^_\`|~\w]+`;
  const PARAMETER = String.raw`(${TOKEN})=(?:(${TOKEN})|"((?:[\t\x20\x21\x23-\x5b\x5d-\x7e]|\\[\t\x20-\x7e])*)")`;
  const parsed: { scheme: string; parameters: Record<string, string> }[] = [];
  let at = 0;
  const take = (pattern: string): RegExpExecArray | null => {
    const sticky = new RegExp(pattern, "y");
    sticky.lastIndex = at;
    const match = sticky.exec(text);
    if (match) at = sticky.lastIndex;
    return match;
  };
  while (at < text.length) {
    const scheme = take(`(${TOKEN}) +(?=${PARAMETER})`)?.[1];
    if (scheme === undefined) throw new Error(`no scheme at ${at}: ${text}`);
    const parameters: Record<string, string> = {};
    do {
      const [, name, bare, quoted] = take(PARAMETER)!;
      if (Object.hasOwn(parameters, name!)) throw new Error(`${name} stands twice: ${text}`);
      parameters[name!] = bare ?? quoted!.replaceAll(/\\(.)/g, "$1");
    } while (take(`, *(?=${PARAMETER})`));
    parsed.push({ scheme, parameters });
    if (at < text.length && !take(", *")) throw new Error(`not a challenge at ${at}: ${text}`);
  }
  return parsed;
}

describe("WWW-Authenticate for a proof of work", () => {
  test("reads as in the documentation", async () => {
    const challenge = await challengeFor({ difficulty: 18 });
    const { id, salt, signature } = challenge;
    expect(powChallengeValue(challenge)).toBe(
      `PowChallenge realm="turnpike", id="${id}", salt="${salt}", difficulty=18, signature="${signature}"`,
    );
  });

  test("carries all that a solution needs, also beside other challenges in one line", async () => {
    const challenge = await challengeFor();
    const { id, salt, difficulty, signature } = challenge;
    const line = `L402 version="0", token="AgEE", macaroon="AgEE", invoice="lnbc1", ${powChallengeValue(challenge)}`;
    expect(parseChallenges(line)).toEqual([
      { scheme: "L402", parameters: { version: "0", token: "AgEE", macaroon: "AgEE", invoice: "lnbc1" } },
      { scheme: "PowChallenge", parameters: { realm: "turnpike", id, salt, difficulty: String(difficulty), signature } },
    ]);
  });

  test("uses no name that payers of L402 take for theirs", async () => {
    const [{ parameters }] = parseChallenges(powChallengeValue(await challengeFor())) as [Parsed];
    for (const name of ["token", "invoice", "macaroon", "version"]) expect(parameters).not.toHaveProperty(name);
  });

  test("quotes whatever a header can carry, and refuses what it cannot", async () => {
    const challenge = await challengeFor();
    fc.assert(
      fc.property(
        fc.string({ unit: fc.oneof(fc.constantFrom('"', "\\", ",", "=", "\t"), fc.string({ unit: "grapheme-ascii" })) }),
        (salt) => {
          expect(parseChallenges(powChallengeValue({ ...challenge, salt }))[0]!.parameters["salt"]).toBe(salt);
        },
      ),
    );
    for (const salt of ["a\r\nSet-Cookie: x", "\0", "é", "\x7f"]) {
      expect(() => powChallengeValue({ ...challenge, salt })).toThrow(TypeError);
    }
  });
});

describe("WWW-Authenticate for L402", () => {
  const l402: L402Challenge = {
    type: "l402",
    macaroon: "AgEE+/==",
    invoice: "lnbc300n1x",
    priceSats: 30,
    calls: 10,
    expiresAt: "2026-11-21T12:10:00Z",
    verify: VERIFY,
  };

  test("reads as in the documentation", () => {
    expect(l402ChallengeValue(l402)).toBe('L402 version="0", token="AgEE+/==", macaroon="AgEE+/==", invoice="lnbc300n1x"');
  });

  test("stands first whatever the order of the offers, and an existing payer reads it from the joined line", async () => {
    const pow = await challengeFor();
    for (const challenges of [
      [pow, l402],
      [l402, pow],
    ]) {
      const values = challengeValues(challenges);
      expect(values.map((value) => value.split(" ")[0])).toEqual(["L402", "PowChallenge"]);
      expect(parseL402(values.join(", "))).toMatchObject({ token: "AgEE+/==", invoice: "lnbc300n1x" });
    }
  });
});
