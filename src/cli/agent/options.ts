/** What the commands of the agent's side have in common: who calls, and how far they go to get a call through. */

import { createTurnpikeFetch, type FetchLike, type TurnpikeFetchOptions } from "../../client/index.ts";

export interface CallerOptions {
  readonly key?: string;
  readonly header?: readonly (readonly [name: string, value: string])[];
}

export interface PatienceOptions {
  /** Seconds. */
  readonly maxWait?: number;
  /** Zero bits. */
  readonly maxDifficulty?: number;
}

/** An environment variable is seen by this user alone; an argument by everyone on the machine. */
const KEY_VARIABLE = "TURNPIKE_KEY";

/** The headers that say who is calling. */
export function callerHeaders({ key = process.env[KEY_VARIABLE], header = [] }: CallerOptions): Record<string, string> {
  return { ...(key ? { "X-API-Key": key } : {}), ...Object.fromEntries(header) };
}

export function fetchFor({ maxWait, maxDifficulty }: PatienceOptions, more: TurnpikeFetchOptions): FetchLike {
  return createTurnpikeFetch({
    ...(maxWait === undefined ? {} : { maxWait: maxWait * 1_000 }),
    ...(maxDifficulty === undefined ? {} : { maxDifficulty }),
    ...more,
  });
}

/** A line for the person behind the command. stdout is for what the command is asked for. */
export function say(line: string): void {
  process.stderr.write(`turnpike: ${line}\n`);
}

/** A key that crosses a network in the clear can be read on the way. */
export function warnOfPlainHttp(url: URL, headers: Readonly<Record<string, string>>): void {
  const isLocal = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol === "http:" && !isLocal && Object.keys(headers).length > 0)
    say(`${url.origin} is not encrypted: whoever is on the way can read the key`);
}
