import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { REPO, run, scratch } from "../support/command.ts";

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

/**
 * The package as `npm pack` makes it, in an otherwise empty folder. Its dependencies are linked from here instead of being
 * installed: a test fetches nothing. What is not among them is not there.
 */
async function installPacked(alsoLinked: readonly string[] = []): Promise<string> {
  const dir = scratch();
  const modules = join(dir, "node_modules");
  mkdirSync(join(modules, "mcp-turnpike"), { recursive: true });
  const unpacked = await run("tar", ["-xzf", tarball, "-C", join(modules, "mcp-turnpike"), "--strip-components=1"]);
  expect(unpacked.stderr).toBe("");
  const manifest = JSON.parse(readFileSync(join(REPO, "package.json"), "utf8")) as Manifest;
  for (const name of [...Object.keys(manifest.dependencies), ...alsoLinked]) {
    mkdirSync(join(modules, name, ".."), { recursive: true });
    symlinkSync(join(REPO, "node_modules", name), join(modules, name));
  }
  writeFileSync(join(dir, "package.json"), '{"type":"module"}');
  return dir;
}

let tarball = "";
beforeAll(async () => {
  const dir = scratch();
  const packed = await run("npm", ["pack", "--pack-destination", dir]);
  expect(packed.code, packed.stderr).toBe(0);
  tarball = join(dir, readdirSync(dir)[0]!);
});

describe("the package, packed and installed in an empty folder", () => {
  test("brings a compiled command that needs nothing else to explain itself", async () => {
    const dir = await installPacked();
    const command = join(dir, "node_modules/mcp-turnpike/dist/src/cli/main.js");
    const help = await run(process.execPath, [command, "--help"], { cwd: dir });
    expect(help.code, help.stderr).toBe(0);
    expect(help.stdout).toContain("start");
    const version = await run(process.execPath, [command, "--version"], { cwd: dir });
    expect(version.stdout.trim()).toMatch(/^\d+\.\d+\.\d+$/);
  });

  test("says what to install when the gate is to run here and Miniflare is not there", async () => {
    const dir = await installPacked();
    const command = join(dir, "node_modules/mcp-turnpike/dist/src/cli/main.js");
    const started = await run(process.execPath, [command, "start", "--port", "0"], { cwd: dir });
    expect(started.code).toBe(1);
    expect(started.stderr.trim()).toContain("npm install --save-dev wrangler");
    expect(started.stderr).not.toContain("    at ");
  });

  test("runs the gate, with a policy that imports from the package, once wrangler is there", async () => {
    const dir = await installPacked(["wrangler", "miniflare", "esbuild"]);
    const command = join(dir, "node_modules/mcp-turnpike/dist/src/cli/main.js");
    writeFileSync(
      join(dir, "policy.ts"),
      `import { definePolicy } from "mcp-turnpike";
       export default definePolicy({ origin: "https://mcp.example.com/mcp", plans: { anonymous: { rate: 3 } } });`,
    );
    const script = `
      ${JSON.stringify(process.execPath)} ${JSON.stringify(command)} start --port 0 --json --policy policy.ts > ready.json &
      for i in $(seq 100); do [ -s ready.json ] && break; sleep 0.1; done
      url=$(${JSON.stringify(process.execPath)} -p 'JSON.parse(require("fs").readFileSync("ready.json")).url')
      curl -si "$url" -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
        -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}'
      kill -TERM $!; wait $!`;
    const ended = await run("bash", ["-c", script], { cwd: dir });
    expect(ended.stdout, ended.stderr).toContain("200 OK");
    expect(ended.stdout).toContain('RateLimit-Policy: "anonymous";q=3;w=60');
  });

  test("is a library with types: a Worker around it compiles", async () => {
    const dir = await installPacked(["@cloudflare/workers-types", "typescript"]);
    writeFileSync(
      join(dir, "worker.ts"),
      `import { createGateway, definePolicy, type GateEnv } from "mcp-turnpike";
       export { Consumer } from "mcp-turnpike";
       const policy = definePolicy({ origin: { service: "ORIGIN" }, plans: { anonymous: { rate: 10 }, free: { rate: 30 } } });
       export default createGateway(policy) satisfies ExportedHandler<GateEnv>;
       // @ts-expect-error a plan that is named must be one that is defined
       definePolicy({ origin: "same-host", plans: { free: { rate: 1 } }, identity: { addresses: { plan: "fee" } } });`,
    );
    const options = [
      "--strict",
      "--noEmit",
      "--target",
      "es2024",
      "--lib",
      "es2024",
      "--module",
      "nodenext",
      "--types",
      "@cloudflare/workers-types",
    ];
    const compiled = await run(process.execPath, [join(REPO, "node_modules/typescript/bin/tsc"), ...options, "worker.ts"], { cwd: dir });
    expect(compiled.stdout).toBe("");
    expect(compiled.code).toBe(0);
  });

  test("does not depend on what only development needs", () => {
    const manifest = JSON.parse(readFileSync(join(REPO, "package.json"), "utf8")) as Manifest;
    for (const name of ["wrangler", "miniflare", "esbuild", "workerd", "@modelcontextprotocol/sdk"]) {
      expect(manifest.dependencies).not.toHaveProperty(name);
    }
  });
});
