/**
 * `npm run bench`: what the README claims of speed, rows, size and memory, measured. Everything runs on 127.0.0.1 and in
 * a temporary folder, and nothing outlives the run.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { Bench } from "./bench.ts";
import { startEmbeddedNode } from "../src/cli/local/embedded-node.ts";
import { buildWorkers, bundleProduct, bytesOfSelling } from "./build-workers.ts";
import { CASES } from "./cases.ts";
import { start, stopAll } from "./child.ts";
import { CASES_WITH_FEATURES } from "./feature-cases.ts";
import { measureKeyMemory } from "./key-memory.ts";
import { measureLatency } from "./latency.ts";
import { describeMachine } from "./machine.ts";
import { HELP, type Options, parseOptions } from "./options.ts";
import { report } from "./report.ts";
import { measureRowsWritten } from "./rows-written.ts";

const RESULTS = fileURLToPath(new URL("RESULTS.md", import.meta.url));
const ORIGIN = fileURLToPath(new URL("origin.ts", import.meta.url));
/** 128 and the signal's number, as shells have it. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

const options = parseOptions(process.argv.slice(2));
if (options === null) {
  console.log(HELP);
} else if (typeof options === "string") {
  console.error(`${options}\n\n${HELP}`);
  process.exitCode = 2;
} else {
  await run(options);
}

async function run({ rounds, featureRounds, seconds, rowSeconds, keys, isQuick }: Options): Promise<void> {
  const tempDir = mkdtempSync(join(tmpdir(), "turnpike-bench-"));
  process.once("exit", () => {
    stopAll();
    rmSync(tempDir, { recursive: true, force: true });
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(EXIT_CODES[signal]));

  say("building the Workers");
  const bundleBytes = gzipSync(readFileSync(await bundleProduct(tempDir))).length;
  const workers = await buildWorkers(tempDir);
  const bench: Bench = { tempDir, workers, originUrl: await startOrigin(), node: await startNode(), say };

  const measured = await measureLatency(bench, "gates", CASES, rounds, seconds);
  const withFeatures = await measureLatency(bench, "features", CASES_WITH_FEATURES, featureRounds, seconds);
  say("rows written and memory, side by side: neither is a matter of time");
  const [rows, memory] = await Promise.all([measureRowsWritten(bench, rowSeconds), measureKeyMemory(bench, keys)]);

  const command = ["npm run bench", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" ");
  const machine = describeMachine();
  const text = report({
    rounds: measured,
    roundCount: rounds,
    featureRounds: withFeatures,
    featureRoundCount: featureRounds,
    seconds,
    rows,
    bundleBytes,
    sellingBytes: bytesOfSelling(workers),
    memory,
    machine,
    date: new Date(),
    command,
  });
  console.log(text);
  if (!isQuick) {
    writeFileSync(RESULTS, text);
    say("written to bench/RESULTS.md");
  }
  // The origin and its pipe would keep the process.
  process.exit();
}

/** The embedded node of `turnpike start`, in this process: it makes some ten invoices in a run. */
async function startNode(): Promise<Bench["node"]> {
  const secret = "a-node-credential-of-the-benchmark";
  const store = { load: () => null, save: () => {} };
  const { url } = await startEmbeddedNode({ store, password: `${secret} for paying`, limitedPassword: secret });
  return { url, secret };
}

async function startOrigin(): Promise<string> {
  const child = start(process.execPath, [ORIGIN], ["ignore", "pipe", "inherit"]);
  const port = await new Promise<string>((resolve, reject) => {
    child.stdout!.once("data", (chunk: Buffer) => resolve(String(chunk).trim()));
    child.once("exit", (code) => reject(new Error(`the origin ended with ${code}`)));
  });
  return `http://127.0.0.1:${port}/mcp`;
}

function say(what: string): void {
  console.error(`bench: ${what}`);
}
