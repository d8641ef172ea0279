/**
 * Starts a worker on whatever the platform has: worker_threads in Node, web workers in browsers, none in Cloudflare Workers.
 * Node's modules are asked for at run time, so that nothing of Node stands in the way of a bundler.
 */

import type { Searched, Stretch } from "./search-worker.ts";

export interface SearchWorker {
  post(stretch: Stretch): void;
  /** Whether it keeps the process alive. */
  keepAlive(isKept: boolean): void;
  end(): void;
}

export interface WorkerEvents {
  onSearched(searched: Searched): void;
  /** It cannot be used, or no longer. */
  onFailed(): void;
}

interface NodeWorker {
  on(event: "message", listener: (searched: Searched) => void): void;
  on(event: "error" | "messageerror" | "exit", listener: () => void): void;
  postMessage(stretch: Stretch, transfer: []): void;
  ref(): void;
  unref(): void;
  terminate(): Promise<number>;
}

interface NodeThreads {
  readonly Worker: new (script: URL) => NodeWorker;
}

/** More would not help: a proof is meant to take seconds. */
const MAX_WORKERS = 16;
const UNKNOWN_CORES = 2;

/** How many workers make use of this machine. */
export function usefulWorkers(): number {
  const os = nodeModule("node:os") as { availableParallelism?(): number } | undefined;
  const cores = os?.availableParallelism?.() ?? globalThis.navigator?.hardwareConcurrency ?? UNKNOWN_CORES;
  return Math.min(MAX_WORKERS, Math.max(1, cores));
}

/** Null where there are no workers. One that fails to start says so by `onFailed`. */
export function startWorker(events: WorkerEvents): SearchWorker | null {
  try {
    const threads = nodeModule("node:worker_threads") as NodeThreads | undefined;
    if (threads) return startThread(threads, events);
    return typeof Worker === "function" ? startWebWorker(events) : null;
  } catch {
    // Forbidden, by a page's security policy for one, or a platform's stand-in for the module.
    return null;
  }
}

function startThread({ Worker }: NodeThreads, events: WorkerEvents): SearchWorker {
  const isCompiled = import.meta.url.endsWith(".js");
  const worker = new Worker(isCompiled ? new URL("./search-worker.js", import.meta.url) : new URL("./search-worker.ts", import.meta.url));
  worker.on("message", (searched) => events.onSearched(searched));
  for (const event of ["error", "messageerror", "exit"] as const) worker.on(event, () => events.onFailed());
  worker.unref();
  return {
    post: (stretch) => worker.postMessage(stretch, []),
    keepAlive: (isKept) => (isKept ? worker.ref() : worker.unref()),
    end: () => void worker.terminate(),
  };
}

function startWebWorker(events: WorkerEvents): SearchWorker {
  // Written in one piece, as bundlers look for it.
  const worker = new Worker(new URL("./search-worker.js", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data }: MessageEvent<Searched>) => events.onSearched(data));
  for (const event of ["error", "messageerror"] as const) worker.addEventListener(event, () => events.onFailed());
  return { post: (stretch) => worker.postMessage(stretch, []), keepAlive: () => {}, end: () => worker.terminate() };
}

function nodeModule(name: string): unknown {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): unknown } };
  return process?.getBuiltinModule?.(name);
}
