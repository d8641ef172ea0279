/** `workerd serve` on a generated configuration: one process for each cell, on a port of its own choice. */

import type { ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";
import type { Readable } from "node:stream";
import { start, stop } from "./child.ts";
import type { Bench } from "./bench.ts";
import type { WorkerName } from "./build-workers.ts";
import type { Feature } from "./workers/features.ts";

/**
 * With the default heap, V8 stops everything for 150 to 500 ms every few seconds under load: a large young generation
 * and short cells keep that artefact of one busy process out of the percentiles.
 */
export const LATENCY_V8_FLAGS = ["--min-semi-space-size=128", "--max-semi-space-size=128", "--initial-heap-size=1024"];

/** As wrangler.toml binds them; the floor has a consumer of its own. */
const OBJECTS: readonly { readonly binding: string; readonly className: string; readonly workers: readonly WorkerName[] }[] = [
  { binding: "CONSUMERS", className: "Consumer", workers: ["floor", "gate", "counting-gate", "selling-gate"] },
  { binding: "ORIGIN_QUOTAS", className: "OriginQuota", workers: ["gate", "counting-gate", "selling-gate"] },
];

export interface WorkerdOptions {
  readonly worker: WorkerName;
  /** The plan and the number of consumers of all API keys. */
  readonly plan: string;
  readonly owners: number;
  /** What the policy of bench/workers/policy.ts has on top of its plans. */
  readonly feature: Feature;
  readonly v8Flags: readonly string[];
  readonly withInspector?: boolean;
}

export interface RunningWorkerd {
  readonly pid: number;
  readonly port: number;
  /** 0 without an inspector. */
  readonly inspectorPort: number;
  stop(): Promise<void>;
}

export async function startWorkerd(bench: Bench, options: WorkerdOptions): Promise<RunningWorkerd> {
  const dir = mkdtempSync(join(bench.tempDir, "workerd-"));
  mkdirSync(join(dir, "objects"));
  const config = join(dir, "config.capnp");
  writeFileSync(config, capnp(bench, options, dir));
  const inspector = options.withInspector ? ["--inspector-addr=127.0.0.1:0"] : [];
  // The gate logs a line for each refusal: written, as in production, and read by nobody.
  const child = start(workerdPath(), ["serve", config, "--control-fd=3", ...inspector], ["ignore", "ignore", "inherit", "pipe"]);
  const ports = await listeningPorts(child, options.withInspector ? ["http", "inspector"] : ["http"]);
  return { pid: child.pid!, port: ports.get("http")!, inspectorPort: ports.get("inspector") ?? 0, stop: () => stop(child) };
}

export function workerdPath(): string {
  const require = createRequire(import.meta.url);
  return require.resolve("workerd/bin/workerd");
}

function capnp({ workers, originUrl, node }: Bench, options: WorkerdOptions, dir: string): string {
  const { scripts, compatibilityDate, compatibilityFlags } = workers;
  const text = JSON.stringify;
  const flags = compatibilityFlags.map((flag) => text(flag)).join(", ");
  const objects = OBJECTS.filter(({ workers }) => workers.includes(options.worker));
  // Embedded paths are relative to the file: an absolute one would be looked for among the imports.
  // A space before the dot in `worker = .w`: without it, the name would belong to the number or word before it.
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "measured", worker = .measured),
    (name = "key-records", worker = .keyRecords),
    (name = "network", network = (allow = ["public", "private", "local"])),
    (name = "objects", disk = (path = ${text(join(dir, "objects"))}, writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "measured")],
  v8Flags = [${options.v8Flags.map((flag) => text(flag)).join(", ")}],
);
const measured :Workerd.Worker = (
  modules = [(name = "measured", esModule = embed ${text(relative(dir, scripts[options.worker]))})],
  compatibilityDate = ${text(compatibilityDate)},
  compatibilityFlags = [${flags}],
  globalOutbound = "network",
  bindings = [
    (name = "ORIGIN", text = ${text(originUrl)}),
    (name = "ORIGIN_SIGNING_SECRET", text = "a-signing-secret-of-the-benchmark"),
    (name = "CHALLENGE_SECRET", text = "a-challenge-secret-of-the-benchmark"),
    (name = "NODE", text = ${text(node.url)}),
    (name = "LIGHTNING_SECRET", text = ${text(node.secret)}),
    (name = "KEYS", kvNamespace = "key-records"),
    (name = "FEATURE", text = ${text(options.feature)}),
    ${objects.map(({ binding, className }) => `(name = ${text(binding)}, durableObjectNamespace = ${text(className)}),`).join("\n    ")}
  ],
  durableObjectNamespaces = [
    ${objects.map(({ className }) => `(className = ${text(className)}, uniqueKey = ${text(`bench-${className}`)}, enableSql = true),`).join("\n    ")}
  ],
  durableObjectStorage = (localDisk = "objects"),
);
const keyRecords :Workerd.Worker = (
  modules = [(name = "key-records", esModule = embed ${text(relative(dir, scripts["key-records"]))})],
  compatibilityDate = ${text(compatibilityDate)},
  bindings = [(name = "PLAN", text = ${text(options.plan)}), (name = "OWNERS", text = "${options.owners}")],
);
`;
}

/** What workerd says on its control pipe, a line of JSON for each socket. */
function listeningPorts(child: ChildProcess, names: readonly string[]): Promise<Map<string, number>> {
  const ports = new Map<string, number>();
  return new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`workerd ended with ${code}`)));
    let rest = "";
    (child.stdio[3] as Readable).on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const said = JSON.parse(line) as { event: string; socket?: string; port?: number };
        if (said.event === "listen-inspector") ports.set("inspector", said.port!);
        else if (said.event === "listen") ports.set(said.socket!, said.port!);
      }
      if (names.every((name) => ports.has(name))) resolve(ports);
    });
  });
}
