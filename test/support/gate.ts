/** A gate for a test, started as users start it: the `turnpike start` command, in a folder of its own. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const READY_WITHIN_MS = 20_000;

export interface GateOptions {
  /** An MCP server; the embedded one when left out. */
  readonly origin?: string;
  /** The text of a policy file; the default policy when left out. */
  readonly policy?: string;
  /** Use this state folder, and leave it when the gate stops. */
  readonly state?: string;
  /** Sell by the policy's own node, with this credential. */
  readonly lightningSecret?: string;
}

export interface RunningGate {
  /** The MCP endpoint. */
  readonly url: string;
  /** A key for each plan that is for keys. */
  readonly keys: Readonly<Record<string, string>>;
  readonly state: string;
  /** What the gate has logged so far, a line each. */
  readonly logs: readonly string[];
  readonly pid: number;
  /** SIGTERM, as Ctrl-C does; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL to the command and its workerd, as a crash does. */
  kill(): Promise<void>;
}

export async function startGate(options: GateOptions = {}): Promise<RunningGate> {
  const dir = mkdtempSync(join(tmpdir(), "turnpike-test-"));
  const state = options.state ?? join(dir, "state");
  const args = [MAIN, "start", "--json", "--port", "0", "--state", state];
  if (options.origin !== undefined) args.push("--origin", options.origin);
  if (options.policy !== undefined) {
    writeFileSync(join(dir, "policy.ts"), options.policy);
    args.push("--policy", join(dir, "policy.ts"));
  }
  if (options.lightningSecret !== undefined) args.push("--own-node");
  const env = { ...process.env, LIGHTNING_SECRET: options.lightningSecret };
  // A process group of its own, so that a crash can take workerd down with it.
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const logs: string[] = [];
  collectLines(child.stderr, (line) => logs.push(line));
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const { url, keys } = await readiness(child, logs);
  const clean = (): void => rmSync(dir, { recursive: true, force: true });
  return {
    url,
    keys,
    state,
    logs,
    pid: child.pid!,
    async stop() {
      child.kill("SIGTERM");
      const code = await exited;
      clean();
      return code;
    },
    async kill() {
      process.kill(-child.pid!, "SIGKILL");
      await exited;
      clean();
    },
  };
}

async function readiness(child: ChildProcess, logs: readonly string[]): Promise<{ url: string; keys: Record<string, string> }> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the gate was not ready in time:\n${logs.join("\n")}`)), READY_WITHIN_MS);
    child.once("exit", (code) => reject(new Error(`turnpike start ended with ${code}:\n${logs.join("\n")}`)));
    collectLines(child.stdout!, (line) => {
      clearTimeout(timer);
      resolve(JSON.parse(line) as { url: string; keys: Record<string, string> });
    });
  });
}

function collectLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = "";
  stream.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") onLine(line);
  });
}
