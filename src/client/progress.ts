/** What is told while a call is on its way past the gate. */

import type { L402Credential } from "./l402-challenge.ts";
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
  /** The call ends, and the gate has not taken what was paid. It is kept, and handed in anew with the next call. */
  | { readonly kind: "untaken"; readonly credential: L402Credential }
  | { readonly kind: "resending"; readonly attempt: number };

/** Which call it is about. */
export interface ProgressOf {
  readonly url: string;
  /** The body when it is text: the JSON-RPC message. */
  readonly body: string | null;
}
