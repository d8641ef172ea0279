/** The processes that a run starts. Each is ended by its own id, whatever way the run ends. */

import { type ChildProcess, spawn, type StdioOptions } from "node:child_process";

const running = new Set<ChildProcess>();

export function start(file: string, args: readonly string[], stdio: StdioOptions): ChildProcess {
  const child = spawn(file, args, { stdio });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
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
