/** What an isolate remembers of API keys: its heap and its process before, amid and after many that come once each. */

import type { Bench } from "./bench.ts";
import { Connection } from "./connection.ts";
import { Inspector } from "./inspector.ts";
import { residentBytes } from "./process-facts.ts";
import { callWriter } from "./request.ts";
import { startWorkerd } from "./workerd.ts";

const CONNECTIONS = 16;
/** A handful of consumers, each out of calls: after the key is known, the memo of refusals answers. */
const OWNERS = 4;

export interface KeyMemory {
  readonly keys: number;
  /** What is in use on the isolate's heap right after a full collection. */
  readonly heapBytes: number;
  readonly residentBytes: number;
}

/** @returns with no keys, with half of them, and with all */
export async function measureKeyMemory(bench: Bench, keys: number): Promise<KeyMemory[]> {
  // V8's own heap size here: a heap of a gigabyte to begin with would show nothing.
  const gate = await startWorkerd(bench, {
    worker: "gate",
    plan: "empty",
    feature: "none",
    owners: OWNERS,
    v8Flags: [],
    withInspector: true,
  });
  const inspector = await Inspector.open(gate.inspectorPort);
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => Connection.open(gate.port)));
  const write = callWriter(gate.port, { isDistinct: true, toolCount: 1, hasOwnKey: true, refusesToWait: true });

  let sent = 0;
  const present = async (until: number): Promise<void> => {
    const sendOn = async (connection: Connection): Promise<void> => {
      while (sent < until) await connection.send(write(sent++));
    };
    await Promise.all(connections.map(sendOn));
  };
  const look = async (): Promise<KeyMemory> => ({
    keys: sent,
    heapBytes: await inspector.usedHeapBytes(),
    residentBytes: residentBytes(gate.pid),
  });

  const seen: KeyMemory[] = [];
  // A first call loads what every call needs.
  for (const until of [1, keys / 2, keys]) {
    await present(until);
    seen.push(await look());
  }
  for (const connection of connections) connection.close();
  inspector.close();
  await gate.stop();
  return seen;
}
