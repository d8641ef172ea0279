/** The processes that a run starts. Each is ended by its own id, whatever way the run ends. */

import { type ChildProcess, spawn, type StdioOptions } from "node:child_process";

const running = new Set<ChildProcess>();

export function start(file: string, args: readonly string[], stdio: StdioOptions): ChildProcess {
  const child = spawn(file, args, { stdio });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

/** What a process prints until it ends; what goes wrong is on its stderr. */
export async function outputOf(file: string, args: readonly string[]): Promise<string> {
  const child = start(file, args, ["ignore", "pipe", "pipe"]);
  const printed = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) child[name]!.setEncoding("utf8").on("data", (text: string) => (printed[name] += text));
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`${file} ${args[0]} ended with ${String(code)}:\n${printed.stderr}${printed.stdout}`);
  return printed.stdout;
}

/** Resolves when the process is gone. It has nothing to save. */
export async function stop(child: ChildProcess): Promise<void> {
  if (!running.has(child)) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}

/** For a run that ends early: nothing that it started outlives it. */
export function stopAll(): void {
  for (const child of running) child.kill("SIGKILL");
}
