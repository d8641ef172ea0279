/** Runs the official conformance suite against a server, as its users run it, and reads what it found. */

import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../node_modules/@modelcontextprotocol/conformance/dist/index.js", import.meta.url));

export interface ScenarioResult {
  readonly passed: number;
  readonly failed: number;
  /** `id STATUS` of every check, in the order they were made. */
  readonly checks: readonly string[];
}

/** Scenario by scenario, in the order of their names. */
export type SuiteResult = ReadonlyMap<string, ScenarioResult>;

/** @param revision the protocol revision whose frozen requirements are run */
export async function runSuite(url: string, revision: string): Promise<SuiteResult> {
  const dir = mkdtempSync(join(tmpdir(), "turnpike-conformance-"));
  try {
    const output = await run(["server", "--url", url, "--requirements", revision, "-o", dir]);
    const results = readdirSync(dir).map((name) => [scenarioOf(name), readScenario(join(dir, name))] as const);
    if (results.length === 0) throw new Error(`the suite left no results:\n${output}`);
    return new Map(results.toSorted(([a], [b]) => a.localeCompare(b)));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Both summaries in one text, a scenario a line, and what differs marked. */
export function sideBySide(left: SuiteResult, right: SuiteResult): string {
  const names = [...new Set([...left.keys(), ...right.keys()])];
  const width = Math.max(...names.map((name) => name.length));
  const lines = names.map((name) => {
    const isSame = JSON.stringify(left.get(name)) === JSON.stringify(right.get(name));
    return `${name.padEnd(width)}  ${counts(left.get(name))}  ${counts(right.get(name))}${isSame ? "" : "  DIFFERS"}`;
  });
  const total = (results: SuiteResult): ScenarioResult => {
    const all = [...results.values()];
    const sum = (of: "passed" | "failed") => all.reduce((n, result) => n + result[of], 0);
    return { passed: sum("passed"), failed: sum("failed"), checks: [] };
  };
  return [
    `${"".padEnd(width)}  ${"direct".padEnd(22)}  through the gate`,
    ...lines,
    `${"total".padEnd(width)}  ${counts(total(left))}  ${counts(total(right))}`,
  ].join("\n");
}

function counts(result: ScenarioResult | undefined): string {
  return (result ? `${result.passed} passed, ${result.failed} failed` : "not run").padEnd(22);
}

/** The exit code says only that something failed, which the results say better. */
function run(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.once("error", reject);
    child.once("close", () => resolve(output));
  });
}

/** `server-<scenario>-<time>` */
function scenarioOf(folder: string): string {
  return folder.replace(/^server-/, "").replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, "");
}

function readScenario(folder: string): ScenarioResult {
  const checks = JSON.parse(readFileSync(join(folder, "checks.json"), "utf8")) as { id: string; status: string }[];
  const count = (status: string) => checks.filter((check) => check.status === status).length;
  return { passed: count("SUCCESS"), failed: count("FAILURE"), checks: checks.map(({ id, status }) => `${id} ${status}`) };
}
