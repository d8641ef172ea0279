/** What may be set for `createTurnpikeFetch`, and what holds where nothing is. */

import type { FetchLike } from "./outgoing.ts";
import type { LightningNetwork } from "./pay/bolt11.ts";
import type { Wallet } from "./pay/wallet.ts";
import type { Progress, ProgressOf } from "./progress.ts";
import { DEFAULT_MAX_DIFFICULTY, type SolvePow, solvePow } from "./solve/solve-pow.ts";
import type { Preference } from "./ways/preference.ts";

/** The MCP SDKs give a request up after a minute; a quarter of it is for the call itself. */
const DEFAULT_MAX_WAIT_MS = 45_000;
/** Three times what a bundle of ten calls costs unless an operator sets another price. */
const DEFAULT_MAX_PRICE_SATS = 100;
/** Some thirty bundles; at 100,000 dollars for a bitcoin, one dollar. */
const DEFAULT_BUDGET_SATS = 1_000;
/** With it a proof of up to ten seconds is preferred to the usual 30 sats. */
const DEFAULT_SATS_PER_SECOND = 3;

export interface TurnpikeFetchOptions {
  /** What sends the requests; the platform's own when left out. */
  readonly fetch?: FetchLike;
  /** What solves proofs of work, `false` for nothing: on all cores of this machine when left out. */
  readonly solve?: SolvePow | false;
  /** How long one call may be made to wait by the gate's limits, all in all, in milliseconds: 45,000 when left out. */
  readonly maxWait?: number;
  /** Harder proofs of work are not begun, in zero bits: 22 when left out. */
  readonly maxDifficulty?: number;
  /** What pays Lightning invoices. Without it nothing is ever paid. */
  readonly wallet?: Wallet;
  /** What may be paid at once to get one call on, in satoshis: 100 when left out. One payment buys several calls, as the gate offers. */
  readonly maxPriceSats?: number;
  /** What may be paid in all by this fetch, in satoshis: 1,000 when left out. */
  readonly budgetSats?: number;
  /**
   * Which way on is taken when several are open: `cheapest` when left out, where a second of solving or waiting costs `satsPerSecond`;
   * `pow`: pays only when there is no other way; `l402`: works only where it cannot pay.
   */
  readonly prefer?: Preference;
  /** What a second is worth to `cheapest`, in satoshis: 3 when left out; with 0 it pays only when there is no other way. */
  readonly satsPerSecond?: number;
  /** Invoices of other networks are not paid: `bitcoin` when left out. */
  readonly network?: LightningNetwork;
  readonly onProgress?: (progress: Progress, of: ProgressOf) => void;
  /** Ends all waiting and solving, and every request: calls then reject with its reason. */
  readonly signal?: AbortSignal;
  /**
   * What a JSON-RPC call ends with when there is no way on: `throw` a `TurnpikeError`, whose message says it all in the SDKs, or
   * `respond` with the gate's last refusal as it came. A refusal that is a tool result is always responded with.
   */
  readonly giveUp?: "throw" | "respond";
}

/** Options that are left out, or undefined, have their defaults. */
export function withDefaults({
  fetch = (input, init) => globalThis.fetch(input, init),
  solve = solvePow,
  maxWait = DEFAULT_MAX_WAIT_MS,
  maxDifficulty = DEFAULT_MAX_DIFFICULTY,
  maxPriceSats = DEFAULT_MAX_PRICE_SATS,
  budgetSats = DEFAULT_BUDGET_SATS,
  prefer = "cheapest",
  satsPerSecond = DEFAULT_SATS_PER_SECOND,
  network = "bitcoin",
  giveUp = "throw",
  ...others
}: TurnpikeFetchOptions) {
  return { fetch, solve, maxWait, maxDifficulty, maxPriceSats, budgetSats, prefer, satsPerSecond, network, giveUp, ...others };
}
