/** What is told while a call is on its way past the gate. */

import type { SolveProgress } from "./solve/estimate.ts";

export type Progress =
  | { readonly kind: "waiting"; readonly waitMs: number }
  /** About four times a second, and once at the start, with 0 tries. */
  | ({ readonly kind: "solving" } & SolveProgress)
  | { readonly kind: "solved"; readonly tries: number; readonly elapsedMs: number; readonly calls: number }
  /** The wallet is asked to pay. `calls`: how many are bought, null when that is not told. `budgetLeftSats`: without this price. */
  | { readonly kind: "paying"; readonly priceSats: number; readonly calls: number | null; readonly budgetLeftSats: number }
  /** The wallet has paid, and the gate was told. */
  | {
      readonly kind: "paid";
      readonly priceSats: number;
      readonly calls: number | null;
      readonly elapsedMs: number;
      readonly budgetLeftSats: number;
    }
  | { readonly kind: "resending"; readonly attempt: number };

/** Which call it is about. */
export interface ProgressOf {
  readonly url: string;
  /** The body when it is text: the JSON-RPC message. */
  readonly body: string | null;
}
