/** The Workers of a run. The gate is bundled by wrangler: what is measured is what `wrangler deploy` would upload. */

import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { outputOf } from "./child.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const HAND_WRITTEN = ["bare", "pass-through", "floor", "key-records"] as const;
const GATES = ["gate", "counting-gate", "selling-gate"] as const;

export type WorkerName = (typeof HAND_WRITTEN)[number] | (typeof GATES)[number];

export interface BuiltWorkers {
  /** The path of each bundle. */
  readonly scripts: Readonly<Record<WorkerName, string>>;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
}

export async function buildWorkers(tempDir: string): Promise<BuiltWorkers> {
  const entryPoints = HAND_WRITTEN.map((name) => join(ROOT, entryOf(name)));
  await build({
    entryPoints,
    outdir: tempDir,
    bundle: true,
    format: "esm",
    target: "es2024",
    minify: true,
    external: ["cloudflare:workers"],
  });
  const scripts: Partial<Record<WorkerName, string>> = {};
  for (const name of HAND_WRITTEN) scripts[name] = join(tempDir, `${name}.js`);
  for (const name of GATES) scripts[name] = await bundle(entryOf(name), join(tempDir, name));
  return { scripts: scripts as Record<WorkerName, string>, ...compatibility() };
}

function entryOf(name: WorkerName): string {
  return join("bench", "workers", `${name}.ts`);
}

/** How many bytes selling adds to a bundle, gzipped. */
export function bytesOfSelling({ scripts }: BuiltWorkers): number {
  const [without, withSelling] = [scripts.gate, scripts["selling-gate"]].map((path) => gzipSync(readFileSync(path)).length);
  return withSelling! - without!;
}

/** The Worker that an operator deploys, with the default policy. */
export function bundleProduct(tempDir: string): Promise<string> {
  return bundle(join("src", "worker.ts"), join(tempDir, "product"));
}

/** @returns the path of the one file that would be uploaded */
async function bundle(entry: string, outDir: string): Promise<string> {
  await outputOf("npx", [
    "wrangler",
    "deploy",
    join(ROOT, entry),
    "--config",
    join(ROOT, "wrangler.toml"),
    "--dry-run",
    "--outdir",
    outDir,
  ]);
  return join(outDir, `${basename(entry, ".ts")}.js`);
}

function compatibility(): Pick<BuiltWorkers, "compatibilityDate" | "compatibilityFlags"> {
  const toml = readFileSync(join(ROOT, "wrangler.toml"), "utf8");
  const date = /^compatibility_date = "(.+)"$/m.exec(toml)?.[1];
  const flags = /^compatibility_flags = \[(.+)\]$/m.exec(toml)?.[1];
  if (date === undefined || flags === undefined) throw new Error("wrangler.toml has no compatibility_date or compatibility_flags.");
  return { compatibilityDate: date, compatibilityFlags: JSON.parse(`[${flags}]`) as string[] };
}
