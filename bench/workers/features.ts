/**
 * What the policy of the measured gate may have on top of a plain plan, one thing at a time. Every limit is wide enough to
 * refuse nothing: what is measured is the asking. Plain data, so that the list of cases can be typed by it.
 */

import type { Policy } from "../../src/define-policy.ts";
import type { Plan } from "../../src/limits/plan.ts";

/** More than any run can use. */
export const PLENTY = 1_000_000_000;
/** The most that a plan may say. */
const MOST_AT_ONCE = 1_000;
const SEARCH_PAGE = 10;

export interface FeatureSettings {
  /** Added to the plans `endless` and `empty`. */
  readonly plan?: Partial<Plan>;
  readonly policy?: Pick<Policy, "repeats" | "originQuota">;
}

export type Feature = "none" | "tools" | "loops" | "at-once" | "origin-quota" | "read-answers" | "offers" | "selling" | "invoices";

export const FEATURES: Readonly<Record<Feature, FeatureSettings>> = {
  none: {},
  tools: {
    // A pattern and a function: a name and a number cost less.
    plan: { tools: { "search_*": { cost: ({ perPage }) => Math.ceil(Number(perPage) / SEARCH_PAGE), rate: PLENTY } } },
  },
  loops: {
    policy: {
      repeats: {
        // A second is the shortest window. The calls go round among a hundred tools, so at 20,000 a second none has more.
        sameTool: { calls: 200, withinSeconds: 1 },
        inARow: { calls: 20, withinSeconds: 600 },
        takingTurns: { calls: 20, withinSeconds: 600 },
      },
    },
  },
  "at-once": { plan: { concurrency: MOST_AT_ONCE } },
  // A window that slides, as GitHub's is: the dearer kind.
  "origin-quota": { policy: { originQuota: { calls: PLENTY, per: "1h" } } },
  "read-answers": { policy: { originQuota: { readAnswers: true } } },
  offers: { plan: { offers: { pow: true } } },
  // Both on selling-gate.ts.
  selling: { plan: { offers: { l402: true } } },
  invoices: { plan: { offers: { l402: true } } },
};
