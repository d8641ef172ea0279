/** What is measured against what. */

import type { Target } from "./load.ts";
import type { WorkerdOptions } from "./workerd.ts";

export interface Case {
  readonly id: CaseId;
  readonly label: string;
  readonly worker: WorkerdOptions["worker"];
  /** The plan of bench/workers/policy.ts that the caller is on. */
  readonly plan: "endless" | "empty";
  readonly calls: Pick<Target, "status" | "isDistinct" | "refusesToWait">;
}

export type CaseId = "bare" | "pass-through" | "floor" | "admitting" | "refusing-object" | "refusing-memo";

const ADMITTED = { status: 200, isDistinct: true, refusesToWait: false };

export const CASES: readonly Case[] = [
  { id: "bare", label: "bare Worker: reads, parses, answers 200", worker: "bare", plan: "endless", calls: ADMITTED },
  { id: "pass-through", label: "pass-through: reads, parses, re-sends", worker: "pass-through", plan: "endless", calls: ADMITTED },
  { id: "floor", label: "floor: pass-through with one in-memory object RPC", worker: "floor", plan: "endless", calls: ADMITTED },
  { id: "admitting", label: "**gate, admitting**", worker: "gate", plan: "endless", calls: ADMITTED },
  {
    id: "refusing-object",
    // Loops are never remembered in the isolate, so each of these asks the object.
    label: "**gate, refusing from the object** (a loop)",
    worker: "gate",
    plan: "endless",
    calls: { status: 429, isDistinct: false, refusesToWait: false },
  },
  {
    id: "refusing-memo",
    label: "**gate, refusing from the memo** (a flood on an empty plan)",
    worker: "gate",
    plan: "empty",
    calls: { status: 429, isDistinct: true, refusesToWait: true },
  },
];

/** A target of the issue: one case as a part of another. */
export interface Ratio {
  readonly label: string;
  readonly of: CaseId;
  readonly to: CaseId;
  readonly measure: "p50" | "rps";
  readonly atMost?: number;
  readonly atLeast?: number;
}

export const RATIOS: readonly Ratio[] = [
  { label: "admitting p50 ÷ floor p50", of: "admitting", to: "floor", measure: "p50", atMost: 1.35 },
  { label: "admitting rps ÷ floor rps", of: "admitting", to: "floor", measure: "rps", atLeast: 0.75 },
  { label: "refusing from the memo rps ÷ bare rps", of: "refusing-memo", to: "bare", measure: "rps", atLeast: 0.6 },
];
