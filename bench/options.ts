/** What the command line says. */

import { parseArgs } from "node:util";

export const HELP = `npm run bench -- [options]

Measures the gate on workerd beside a bare Worker, a pass-through and the floor, and beside itself with more in its
policy, all in one run, and writes bench/RESULTS.md. Takes about five minutes; leave the machine alone meanwhile.

  --rounds N    rounds of all cases, and half as many of the features (5)
  --seconds S   seconds for each case, round and number of connections (1.5)
  --quick       one short round of everything, printed and not written: to see that it runs
  --help        this text
`;

export interface Options {
  readonly rounds: number;
  readonly featureRounds: number;
  readonly seconds: number;
  readonly rowSeconds: number;
  readonly keys: number;
  readonly isQuick: boolean;
}

/** Long enough for a dozen writes. */
const ROW_SECONDS = 30;
const KEYS = 100_000;

/** @returns null when help is asked for, or an error's text */
export function parseOptions(args: readonly string[]): Options | string | null {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { rounds: { type: "string" }, seconds: { type: "string" }, quick: { type: "boolean" }, help: { type: "boolean" } },
    });
    if (values.help) return null;
    const isQuick = values.quick ?? false;
    const rounds = Number(values.rounds ?? (isQuick ? 1 : 5));
    const seconds = Number(values.seconds ?? (isQuick ? 0.5 : 1.5));
    if (!Number.isInteger(rounds) || rounds < 1) return "--rounds must be a whole number from 1.";
    if (!(seconds > 0)) return "--seconds must be a number above 0.";
    return {
      rounds,
      featureRounds: Math.ceil(rounds / 2),
      seconds,
      rowSeconds: isQuick ? 5 : ROW_SECONDS,
      keys: isQuick ? KEYS / 10 : KEYS,
      isQuick,
    };
  } catch (error) {
    return (error as Error).message;
  }
}
