/** One case as a part of another: the median of the rounds' own ratios. What is slow in a round is slow for both. */

import type { CaseId } from "./cases.ts";
import type { Round } from "./latency.ts";
import { median } from "./statistics.ts";

export interface RatioOf {
  readonly of: CaseId;
  readonly to: CaseId;
  readonly measure: "p50" | "rps";
}

export interface MeasuredRatio {
  readonly median: number;
  /** The lowest and the highest of the rounds, in words. */
  readonly range: string;
}

export function ratioOf(rounds: readonly Round[], { of, to, measure }: RatioOf, connections: number): MeasuredRatio {
  const ratios = rounds
    .filter((round) => round.connections === connections)
    .map(({ byCase }) => byCase.get(of)![measure] / byCase.get(to)![measure]);
  return { median: median(ratios), range: `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}` };
}
