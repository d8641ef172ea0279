/** How many tries a second a candidate makes, on one core and on all of them at once. Also the script of one thread. */

import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { type Candidate, triesOf } from "./candidates.ts";

interface Task {
  readonly candidate: Candidate;
  readonly seconds: number;
}

/** Enough for the compiler to have done its best. */
const WARM_UP_TRIES = 100_000;
const STRETCH_TRIES = 20_000;

/** Tries a second of so many threads, each on its own. */
export async function measureSpeed(candidate: Candidate, threads: number, seconds: number): Promise<number> {
  const speeds = await Promise.all(Array.from({ length: threads }, () => inThread({ candidate, seconds })));
  return speeds.reduce((sum, speed) => sum + speed, 0);
}

function inThread(task: Task): Promise<number> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: task });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

async function run({ candidate, seconds }: Task): Promise<number> {
  const tries = await triesOf(candidate);
  tries(WARM_UP_TRIES);
  const start = performance.now();
  const end = start + seconds * 1_000;
  let made = 0;
  let now = start;
  while (now < end) {
    tries(STRETCH_TRIES);
    made += STRETCH_TRIES;
    now = performance.now();
  }
  return (made / (now - start)) * 1_000;
}

if (!isMainThread) parentPort!.postMessage(await run(workerData as Task), []);
