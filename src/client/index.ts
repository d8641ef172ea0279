/**
 * The agent's side: a `fetch` that gets past a gate's refusals, and the solver it uses. For Node 20 and later, browsers and
 * Workers, in front of any MCP client; it needs nothing of the gate's own code.
 */

export type { LightningNetwork } from "./pay/bolt11.ts";
export type { L402Challenge, L402Credential } from "./l402-challenge.ts";
export { l402Authorization } from "./l402-challenge.ts";
export type { Obstacle, ObstacleCode } from "./ways/obstacle.ts";
export type { FetchLike } from "./outgoing.ts";
export type { PowChallenge, PowSolution } from "./pow-challenge.ts";
export { readPowChallenge } from "./pow-challenge.ts";
export type { Preference } from "./ways/preference.ts";
export type { Progress, ProgressOf } from "./progress.ts";
export type { SolveProgress } from "./solve/estimate.ts";
export type { Solved, SolveOptions, SolvePow } from "./solve/solve-pow.ts";
export { DEFAULT_MAX_DIFFICULTY, solvePow } from "./solve/solve-pow.ts";
export { TurnpikeError } from "./turnpike-error.ts";
export type { TurnpikeFetchOptions } from "./fetch-options.ts";
export { createTurnpikeFetch } from "./turnpike-fetch.ts";
export type { Wallet } from "./pay/wallet.ts";
export { PaymentFailedError } from "./pay/wallet.ts";
