/**
 * In which order the ways on are tried. Each takes some time, and one of them takes money. A proof or a payment is good for several
 * calls, and counts for each of them by its share, where they are expected to be used.
 *
 * - `cheapest`: a second costs `satsPerSecond`, whether it is worked or waited, and a payment costs its price besides.
 * - `pow`: by time; payments only when nothing else is left.
 * - `l402`: by time, but where a payment can be made, no proof is worked on before it.
 *
 * So a wait that is over sooner than the other ways is always taken first: it costs nothing.
 */

import type { WayOn } from "./ways-on.ts";

export type Preference = "cheapest" | "pow" | "l402";

export interface Valuation {
  readonly prefer: Preference;
  readonly satsPerSecond: number;
}

/** A way that is open for a call, and what it takes for each of the calls that it would help on. */
export interface OpenWay {
  readonly way: WayOn;
  readonly expectedMs: number;
  readonly priceSats: number;
}

/** The same ways, the best one first. */
export function inOrder(open: readonly OpenWay[], { prefer, satsPerSecond }: Valuation): OpenWay[] {
  const canPay = open.some(({ way }) => way.kind === "l402");
  const cost = ({ way, expectedMs, priceSats }: OpenWay): number => {
    switch (prefer) {
      case "cheapest":
        return priceSats + (expectedMs / 1_000) * satsPerSecond;
      case "pow":
        return priceSats > 0 ? Infinity : expectedMs;
      case "l402":
        return canPay && way.kind === "pow" ? Infinity : expectedMs;
    }
  };
  return open.toSorted((a, b) => cost(a) - cost(b) || a.expectedMs - b.expectedMs);
}
