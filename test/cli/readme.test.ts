import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import embeddedOrigin from "../../src/cli/local/embedded-origin.ts";
import { type Ended, freePort, REPO, run, scratch } from "../support/command.ts";
import { serveFetch } from "../support/serve-fetch.ts";

const README = readFileSync(join(REPO, "README.md"), "utf8");

/** The commands of every `sh` block: a line each, continued lines, loops, and what is assigned for the last line of a block, together. */
const COMMANDS = [...README.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block]) => splitCommands(block!));

function splitCommands(block: string): string[] {
  const commands: string[] = [];
  let open = "";
  for (const line of block.split("\n")) {
    open = open === "" ? line : `${open}\n${line}`;
    const isAssigning = /^[A-Z]+=/.test(open) && !/^curl /m.test(open);
    const isContinued = open.endsWith("\\") || isAssigning || (/^for .*; do$/m.test(open) && !/^done$/m.test(open));
    if (isContinued) continue;
    if (open.trim() !== "") commands.push(open.replace(/\s+# .*$/, ""));
    open = "";
  }
  return commands;
}

const state = scratch();
/** The reader's own MCP server. */
const origin = await serveFetch(async (request) =>
  new URL(request.url).pathname === "/mcp" ? embeddedOrigin.fetch(request) : new Response("here"),
);
/** The ports that the README names, and those that are free here. */
const PORTS: Readonly<Record<string, number>> = { "8787": await freePort(), "3001": Number(new URL(origin.url).port) };
let gate: ChildProcess | undefined;

function onFreePorts(command: string): string {
  return command.replaceAll(/\b(8787|3001)\b/g, (port) => String(PORTS[port]));
}

/** Runs a command of the README as it stands, but for its ports and the folder in which a gate keeps its state. */
function asWritten(command: string): Promise<Ended> {
  return run("bash", ["-c", onFreePorts(command)], { env: { WRANGLER_HIDE_BANNER: "true", WRANGLER_SEND_METRICS: "false" } });
}

async function startGate(command: string): Promise<void> {
  const [program = "", ...args] = onFreePorts(command).split(" ");
  const where = ["--state", state, "--port", String(PORTS["8787"])];
  gate = spawn(program, [...args, ...(command.includes(" -- ") ? [] : ["--"]), ...where], { cwd: REPO, detached: true });
  let printed = "";
  await new Promise<void>((resolve, reject) => {
    gate!.stdout!.on("data", (chunk: Buffer) => {
      printed += chunk.toString();
      if (printed.includes("Ctrl-C")) resolve();
    });
    gate!.stderr!.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    gate!.once("exit", () => reject(new Error(`${command} ended:\n${printed}`)));
  });
}

async function stopGate(): Promise<void> {
  const running = gate;
  gate = undefined;
  if (!running) return;
  const exited = new Promise((resolve) => running.once("exit", resolve));
  process.kill(-running.pid!, "SIGTERM");
  await exited;
}
afterAll(async () => {
  await stopGate();
  await origin.stop();
});

/** `npx turnpike …` in a checkout, on the state folder of these tests. */
function keys(command: string): Promise<Ended> {
  return asWritten(`${command.replace("npx turnpike", "npm run -s turnpike --")} --state ${state}`);
}

let keyId = "";

/** Every command of the README, in its order, and how it is run here. */
const RUNS: readonly (readonly [command: RegExp, how: (command: string) => Promise<void>])[] = [
  [
    /^npm ci && npm start$/,
    // `npm ci` is how this suite came to run (.ci/run); a gate that is running already keeps the port.
    () => startGate("npm start"),
  ],
  [
    /^npm ci && npm test$/,
    () => {
      // This suite is what it runs.
      expect(JSON.parse(readFileSync(join(REPO, "package.json"), "utf8"))).toHaveProperty("scripts.test");
      return Promise.resolve();
    },
  ],
  [
    /^curl -si/,
    async (command) => {
      const { stdout } = await asWritten(command);
      expect(stdout).toContain("HTTP/1.1 200 OK");
      expect(stdout).toContain('RateLimit-Policy: "anonymous";q=10;w=60');
      expect(stdout).toContain('RateLimit: "anonymous";r=9;t=6');
    },
  ],
  [
    /^for i in 1/,
    async (command) => {
      const { stdout } = await asWritten(command);
      const statuses = [...stdout.matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => status);
      expect(statuses).toHaveLength(10);
      expect(statuses[0]).toBe("200");
      expect(statuses.at(-1)).toBe("402");
      const sold = `L402 version="0", token="[^"]+", macaroon="[^"]+", invoice="lnbcrt300n1[^"]+"`;
      const earned = `PowChallenge realm="turnpike", id="[^"]+", salt="[^"]+", difficulty=18, signature="[^"]+"`;
      expect(stdout).toMatch(new RegExp(`WWW-Authenticate: ${sold}, ${earned}`));
      // Six seconds at first, less by what has passed since: a slow machine takes its time for ten calls.
      expect(stdout).toMatch(/Retry-After: [1-6]\r?\n/);
      const quoted = /"message":"(.*?)\. Wait/.exec(README)![1]!;
      expect(stdout).toContain(quoted);
    },
  ],
  [
    /^INVOICE=/,
    async (command) => {
      const { stdout, stderr } = await asWritten(command.replace("npx turnpike pay", `npm run -s turnpike -- pay --state ${state}`));
      expect(stdout, stderr).toContain('"credits":10');
    },
  ],
  [
    /^npm start -- --origin/,
    async (command) => {
      await stopGate();
      await startGate(command);
      expect(await (await fetch(`http://127.0.0.1:${PORTS["8787"]}/elsewhere`)).text()).toBe("here");
    },
  ],
  [
    /^claude mcp add/,
    async (command) => {
      // The host cannot be installed here; what it is told to start is started, in front of the gate that runs, and greeted.
      const started = command.split(" -- ")[1]!.replace("npx -y mcp-turnpike", "npm run -s turnpike --");
      const capabilities = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "claude", version: "1" } };
      const hello = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params: capabilities });
      const url = `http://127.0.0.1:${PORTS["8787"]}/mcp`;
      const { stdout, stderr } = await run("bash", ["-c", `echo '${hello}' | ${started.replace(/https:\S+/, url)}`]);
      expect(JSON.parse(stdout), stderr).toMatchObject({ id: 1, result: { protocolVersion: "2025-11-25" } });
    },
  ],
  [
    /^npx wrangler deploy$/,
    async (command) => {
      const { code, stdout, stderr } = await asWritten(`${command} --dry-run`);
      expect(code, stderr).toBe(0);
      expect(stdout).toContain("env.CONSUMERS (Consumer)");
    },
  ],
  [
    /^npx wrangler secret put/,
    async (command) => {
      // Cloudflare cannot be reached from here: that wrangler has the command, and the gate the secret.
      expect((await asWritten(`${command} --help`)).stdout).toContain("wrangler secret put <key>");
      expect(readFileSync(join(REPO, ".dev.vars.example"), "utf8")).toContain(`${command.split(" ").at(-1)}=`);
    },
  ],
  [
    /^npx turnpike keys create/,
    async (command) => {
      const { stdout, stderr } = await keys(command);
      expect(stderr).toBe("");
      expect(stdout).toMatch(/^tp_[\w-]{43}$/m);
      keyId = /its id is ([0-9a-f]{12})/.exec(stdout)![1]!;
    },
  ],
  [
    /^npx turnpike keys list/,
    async (command) => {
      expect((await keys(command)).stdout).toContain(keyId);
    },
  ],
  [
    /^npx turnpike keys set-plan/,
    async (command) => {
      expect((await keys(command.replace("1f2e3d4c5b6a", keyId))).stdout).toContain("is now on plan pro");
    },
  ],
  [
    /^npx turnpike keys disable/,
    async (command) => {
      expect((await keys(command.replace("1f2e3d4c5b6a", keyId))).stdout).toContain("is disabled");
    },
  ],
  [
    /^npx turnpike check/,
    async (command) => {
      const { stdout, stderr } = await asWritten(command.replace("npx turnpike", "npm run -s turnpike --"));
      expect(stderr).toBe("");
      expect(stdout).toContain("30 at once, refilled at 30 a minute: up to 60 in the first minute");
    },
  ],
  [
    /^npx wrangler kv key put/,
    async (command) => {
      const { code, stderr } = await asWritten(command.replace("--remote", `--local --persist-to ${scratch()}`));
      expect(code, stderr).toBe(0);
    },
  ],
];

