import { spawnSync } from "node:child_process";
import { cpSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeConsumer, policyText } from "../support/admin.ts";
import { REPO, run, scratch } from "../support/command.ts";
import { type CountingServer, startCountingServer } from "../support/counting-server.ts";
import { type RunningGate, startGate } from "../support/gate.ts";
import { startHost } from "../support/stdio-host.ts";

/** As `engines` says. */
const OLDEST_NODE = 20;

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

/** What a folder takes, or what the package takes that it links to. */
function bytesIn(path: string): number {
  if (!lstatSync(`${path}/.`).isDirectory()) return lstatSync(path).size;
  return readdirSync(path, { withFileTypes: true }).reduce((sum, entry) => {
    const inner = join(path, entry.name);
    return sum + (entry.isDirectory() ? bytesIn(inner) : lstatSync(inner).size);
  }, 0);
}

/** Each Node on this machine that the package is for, by its major version: an agent's host starts the command with whatever it has. */
const NODES: (readonly [version: string, path: string])[] = [
  ...new Map(
    [process.execPath, ...(process.env["PATH"] ?? "").split(delimiter).map((dir) => join(dir, "node"))].flatMap((path) => {
      const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
      const major = /^v(\d+)\./.exec(stdout ?? "")?.[1];
      return major !== undefined && Number(major) >= OLDEST_NODE ? [[`Node ${major}`, path] as const] : [];
    }),
  ),
];

/** Two compilations, on a machine that may be busy. */
const PACKS_WITHIN_MS = 120_000;

