/** bench/RESULTS.md: what was measured, beside what was wanted. */

import { CASES, type CaseId, type Ratio, RATIOS } from "./cases.ts";
import { featureTables } from "./feature-report.ts";
import type { KeyMemory } from "./key-memory.ts";
import { CONNECTIONS, type Round } from "./latency.ts";
import type { Measured } from "./load.ts";
import type { Machine } from "./machine.ts";
import { line, table } from "./markdown.ts";
import { ratioOf } from "./ratio.ts";
import type { RowsWritten } from "./rows-written.ts";
import { median } from "./statistics.ts";

const MAX_ROWS_PER_CALL = 0.1;
const MAX_BUNDLE_BYTES = 40 * 1_024;
/** The second half of the keys may add this much to the heap: noise, and no part of what as many keys would take. */
const MAX_LATE_GROWTH = 0.05;

export interface Results {
  readonly rounds: readonly Round[];
  readonly roundCount: number;
  readonly featureRounds: readonly Round[];
  readonly featureRoundCount: number;
  readonly seconds: number;
  readonly rows: RowsWritten;
  readonly bundleBytes: number;
  /** What is added to it where the policy sells. */
  readonly sellingBytes: number;
  readonly memory: readonly KeyMemory[];
  readonly machine: Machine;
  readonly date: Date;
  readonly command: string;
}

export function report(results: Results): string {
  return `# Measured

${results.date.toISOString().slice(0, 10)}, \`${results.command}\`
${results.machine.hardware}
${results.machine.versions}

On \`workerd serve\`, all in one run: ${inWords(results.roundCount)}, in each a fresh process per case, ${results.seconds} seconds per case in turns of a
quarter of a second. Load, Workers and origin share the machine, so only comparisons within the run mean anything.

## Against what cannot be avoided

Medians of the rounds' own ratios, and their range.

${targetTable(results)}

## Calls

Medians of the rounds. Times are milliseconds at the client; CPU is the processor time of the whole workerd process per call.

${CONNECTIONS.map((connections) => caseTable(results.rounds, connections)).join("\n\n")}

## What each feature costs when it is configured

The same call through the same bundle with one thing more in the policy, beside the plain gate in the same turns. Of ${inWords(results.featureRoundCount)}, the
median of the rounds' own ratios, and their range.

${featureTables(results.featureRounds)}

## Isolate memory

A known API key on each call, none twice, all of them of a few consumers. After a full garbage collection.

${memoryTable(results.memory)}
`;
}

function targetTable(results: Results): string {
  const { rows, bundleBytes, sellingBytes } = results;
  const perCall = rows.rows / rows.calls;
  const lines = RATIOS.flatMap((ratio) => CONNECTIONS.map((connections) => ratioLine(results.rounds, ratio, connections)));
  lines.push(
    line([
      `rows written per admitted call, at a steady 600 a minute (${rows.rows} in ${rows.calls} calls)`,
      "",
      perCall.toFixed(3),
      "",
      `≤ ${MAX_ROWS_PER_CALL}`,
      reached(perCall <= MAX_ROWS_PER_CALL),
    ]),
    line([
      "the Worker's bundle, gzipped",
      "",
      `${(bundleBytes / 1_024).toFixed(1)} KB`,
      "",
      `≤ ${MAX_BUNDLE_BYTES / 1_024} KB`,
      reached(bundleBytes <= MAX_BUNDLE_BYTES),
    ]),
    line(["what `lightning` in the policy adds to it", "", `${(sellingBytes / 1_024).toFixed(1)} KB`, "", "", ""]),
    line([
      "heap after all API keys ÷ heap after half of them",
      "",
      lateGrowth(results.memory).toFixed(2),
      "",
      "bounded",
      reached(isBounded(results.memory)),
    ]),
  );
  return table(["", "connections", "measured", "rounds", "target", "reached"], lines);
}

function ratioLine(rounds: readonly Round[], ratio: Ratio, connections: number): string {
  const { label, atMost, atLeast } = ratio;
  const { median: measured, range } = ratioOf(rounds, ratio, connections);
  const isReached = measured <= (atMost ?? Infinity) && measured >= (atLeast ?? 0);
  return line([
    label,
    String(connections),
    measured.toFixed(2),
    range,
    atMost === undefined ? `≥ ${atLeast}` : `≤ ${atMost}`,
    reached(isReached),
  ]);
}

function caseTable(rounds: readonly Round[], connections: number): string {
  const lines = CASES.map(({ id, label }) => {
    const of = (measure: keyof Measured): number => median(cells(rounds, connections, id).map((cell) => cell[measure]));
    return line([
      label,
      of("rps").toFixed(0),
      of("p50").toFixed(2),
      of("p90").toFixed(2),
      of("p99").toFixed(2),
      of("cpuPerCall").toFixed(0),
    ]);
  });
  const title = connections === 1 ? "1 connection" : `${connections} connections`;
  return table([title, "rps", "p50", "p90", "p99", "CPU µs"], lines);
}

function memoryTable(memory: readonly KeyMemory[]): string {
  const lines = memory.map(({ keys, heapBytes, residentBytes }) =>
    line([keys.toLocaleString("en"), megabytes(heapBytes), megabytes(residentBytes)]),
  );
  return table(["API keys seen", "heap", "process"], lines);
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`;
}

function lateGrowth(memory: readonly KeyMemory[]): number {
  const [, half, all] = memory;
  return all!.heapBytes / half!.heapBytes;
}

function isBounded(memory: readonly KeyMemory[]): boolean {
  return lateGrowth(memory) <= 1 + MAX_LATE_GROWTH;
}

function cells(rounds: readonly Round[], connections: number, id: CaseId): Measured[] {
  return rounds.filter((round) => round.connections === connections).map(({ byCase }) => byCase.get(id)!);
}

function inWords(rounds: number): string {
  return rounds === 1 ? "one round" : `${rounds} rounds`;
}

function reached(isReached: boolean): string {
  return isReached ? "yes" : "**no**";
}
