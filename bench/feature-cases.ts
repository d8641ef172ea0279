/** What each feature costs when it is configured: every case stands beside the same gate without it, in the same turns. */

import { ADMITTED, type Case, type CaseId, CASES } from "./cases.ts";
import type { Feature } from "./workers/features.ts";

/** A single one would be called more often than any rule for it could allow. */
const MANY_TOOLS = 100;

export interface FeatureCase extends Case {
  /** The case of which this one is a variant. */
  readonly beside: CaseId;
}

export const FEATURE_CASES: readonly FeatureCase[] = [
  admitting("tools", "costs and own limits per tool"),
  admitting("loops", "all loop rules: `sameTool`, `inARow`, `takingTurns`", MANY_TOOLS),
  admitting("at-once", "`concurrency`: two more RPCs to the same object"),
  admitting("origin-quota", "`originQuota`: one more RPC, to another object"),
  admitting("read-answers", "`originQuota.readAnswers`: a look into each answer"),
  {
    id: "offers",
    label: "`offers`: 402 with a fresh challenge, where the plain gate says 429",
    worker: "gate",
    plan: "empty",
    feature: "offers",
    calls: { status: 402, isDistinct: true, refusesToWait: true, toolCount: 1 },
    beside: "refusing-memo",
  },
  { ...admitting("selling", "`lightning`: a gate that sells, and calls that show no payment"), worker: "selling-gate" },
  {
    id: "invoices",
    label: "`lightning`: 402 with an open invoice, where the plain gate says 429",
    worker: "selling-gate",
    plan: "empty",
    feature: "invoices",
    calls: { status: 402, isDistinct: true, refusesToWait: true, toolCount: 1 },
    beside: "refusing-memo",
  },
];

/** Everything that takes turns when features are measured, each plain case once. */
export const CASES_WITH_FEATURES: readonly Case[] = [
  ...CASES.filter(({ id }) => FEATURE_CASES.some(({ beside }) => beside === id)),
  ...FEATURE_CASES,
];

function admitting(feature: Exclude<Feature, "none">, label: string, toolCount = 1): FeatureCase {
  return { id: feature, label, worker: "gate", plan: "endless", feature, calls: { ...ADMITTED, toolCount }, beside: "admitting" };
}
