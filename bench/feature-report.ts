/** The part of bench/RESULTS.md that says what each feature costs. */

import { CASES } from "./cases.ts";
import { FEATURE_CASES, type FeatureCase } from "./feature-cases.ts";
import { CONNECTIONS, type Round } from "./latency.ts";
import { line, table } from "./markdown.ts";
import { ratioOf } from "./ratio.ts";

/** A table for each plain case that features stand beside. */
export function featureTables(rounds: readonly Round[]): string {
  const plain = CASES.filter(({ id }) => FEATURE_CASES.some(({ beside }) => beside === id));
  return plain
    .map(({ id, label }) => {
      const lines = FEATURE_CASES.filter(({ beside }) => beside === id).flatMap((feature) =>
        CONNECTIONS.map((connections) => featureLine(rounds, feature, connections)),
      );
      return table([`beside ${label}`, "connections", "p50 ÷ p50", "rounds", "rps ÷ rps", "rounds"], lines);
    })
    .join("\n\n");
}

function featureLine(rounds: readonly Round[], { id, label, beside }: FeatureCase, connections: number): string {
  const [p50, rps] = (["p50", "rps"] as const).map((measure) => ratioOf(rounds, { of: id, to: beside, measure }, connections));
  return line([label, String(connections), p50!.median.toFixed(2), p50!.range, rps!.median.toFixed(2), rps!.range]);
}
