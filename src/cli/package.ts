/** Where this package is, as source in a checkout or compiled in node_modules, and what it may find beside it. */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** An error that is told in one line, without a stack: exit status 1. */
export class CliError extends Error {}

const here = fileURLToPath(import.meta.url);
/** `.ts` in a checkout, `.js` in the published package: both are laid out alike. */
const extension = here.endsWith(".ts") ? "ts" : "js";

/** A module of this package, named from `src/` without its extension. */
export function modulePath(name: string): string {
  return fileURLToPath(new URL(`../${name}.${extension}`, import.meta.url));
}

export function packageVersion(): string {
  for (const up of ["../../package.json", "../../../package.json"]) {
    try {
      return (JSON.parse(readFileSync(new URL(up, import.meta.url), "utf8")) as { version: string }).version;
    } catch {
      // One more up: the compiled command lies a folder deeper.
    }
  }
  return "unknown";
}

/** What only one command needs is no dependency of the package: it is asked for when it is used. */
export async function importOptional<T>(name: string, load: () => Promise<T>, install = "npm install --save-dev wrangler"): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new CliError(`this command needs ${name}, which is not installed. Install it with: ${install}`);
  }
}
