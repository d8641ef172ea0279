/** Several agents at work on one API key: the official clients, each with a few calls on their way at any time. None retries. */

import { type Agent, connectAgent, type Dialect } from "../test/support/agents.ts";

export interface Fleet {
  readonly url: string;
  readonly key: string;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** One client of each. */
  readonly dialects: readonly Dialect[];
  readonly callsEach: number;
  /** Calls of one client on their way at a time. */
  readonly inFlightEach: number;
}

export interface FleetRun {
  readonly calls: number;
  readonly completed: number;
  /** Answered with 429. */
  readonly refused: number;
  /** From the first call sent to the last answer. */
  readonly tookMs: number;
  readonly longestCallMs: number;
}

/**
 * @param onEnded told after each call how many have ended
 * @throws when the signal aborts, or when a call ends in any other way than with its result or a 429
 */
export async function runFleet(fleet: Fleet, signal: AbortSignal, onEnded: (calls: number) => void): Promise<FleetRun> {
  const { url, key, headers, dialects, callsEach, inFlightEach } = fleet;
  let refused = 0;
  const watchedFetch: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (response.status === 429) refused++;
    return response;
  };
  const agents: Agent[] = [];
  try {
    for (const dialect of dialects) agents.push(await connectAgent(dialect, url, { key, headers, fetch: watchedFetch }));

    const failures: unknown[] = [];
    let completed = 0;
    let ended = 0;
    let longestCallMs = 0;
    const callOnce = async (agent: Agent, call: number): Promise<void> => {
      signal.throwIfAborted();
      const sentAt = performance.now();
      try {
        const { isError, text } = await agent.call("count_words", { text: `call ${call} of ${agent.dialect}` }, { signal });
        if (isError) failures.push(text);
        else completed++;
      } catch (error) {
        signal.throwIfAborted();
        failures.push(error);
      }
      longestCallMs = Math.max(longestCallMs, performance.now() - sentAt);
      onEnded(++ended);
    };
    const work = (agent: Agent): Promise<unknown> => {
      let next = 0;
      const callOn = async (): Promise<void> => {
        while (next < callsEach) await callOnce(agent, next++);
      };
      return Promise.all(Array.from({ length: inFlightEach }, callOn));
    };

    const startedAt = performance.now();
    await Promise.all(agents.map(work));
    const tookMs = performance.now() - startedAt;
    if (failures.length !== refused) {
      throw new Error(`${failures.length} calls failed and ${refused} were answered with 429. The first: ${String(failures[0])}`);
    }
    return { calls: ended, completed, refused, tookMs, longestCallMs };
  } finally {
    await Promise.allSettled(agents.map((agent) => agent.close()));
  }
}
