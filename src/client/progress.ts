/** What is told while a call is on its way past the gate. */

import type { SolveProgress } from "./solve/estimate.ts";

export type Progress =
  | { readonly kind: "waiting"; readonly waitMs: number }
  /** About four times a second, and once at the start, with 0 tries. */
  | ({ readonly kind: "solving" } & SolveProgress)
  | { readonly kind: "solved"; readonly tries: number; readonly elapsedMs: number; readonly calls: number }
  | { readonly kind: "resending"; readonly attempt: number };

/** Which call it is about. */
export interface ProgressOf {
  readonly url: string;
  /** The body when it is text: the JSON-RPC message. */
  readonly body: string | null;
}
