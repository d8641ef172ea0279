/** `turnpike solve`: one proof of work, from a challenge to its solution, for scripts and for seeing how long it takes. */

import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { DEFAULT_MAX_DIFFICULTY, type PowChallenge, type PowSolution, readPowChallenge, solvePow } from "../client/index.ts";
import { type CallerOptions, callerHeaders, say, warnOfPlainHttp } from "./agent/options.ts";
import { wordProgress } from "./agent/wording.ts";
import { CliError } from "./package.ts";

export interface SolveCommandOptions extends CallerOptions {
  readonly challenge?: string;
  readonly verify?: boolean;
  readonly maxDifficulty?: number;
}

const VERIFY_TIMEOUT_MS = 15_000;
/** A refusal is flat: this is where its challenges are, whatever it is wrapped in. */
const MAX_DEPTH = 6;

export async function solveCommand(options: SolveCommandOptions): Promise<void> {
  const challenge = findChallenge(parseJson(await readInput(options.challenge)), MAX_DEPTH);
  if (challenge === null) throw new CliError("there is no proof-of-work challenge in it.");
  const { maxDifficulty = DEFAULT_MAX_DIFFICULTY } = options;
  say(`solving a proof of work of ${challenge.difficulty} bits`);
  const solved = await solvePow(challenge, {
    maxDifficulty,
    onProgress: (progress) => say(wordProgress({ kind: "solving", ...progress })),
  });
  if (!solved.ok) throw new CliError(wordFailure(solved.why, challenge, maxDifficulty));
  say(`solved in ${(solved.elapsedMs / 1_000).toFixed(1)} s, ${solved.tries.toLocaleString("en")} tries`);
  console.log(JSON.stringify(options.verify ? await verify(challenge, solved.solution, options) : solved.solution));
}

async function readInput(file: string | undefined): Promise<string> {
  if (file === undefined) return text(process.stdin);
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new CliError(`${file} cannot be read: ${(error as Error).message}`);
  }
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new CliError("this is no JSON: give a challenge, or the body of a 402.");
  }
}

/** The challenge itself, or the first in whatever carries one. */
function findChallenge(value: unknown, depth: number): PowChallenge | null {
  const challenge = readPowChallenge(value);
  if (challenge !== null || typeof value !== "object" || value === null || depth === 0) return challenge;
  for (const inner of Object.values(value)) {
    const found = findChallenge(inner, depth - 1);
    if (found !== null) return found;
  }
  return null;
}

function wordFailure(why: "too-hard" | "expired" | "aborted", { difficulty, expiresAt }: PowChallenge, maxDifficulty: number): string {
  switch (why) {
    case "too-hard":
      return `the challenge asks for ${difficulty} bits, and at most ${maxDifficulty} are taken on. Allow more with --max-difficulty.`;
    case "expired":
      return `the challenge was good until ${expiresAt}. Get a new one.`;
    case "aborted":
      return "it was broken off.";
  }
}

async function verify(challenge: PowChallenge, solution: PowSolution, options: CallerOptions): Promise<unknown> {
  const url = challenge.verify !== undefined && URL.canParse(challenge.verify) ? new URL(challenge.verify) : null;
  if (url?.protocol !== "https:" && url?.protocol !== "http:")
    throw new CliError("the challenge does not say where its solution is to be sent.");
  const headers = callerHeaders(options);
  warnOfPlainHttp(url, headers);
  say(`sending the solution to ${url.href}`);
  let response: Response;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { ...headers, "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(solution),
      redirect: "manual",
      signal: AbortSignal.timeout(VERIFY_TIMEOUT_MS),
    });
  } catch (error) {
    throw new CliError(`${url.origin} does not answer: ${String((error as Error).cause ?? error)}`);
  }
  const answer = (await response.json().catch(() => ({}))) as { readonly detail?: unknown };
  if (response.ok) return answer;
  throw new CliError(
    `${url.origin} did not take the solution (${response.status}): ${typeof answer.detail === "string" ? answer.detail : "no reason given"}`,
  );
}
