/** bench/RESULTS-AGENTS.md: what parallel agents got done, beside what the plan's own numbers allow. */

import type { FleetRun } from "./fleet.ts";
import type { Machine } from "./machine.ts";
import { line, table } from "./markdown.ts";

export interface AgentsRun {
  /** With the plan's own holding. */
  readonly held: FleetRun;
  /** With `Prefer: wait=0`. */
  readonly unheld: FleetRun;
  /** The plan: so many calls at once, and as many a minute after. */
  readonly perMinute: number;
  readonly maxWaitSeconds: number;
  readonly clients: number;
  readonly inFlightEach: number;
  readonly clientVersions: { readonly sdk: string; readonly client: string };
  readonly machine: Machine;
  readonly date: Date;
  readonly command: string;
}

export function agentsReport(run: AgentsRun): string {
  const { held, unheld, perMinute, maxWaitSeconds, clients, inFlightEach, clientVersions, machine } = run;
  const leastSeconds = leastSecondsFor(held.calls, perMinute);
  return `# Agents at work

${run.date.toISOString().slice(0, 10)}, \`${run.command}\`
${machine.hardware}
${machine.versions}
@modelcontextprotocol/sdk ${clientVersions.sdk}, @modelcontextprotocol/client ${clientVersions.client} (as it comes, probing, and pinned to 2026-07-28)

${clients} official clients on one API key make ${held.calls / clients} calls each, ${inFlightEach} of them on their way at a time, and never retry.
Their plan is ${perMinute} a minute: ${perMinute} at once, then one every ${seconds(60_000 / perMinute)}. So ${held.calls} calls cannot take less than
(${held.calls} - ${perMinute}) x ${seconds(60_000 / perMinute)} = ${leastSeconds} s.

${table(
  ["", "completed", "refused", "took", "took ÷ least", "longest call"],
  [
    fleetLine(`held at the gate (\`maxWaitSeconds: ${maxWaitSeconds}\`)`, held, leastSeconds),
    fleetLine("not held (`Prefer: wait=0`)", unheld, leastSeconds),
  ],
)}
`;
}

/** What a full bucket that refills makes unavoidable. */
function leastSecondsFor(calls: number, perMinute: number): number {
  return (Math.max(0, calls - perMinute) * 60) / perMinute;
}

function fleetLine(label: string, { calls, completed, refused, tookMs, longestCallMs }: FleetRun, leastSeconds: number): string {
  // Without the calls that were refused, there is nothing to compare the time with.
  const ofLeast = completed < calls ? "" : (tookMs / 1_000 / leastSeconds).toFixed(3);
  return line([label, `${completed} of ${calls}`, String(refused), seconds(tookMs), ofLeast, seconds(longestCallMs)]);
}

function seconds(ms: number): string {
  return `${Number((ms / 1_000).toFixed(1))} s`;
}
