/**
 * `npm run bench:solver`: what proofs of work cost this machine. Tries a second of everything that the solver could have been made
 * of, and how long proofs take with what it is made of. Writes bench/RESULTS-SOLVER.md.
 */

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { solvePow } from "../src/client/solve/solve-pow.ts";
import { describeMachine } from "./machine.ts";
import { CANDIDATES, MESSAGE_BYTES } from "./solver/candidates.ts";
import { measureSpeed } from "./solver/speed.ts";
import { median, percentile } from "./statistics.ts";

const RESULTS = fileURLToPath(new URL("RESULTS-SOLVER.md", import.meta.url));
const DIFFICULTIES = [14, 16, 18, 20] as const;

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const rounds = values.quick ? 1 : 5;
const seconds = values.quick ? 0.3 : 0.7;
const proofs = values.quick ? 5 : 50;
const cores = availableParallelism();

const machine = describeMachine();
const measured = CANDIDATES.map((name) => ({ name, one: [] as number[], all: [] as number[] }));
// In turns, so that whatever else the machine does disturbs all of them alike.
for (let round = 1; round <= rounds; round++) {
  console.error(`bench: tries, round ${round} of ${rounds}`);
  for (const { name, one, all } of measured) {
    one.push(await measureSpeed(name, 1, seconds));
    all.push(await measureSpeed(name, cores, seconds));
  }
}
const speeds = [...measured.map(({ name, one, all }) => row(name, median(one), median(all))), await opensslRow()];

const times: string[] = [];
for (const difficulty of DIFFICULTIES) {
  console.error(`bench: proofs of ${difficulty} bits`);
  const elapsed: number[] = [];
  for (let i = 0; i < proofs; i++) elapsed.push(await solveOne(difficulty));
  elapsed.sort((a, b) => a - b);
  times.push(
    `| ${difficulty} | ${(2 ** difficulty).toLocaleString("en")} | ${ms(median(elapsed))} | ${ms(percentile(elapsed, 0.9))} | ${ms(elapsed.at(-1)!)} |`,
  );
}

const text = `# The solver, measured

${new Date().toISOString().slice(0, 10)}, \`npm run bench:solver\`
${machine.hardware}
${machine.versions}

## Tries a second

A try is one SHA-256 of ${MESSAGE_BYTES} bytes, a salt and a nonce, and a look at its first word. Millions a second, the median of ${rounds} rounds in turns.

| | one core | ${cores} cores at once |
| --- | ---: | ---: |
${speeds.join("\n")}

\`ours\` is [src/client/solve](../src/client/solve/sha256.ts). \`openssl speed\` hashes buffers of the same length in a loop in C, with the processor's
own SHA instructions where it has them.

## Proofs

${proofs} of each, with fresh salts, as \`solvePow\` solves them. A proof is a game of chance: the longest of many takes several times the median.

| bits | tries on average | median | p90 | longest |
| ---: | ---: | ---: | ---: | ---: |
${times.join("\n")}
`;
console.log(text);
if (!values.quick) {
  writeFileSync(RESULTS, text);
  console.error("bench: written to bench/RESULTS-SOLVER.md");
}

async function solveOne(difficulty: number): Promise<number> {
  const salt = randomBytes(16).toString("base64url");
  const start = performance.now();
  const solved = await solvePow({ type: "pow", algorithm: "SHA-256", id: "bench", salt, difficulty, signature: "none" });
  if (!solved.ok) throw new Error(solved.why);
  return performance.now() - start;
}

async function opensslRow(): Promise<string> {
  try {
    return row("openssl speed", await openssl([]), await openssl(["-multi", String(cores)]));
  } catch (error) {
    return `| openssl speed | not here (${(error as Error).message.split("\n")[0]}) | |`;
  }
}

/** Hashes a second: openssl tells bytes. */
async function openssl(more: readonly string[]): Promise<number> {
  const wholeSeconds = String(Math.ceil(seconds));
  const args = ["speed", "-mr", "-seconds", wholeSeconds, "-bytes", String(MESSAGE_BYTES), ...more, "-evp", "sha256"];
  const { stdout } = await promisify(execFile)("openssl", args);
  const bytes = /^\+F:\d+:[^:]+:([\d.]+)/m.exec(stdout)?.[1];
  if (bytes === undefined) throw new Error("its output is not understood");
  return Number(bytes) / MESSAGE_BYTES;
}

function row(name: string, one: number, all: number): string {
  return `| ${name} | ${(one / 1e6).toFixed(2)} | ${(all / 1e6).toFixed(2)} |`;
}

function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}