describe("every command of the README works as it is written", () => {
  test.each(COMMANDS)("%s", async (command) => {
    const found = RUNS.find(([pattern]) => pattern.test(command));
    expect(found, "a command without a test").toBeDefined();
    await found![1](command);
  });
});

describe("what the README shows is so", () => {
  test("its policies are good, and the ten lines are the plans that come with the gate", async () => {
    const [policy = "", , library = ""] = [...README.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!);
    expect(policy.replace(/ +\/\/.*$/gm, "")).toContain(
      /plans: \{[\s\S]*?\n {2}\}/.exec(readFileSync(join(REPO, "src/policy.ts"), "utf8"))![0],
    );
    expect(library).toContain("createGateway(definePolicy(");
    for (const [name, code] of [
      ["policy.ts", policy],
      ["docs-policy.ts", /```ts\n([\s\S]*?)```/.exec(readFileSync(join(REPO, "docs/policy.md"), "utf8"))![1]!],
    ] as const) {
      const file = join(scratch(), name);
      writeFileSync(file, code);
      const { loadPolicy } = await import("../../src/cli/local/bundle.ts");
      await expect(loadPolicy(file)).resolves.toBeDefined();
    }
  });

  test("every file it links to, and every test that a guarantee names, is there", () => {
    const links = [...README.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path]) => path!);
    const tests = [...README.matchAll(/npx vitest run ([^`]+)`/g)].flatMap(([, paths]) => paths!.split(" "));
    expect(tests.length).toBeGreaterThan(4);
    for (const path of [...links, ...tests]) expect(existsSync(join(REPO, path)), path).toBe(true);
  });
});
