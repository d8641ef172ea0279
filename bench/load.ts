/**
 * The load, in a process of its own: each connection sends a call, reads the answer to its end, and sends the next. The
 * targets take short turns, so that whatever else the machine does meets all of them alike. Prints
 * what it measured as one line of JSON. The only argument is a `Load` as JSON.
 */

import { Connection, statusOf } from "./connection.ts";
import { processorSeconds } from "./process-facts.ts";
import { type CallOptions, callWriter } from "./request.ts";
import { percentile } from "./statistics.ts";

/** At the start of each turn, not measured: caches are cold, and the last target may still be tidying up. */
const LEAD_IN_MS = 50;

export interface Load {
  readonly targets: readonly Target[];
  readonly connections: number;
  readonly warmUpMs: number;
  readonly turns: number;
  readonly turnMs: number;
}

export interface Target extends CallOptions {
  readonly port: number;
  /** The process whose processor time is measured. */
  readonly pid: number;
  /** What every measured answer must be. */
  readonly status: number;
}

export interface Measured {
  readonly calls: number;
  readonly rps: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  /** Microseconds of the server's processor time. */
  readonly cpuPerCall: number;
}

class Client {
  readonly #target: Target;
  readonly #connections: readonly Connection[];
  readonly #write: (n: number) => string;
  readonly #latencies: number[] = [];
  #sent = 0;
  #measuredSeconds = 0;
  #processorSeconds = 0;

  constructor(target: Target, connections: readonly Connection[]) {
    this.#target = target;
    this.#connections = connections;
    this.#write = callWriter(target.port, target);
  }

  async warmUp(forMs: number): Promise<void> {
    await this.#send(forMs, () => {});
  }

  async takeTurn(forMs: number): Promise<void> {
    await this.warmUp(LEAD_IN_MS);
    const { pid, status } = this.#target;
    const processorAtStart = processorSeconds(pid);
    const startedAt = performance.now();
    await this.#send(forMs, (head, ms) => {
      if (statusOf(head) !== status) throw new Error(`expected the status ${status} and got: ${head}`);
      this.#latencies.push(ms);
    });
    this.#measuredSeconds += (performance.now() - startedAt) / 1_000;
    this.#processorSeconds += processorSeconds(pid) - processorAtStart;
  }

  finish(): Measured {
    for (const connection of this.#connections) connection.close();
    const sorted = Float64Array.from(this.#latencies).toSorted();
    return {
      calls: sorted.length,
      rps: sorted.length / this.#measuredSeconds,
      p50: percentile(sorted, 0.5),
      p90: percentile(sorted, 0.9),
      p99: percentile(sorted, 0.99),
      cpuPerCall: (this.#processorSeconds * 1e6) / sorted.length,
    };
  }

  /** Keeps all connections busy, and ends when the last answer is there. */
  async #send(forMs: number, onAnswer: (head: string, ms: number) => void): Promise<void> {
    const endAt = performance.now() + forMs;
    const sendOn = async (connection: Connection): Promise<void> => {
      for (let now = performance.now(); now < endAt;) {
        const sentAt = now;
        const head = await connection.send(this.#write(this.#sent++));
        now = performance.now();
        onAnswer(head, now - sentAt);
      }
    };
    await Promise.all(this.#connections.map(sendOn));
  }
}

async function measure({ targets, connections, warmUpMs, turns, turnMs }: Load): Promise<Measured[]> {
  const clients: Client[] = [];
  for (const target of targets) {
    const open = Array.from({ length: connections }, () => Connection.open(target.port));
    const client = new Client(target, await Promise.all(open));
    await client.warmUp(warmUpMs);
    clients.push(client);
  }
  for (let turn = 0; turn < turns; turn++) {
    // Back and forth, so that nobody always comes after the same one.
    for (const client of turn % 2 === 0 ? clients : clients.toReversed()) await client.takeTurn(turnMs);
  }
  return clients.map((client) => client.finish());
}

console.log(JSON.stringify(await measure(JSON.parse(process.argv[2]!) as Load)));
