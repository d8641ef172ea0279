/** What is measured against what. */

import type { Target } from "./load.ts";
import type { WorkerdOptions } from "./workerd.ts";
import type { RatioOf } from "./ratio.ts";
import type { Feature } from "./workers/features.ts";

export interface Case {
  readonly id: CaseId;
  readonly label: string;
  readonly worker: WorkerdOptions["worker"];
  /** The plan of bench/workers/policy.ts that the caller is on. */
  readonly plan: "endless" | "empty";
  /** What the policy has on top of the plan. */
  readonly feature: Feature;
  readonly calls: Pick<Target, "status" | "isDistinct" | "refusesToWait" | "toolCount">;
}

/** A case of one feature is named as the feature is. */
export type CaseId = "bare" | "pass-through" | "floor" | "admitting" | "refusing-object" | "refusing-memo" | Exclude<Feature, "none">;

export const ADMITTED = { status: 200, isDistinct: true, refusesToWait: false, toolCount: 1 } as const;

export const CASES: readonly Case[] = [
  { id: "bare", label: "bare Worker: reads, parses, answers 200", worker: "bare", plan: "endless", feature: "none", calls: ADMITTED },
  {
    id: "pass-through",
    label: "pass-through: reads, parses, re-sends",
    worker: "pass-through",
    plan: "endless",
    feature: "none",
    calls: ADMITTED,
  },
  {
    id: "floor",
    label: "floor: pass-through with one in-memory object RPC",
    worker: "floor",
    plan: "endless",
    feature: "none",
    calls: ADMITTED,
  },
  { id: "admitting", label: "**gate, admitting**", worker: "gate", plan: "endless", feature: "none", calls: ADMITTED },
  {
    id: "refusing-object",
    // Loops are never remembered in the isolate, so each of these asks the object.
    label: "**gate, refusing from the object** (a loop)",
    worker: "gate",
    plan: "endless",
    feature: "none",
    calls: { ...ADMITTED, status: 429, isDistinct: false },
  },
  {
    id: "refusing-memo",
    label: "**gate, refusing from the memo** (a flood on an empty plan)",
    worker: "gate",
    plan: "empty",
    feature: "none",
    calls: { ...ADMITTED, status: 429, refusesToWait: true },
  },
];

/** A target of the issue: one case as a part of another. */
export interface Ratio extends RatioOf {
  readonly label: string;
  readonly atMost?: number;
  readonly atLeast?: number;
}

export const RATIOS: readonly Ratio[] = [
  { label: "admitting p50 ÷ floor p50", of: "admitting", to: "floor", measure: "p50", atMost: 1.35 },
  { label: "admitting rps ÷ floor rps", of: "admitting", to: "floor", measure: "rps", atLeast: 0.75 },
  { label: "refusing from the memo rps ÷ bare rps", of: "refusing-memo", to: "bare", measure: "rps", atLeast: 0.6 },
];