let tarball = "";
beforeAll(async () => {
  const dir = scratch();
  const packed = await run("npm", ["pack", "--pack-destination", dir], { withinMs: PACKS_WITHIN_MS });
  expect(packed.code, packed.stderr).toBe(0);
  tarball = join(dir, readdirSync(dir)[0]!);
}, PACKS_WITHIN_MS);

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

  test("says what to install when a wallet is given and the code for it is not there", async () => {
    const dir = await installPacked();
    const command = join(dir, "node_modules/mcp-turnpike/dist/src/cli/main.js");
    const env = { TURNPIKE_WALLET: "nwc:x" };
    const started = await run(process.execPath, [command, "proxy", "http://127.0.0.1:9/mcp", "--port", "0"], { cwd: dir, env });
    expect(started.code).toBe(1);
    expect(started.stderr.trim()).toBe(
      "turnpike: this command needs @getalby/sdk, which is not installed. Install it with: npm install @getalby/sdk",
    );
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

  test("brings the agent's side as a library that uses all cores, and nothing of the gate", async () => {
    const dir = await installPacked();
    // What it could need beside itself is not there.
    cpSync(join(dir, "node_modules/mcp-turnpike/dist/src/client"), join(dir, "alone"), { recursive: true });
    writeFileSync(
      join(dir, "solve.js"),
      `import threads from "node:worker_threads";
       import { solvePow } from "mcp-turnpike/client";
       import { createTurnpikeFetch } from "./alone/index.js";
       let answers = 0;
       threads.Worker = class extends threads.Worker {
         constructor(...args) { super(...args); this.on("message", () => { if (++answers === 10) aborter.abort(); }); }
       };
       const challenge = { type: "pow", algorithm: "SHA-256", id: "i", salt: "s", difficulty: 32, signature: "g" };
       const aborter = new AbortController();
       const solved = await solvePow(challenge, { maxDifficulty: 32, signal: aborter.signal });
       console.log(JSON.stringify({ solved, answers: answers >= 10, fetch: typeof createTurnpikeFetch() }));`,
    );
    const ended = await run(process.execPath, ["solve.js"], { cwd: dir });
    expect(ended.stderr).toBe("");
    expect(ended.code).toBe(0);
    expect(JSON.parse(ended.stdout)).toEqual({ solved: { ok: false, why: "aborted" }, answers: true, fetch: "function" });
  });

  test("is used as docs/agents.md shows", async () => {
    const dir = await installPacked(["@modelcontextprotocol/client", "@types/node", "typescript"]);
    const examples = [...readFileSync(join(REPO, "docs/agents.md"), "utf8").matchAll(/```ts\n([\s\S]*?)```/g)];
    const files = examples.map(([, example], i) => {
      writeFileSync(join(dir, `example-${i}.ts`), example!);
      return `example-${i}.ts`;
    });
    expect(files).toHaveLength(2);
    const options = ["--strict", "--noEmit", "--skipLibCheck", "--target", "es2023", "--module", "nodenext", "--types", "node"];
    const compiled = await run(process.execPath, [join(REPO, "node_modules/typescript/bin/tsc"), ...options, ...files], { cwd: dir });
    expect(compiled.stdout).toBe("");
    expect(compiled.code).toBe(0);
  });

  test("has types for agents that know neither Workers nor Node, and fit the SDKs", async () => {
    const dir = await installPacked(["@modelcontextprotocol/sdk", "@modelcontextprotocol/client", "typescript"]);
    writeFileSync(
      join(dir, "agent.ts"),
      `import { StreamableHTTPClientTransport as Transport2 } from "@modelcontextprotocol/client";
       import { StreamableHTTPClientTransport as Transport1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
       import { createTurnpikeFetch, type Progress, TurnpikeError } from "mcp-turnpike/client";
       const onProgress = (progress: Progress): void => console.log(progress.kind);
       const fetch = createTurnpikeFetch({ maxWait: 30_000, onProgress });
       new Transport1(new URL("https://mcp.example.com/mcp"), { fetch });
       new Transport2(new URL("https://mcp.example.com/mcp"), { fetch });
       export const plan = (error: unknown) => (error instanceof TurnpikeError ? error.data["plan"] : null);
       // @ts-expect-error the names of the options are known
       createTurnpikeFetch({ maxwait: 1 });`,
    );
    const options = ["--strict", "--noEmit", "--skipLibCheck", "--target", "es2023", "--lib", "es2023,dom", "--module", "nodenext"];
    const compiled = await run(process.execPath, [join(REPO, "node_modules/typescript/bin/tsc"), ...options, "agent.ts"], { cwd: dir });
    expect(compiled.stdout).toBe("");
    expect(compiled.code).toBe(0);
  });

  test("is small: with all that it depends on, less than 10 MB", async () => {
    const dir = await installPacked();
    const bytes = readdirSync(join(dir, "node_modules")).reduce((sum, name) => sum + bytesIn(join(dir, "node_modules", name)), 0);
    expect(bytes).toBeLessThan(10_000_000);
  });

  test("does not depend on what only development needs", () => {
    const manifest = JSON.parse(readFileSync(join(REPO, "package.json"), "utf8")) as Manifest;
    for (const name of [
      "wrangler",
      "miniflare",
      "esbuild",
      "workerd",
      "@modelcontextprotocol/sdk",
      "@modelcontextprotocol/client",
      "@getalby/sdk",
    ]) {
      expect(manifest.dependencies).not.toHaveProperty(name);
    }
  });
});

describe("the package, as the command of an agent's host", () => {
  let server: CountingServer;
  let gate: RunningGate;
  beforeAll(async () => {
    server = await startCountingServer();
    const plans = { anonymous: { rate: 1 }, free: { rate: { perMinute: 1, burst: 2 }, offers: { pow: { difficulty: 16 } } } };
    gate = await startGate({ origin: server.url, policy: policyText({ plans }) });
  });
  afterAll(async () => {
    await gate.stop();
    await server.stop();
  });

  test.each(NODES)("gets through a gate on %s: connect needs nothing but what the package brings", async (_version, node) => {
    const dir = await installPacked();
    const command = join(dir, "node_modules/mcp-turnpike/dist/src/cli/main.js");
    const { key, logged } = await makeConsumer(gate, "free");
    const host = await startHost("client-2-auto", gate.url, { node, command, env: { TURNPIKE_KEY: key } });
    try {
      for (const text of ["packed 1", "packed 2", "packed 3"]) expect((await host.call("count", { text })).isError).not.toBe(true);
      expect(logged("redeemed")).toHaveLength(1);
    } finally {
      await host.close();
    }
  });
});
