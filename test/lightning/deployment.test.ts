import { readdirSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { describe, expect, test } from "vitest";
import { REPO } from "../support/command.ts";

async function modulesOf(...entries: readonly string[]): Promise<string[]> {
  const contents = entries.map((entry) => `export * from ${JSON.stringify(join(REPO, entry))};`).join("\n");
  const { metafile } = await build({
    stdin: { contents, resolveDir: REPO, loader: "ts" },
    absWorkingDir: REPO,
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    external: ["cloudflare:workers"],
    conditions: ["workerd", "worker", "browser"],
    logLevel: "silent",
  });
  return Object.keys(metafile.inputs);
}

describe("a Worker that is deployed", () => {
  test("has no part of the embedded Lightning node, whatever of the gate it takes", async () => {
    const rooms = readdirSync(join(REPO, "src/lightning")).map((file) => `src/lightning/${file}`);
    const modules = await modulesOf("src/worker.ts", "src/index.ts", "src/challenges/l402.ts", ...rooms);
    expect(modules).toContain("src/lightning/open-node.ts");
    expect(modules.filter((module) => /^src\/cli\/|@noble|@scure|node:/.test(module))).toEqual([]);
  });

  test("could not be built with it: it stands on what this Worker does not have", async () => {
    await expect(modulesOf("src/cli/local/embedded-node.ts")).rejects.toThrow(/node:http/);
  });
});
