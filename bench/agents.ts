/**
 * `npm run bench:agents`: how much of their work parallel agents on one key get done on a plan that is too small for them, and
 * how long it takes beside what the plan's numbers make unavoidable. `turnpike start` on 127.0.0.1, with its embedded server;
 * nothing outlives the run.
 */

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { makeKey, policyText } from "../test/support/admin.ts";
import { DIALECTS } from "../test/support/agents.ts";
import { startGate } from "../test/support/gate.ts";
import { agentsReport, type AgentsRun } from "./agents-report.ts";
import { type FleetRun, runFleet } from "./fleet.ts";
import { describeMachine, versionOf } from "./machine.ts";

const HELP = `npm run bench:agents -- [options]

Four official MCP clients on one key make 200 calls on a plan of 60 a minute, once held at the gate and once not, and none
of them retries. Takes about two and a half minutes, most of which is waiting.

  --write   write bench/RESULTS-AGENTS.md, too
  --quick   80 calls: to see that it runs
  --help    this text
`;

const RESULTS = fileURLToPath(new URL("RESULTS-AGENTS.md", import.meta.url));
const PER_MINUTE = 60;
/** All that are on their way at once fit in: 4 x 5 calls, of which one a second passes. */
const MAX_WAIT_SECONDS = 30;
const IN_FLIGHT_EACH = 5;
const CALLS = 200;
const QUICK_CALLS = 80;
const PROGRESS_EVERY_MS = 10_000;
/** Twice what it takes. */
const RUN_WITHIN_MS = 300_000;
const STOP_WITHIN_MS = 10_000;
/** 128 and the signal's number, as shells have it. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
const POLICY = policyText({
  plans: { anonymous: { rate: 10 }, small: { rate: PER_MINUTE, maxWaitSeconds: MAX_WAIT_SECONDS } },
});

const options = readOptions(process.argv.slice(2));
if (options === null) {
  console.log(HELP);
} else if (typeof options === "string") {
  console.error(`${options}\n\n${HELP}`);
  process.exitCode = 2;
} else {
  await measure(options);
}

interface Options {
  readonly calls: number;
  readonly isWritten: boolean;
}

/** @returns null when help is asked for, or an error's text */
function readOptions(args: readonly string[]): Options | string | null {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { write: { type: "boolean" }, quick: { type: "boolean" }, help: { type: "boolean" } },
    });
    const { write = false, quick = false, help = false } = values;
    if (help) return null;
    if (write && quick) return "--quick is not for figures: leave out --write.";
    return { calls: quick ? QUICK_CALLS : CALLS, isWritten: write };
  } catch (error) {
    return (error as Error).message;
  }
}

async function measure({ calls, isWritten }: Options): Promise<void> {
  const stopping = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    // The gate runs in a process group of its own: a second signal must not leave it behind.
    process.on(name, () => {
      process.exitCode = EXIT_CODES[name];
      stopping.abort(new Error(`stopped by ${name}`));
    });
  }
  try {
    const runs = await runBoth(calls, AbortSignal.any([stopping.signal, AbortSignal.timeout(RUN_WITHIN_MS)]));
    const text = agentsReport({
      ...runs,
      perMinute: PER_MINUTE,
      maxWaitSeconds: MAX_WAIT_SECONDS,
      clients: DIALECTS.length,
      inFlightEach: IN_FLIGHT_EACH,
      clientVersions: { sdk: versionOf("@modelcontextprotocol/sdk"), client: versionOf("@modelcontextprotocol/client") },
      machine: describeMachine(),
      date: new Date(),
      command: ["npm run bench:agents", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" "),
    });
    console.log(text);
    if (isWritten) {
      writeFileSync(RESULTS, text);
      say("written to bench/RESULTS-AGENTS.md");
    }
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    say((stopping.signal.reason as Error).message);
  }
  // A second signal changes nothing: all has been put away. Connections of clients may linger.
  process.exit();
}

/** Not held and held, one after the other, so that neither takes the machine from the other. */
async function runBoth(calls: number, signal: AbortSignal): Promise<Pick<AgentsRun, "held" | "unheld">> {
  say("starting the gate");
  const gate = await startGate({ policy: POLICY });
  try {
    const runOne = async (what: string, headers: Readonly<Record<string, string>>): Promise<FleetRun> => {
      signal.throwIfAborted();
      // A key that nobody else has, whose bucket is full.
      const { key } = await makeKey(gate, "small");
      const startedAt = performance.now();
      let ended = 0;
      const tell = (): void => say(`${what}: ${ended} of ${calls} calls after ${Math.round((performance.now() - startedAt) / 1_000)} s`);
      const timer = setInterval(tell, PROGRESS_EVERY_MS);
      try {
        const fleet = { url: gate.url, key, headers, dialects: DIALECTS, callsEach: calls / DIALECTS.length, inFlightEach: IN_FLIGHT_EACH };
        const run = await runFleet(fleet, signal, (now) => (ended = now));
        tell();
        return run;
      } finally {
        clearInterval(timer);
      }
    };
    const unheld = await runOne("not held", { Prefer: "wait=0" });
    return { unheld, held: await runOne("held", {}) };
  } finally {
    const whenStuck = setTimeout(() => void gate.kill(), STOP_WITHIN_MS);
    await gate.stop();
    clearTimeout(whenStuck);
  }
}

function say(what: string): void {
  console.error(`bench: ${what}`);
}
