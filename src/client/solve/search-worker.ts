/** The script of one worker: it searches the stretches of tries that it is sent, in a browser or in Node. */

import { type Found, searchNonces } from "./search.ts";

/** One stretch of tries. */
export interface Stretch {
  readonly job: number;
  readonly salt: string;
  readonly difficulty: number;
  readonly start: number;
  readonly count: number;
}

export interface Searched extends Found {
  readonly job: number;
}

interface Port {
  postMessage(message: Searched, transfer: []): void;
}

interface NodeThreads {
  readonly parentPort: (Port & { on(event: "message", listener: (stretch: Stretch) => void): void }) | null;
}

const node = (globalThis as { process?: { getBuiltinModule?(name: string): unknown } }).process;
const threads = node?.getBuiltinModule?.("node:worker_threads") as NodeThreads | undefined;

if (threads?.parentPort) {
  const port = threads.parentPort;
  port.on("message", (stretch) => answer(port, stretch));
} else {
  const port = globalThis as unknown as Port;
  globalThis.addEventListener("message", ({ data }: MessageEvent<Stretch>) => answer(port, data));
}

function answer(port: Port, { job, salt, difficulty, start, count }: Stretch): void {
  port.postMessage({ job, ...searchNonces(salt, difficulty, start, count) }, []);
}
