/**
 * Challenges as values of `WWW-Authenticate` (RFC 9110, section 11.6.1). Payers of L402 read all challenges of an answer into one
 * bag of parameters: `token`, `invoice` and `macaroon` are L402's, and no other challenge may use these names.
 */

import type { Challenge } from "./challenge.ts";
import type { L402Challenge } from "./l402.ts";
import type { PowChallenge } from "./proof-of-work.ts";

const REALM = "turnpike";
/** What a quoted string may hold (RFC 9110, section 5.6.4), as far as it is ASCII: the rest is read differently everywhere. */
const QUOTABLE = /^[\t\x20-\x7e]*$/;

/** The value for a proof of work: all that a client needs to solve it and to send the solution. */
export function powChallengeValue({ id, salt, difficulty, signature }: PowChallenge): string {
  return challengeValue("PowChallenge", { realm: REALM, id, salt, difficulty, signature });
}

/** The value for L402. Newer payers read the macaroon under `token`, older ones under its own name. */
export function l402ChallengeValue({ macaroon, invoice }: L402Challenge): string {
  return challengeValue("L402", { version: "0", token: macaroon, macaroon, invoice });
}

/** The values for all challenges of an answer. Payers of L402 look at the beginning of the first only. */
export function challengeValues(challenges: readonly Challenge[]): string[] {
  const l402 = challenges.filter((challenge) => challenge.type === "l402");
  const pow = challenges.filter((challenge) => challenge.type === "pow");
  return [...l402.map(l402ChallengeValue), ...pow.map(powChallengeValue)];
}

/** One challenge: the scheme, then its parameters in their order. Texts are quoted, whole numbers stand as they are. */
function challengeValue(scheme: string, parameters: Readonly<Record<string, string | number>>): string {
  const written = Object.entries(parameters).map(([name, value]) => `${name}=${typeof value === "number" ? value : quote(value)}`);
  return `${scheme} ${written.join(", ")}`;
}

function quote(text: string): string {
  if (!QUOTABLE.test(text)) throw new TypeError("not a text that a header can carry");
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}
