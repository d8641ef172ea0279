/** Where the numbers were measured, and with what. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";
import { fileURLToPath } from "node:url";
import { workerdPath } from "./workerd.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

export interface Machine {
  readonly hardware: string;
  readonly versions: string;
}

export function describeMachine(): Machine {
  const cores = cpus();
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  const workerd = execFileSync(workerdPath(), ["--version"], { encoding: "utf8" }).trim();
  return {
    hardware: `${cores[0]?.model.trim()}, ${cores.length} cores, ${gigabytes} GB memory, ${type()} ${release()}`,
    versions: `mcp-turnpike ${versionIn(".")}, ${workerd}, wrangler ${versionOf("wrangler")}, Node ${process.version}`,
  };
}

/** Of an installed package. */
export function versionOf(name: string): string {
  return versionIn(`node_modules/${name}`);
}

function versionIn(dir: string): string {
  return (JSON.parse(readFileSync(`${ROOT}/${dir}/package.json`, "utf8")) as { version: string }).version;
}
