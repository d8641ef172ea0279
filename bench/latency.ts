/** The cases side by side: in each round a fresh process for each, and turns of a quarter of a second for all of them. */

import { fileURLToPath } from "node:url";
import type { Bench } from "./bench.ts";
import type { Case, CaseId } from "./cases.ts";
import { outputOf } from "./child.ts";
import type { Load, Measured } from "./load.ts";
import { LATENCY_V8_FLAGS, startWorkerd } from "./workerd.ts";

export const CONNECTIONS = [1, 16] as const;
/** As long as the gate remembers a refusal: each turn meets one that is forgotten, as any quarter of a second does. */
const TURN_MS = 250;
/** Until the hot functions are compiled; longer changes nothing. */
const WARM_UP_MS = 500;
const LOAD = fileURLToPath(new URL("load.ts", import.meta.url));

/** One round at one number of connections. */
export interface Round {
  readonly connections: number;
  readonly byCase: ReadonlyMap<CaseId, Measured>;
}

/**
 * @param what the cases, in a word of progress
 * @param seconds of each case, in each round and at each number of connections
 */
export async function measureLatency(
  bench: Bench,
  what: string,
  cases: readonly Case[],
  rounds: number,
  seconds: number,
): Promise<Round[]> {
  const measured: Round[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const connections of CONNECTIONS) {
      bench.say(`${what}: round ${round + 1} of ${rounds}, ${connections === 1 ? "1 connection" : `${connections} connections`}`);
      const order = round % 2 === 0 ? cases : cases.toReversed();
      const results = await measureRound(bench, order, connections, seconds);
      measured.push({ connections, byCase: new Map(order.map(({ id }, i) => [id, results[i]!])) });
    }
  }
  return measured;
}

async function measureRound(bench: Bench, cases: readonly Case[], connections: number, seconds: number): Promise<Measured[]> {
  const gates = await Promise.all(
    cases.map(({ worker, plan, feature }) => startWorkerd(bench, { worker, plan, feature, owners: 1, v8Flags: LATENCY_V8_FLAGS })),
  );
  const load: Load = {
    targets: cases.map(({ calls }, i) => ({ ...calls, hasOwnKey: false, port: gates[i]!.port, pid: gates[i]!.pid })),
    connections,
    warmUpMs: WARM_UP_MS,
    turns: Math.max(1, Math.round((seconds * 1_000) / TURN_MS)),
    turnMs: TURN_MS,
  };
  const printed = await outputOf(process.execPath, [LOAD, JSON.stringify(load)]);
  await Promise.all(gates.map((gate) => gate.stop()));
  return JSON.parse(printed) as Measured[];
}
