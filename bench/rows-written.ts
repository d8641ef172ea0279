/** What a steady caller costs in rows: the gate itself on workerd, at 600 calls a minute on a plan of as many. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Bench } from "./bench.ts";
import { Connection, statusOf } from "./connection.ts";
import { callWriter } from "./request.ts";
import { startWorkerd } from "./workerd.ts";

const CALLS_PER_SECOND = 10;
/** As bench/workers/key-records.ts names the only owner. */
const CONSUMER = "key:owner-0";

export interface RowsWritten {
  readonly calls: number;
  readonly rows: number;
  readonly seconds: number;
}

export async function measureRowsWritten(bench: Bench, seconds: number): Promise<RowsWritten> {
  const gate = await startWorkerd(bench, { worker: "counting-gate", plan: "steady", feature: "none", owners: 1, v8Flags: [] });
  const connection = await Connection.open(gate.port);
  const write = callWriter(gate.port, { isDistinct: true, toolCount: 1, hasOwnKey: false, refusesToWait: true });
  const startedAt = performance.now();
  const calls = seconds * CALLS_PER_SECOND;
  for (let n = 0; n < calls; n++) {
    const head = await connection.send(write(n));
    if (statusOf(head) !== 200) throw new Error(`expected to be admitted and got: ${head}`);
    await sleep(Math.max(0, startedAt + ((n + 1) * 1_000) / CALLS_PER_SECOND - performance.now()));
  }
  connection.close();
  const answer = await fetch(`http://127.0.0.1:${gate.port}/bench/rows?consumer=${CONSUMER}`);
  const rows = (await answer.json()) as number;
  await gate.stop();
  return { calls, rows, seconds };
}
