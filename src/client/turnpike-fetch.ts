/**
 * A `fetch` that gets calls past a gate's refusals: it waits as long as it was told, solves the proof of work that is
 * offered, or pays for it, and sends the very same request again. It reacts to a refusal only, which says that the call has not run; what
 * may have run, such as after a network error, is never repeated. Everything else passes untouched and unread.
 */

import type { LightningNetwork } from "./pay/bolt11.ts";
import { Cancellations } from "./cancellations.ts";
import { createCreditWay, Earnings } from "./ways/earnings.ts";
import { HoldPreference } from "./hold-preference.ts";
import { createL402Way } from "./ways/l402-way.ts";
import type { Obstacle } from "./ways/obstacle.ts";
import { type FetchLike, type Outgoing, readOutgoing } from "./outgoing.ts";
import { createPowWay } from "./ways/pow-way.ts";
import type { Preference } from "./ways/preference.ts";
import type { Progress, ProgressOf } from "./progress.ts";
import { readRefusal } from "./refusal.ts";
import { DEFAULT_MAX_DIFFICULTY, type SolvePow, solvePow } from "./solve/solve-pow.ts";
import { TurnpikeError } from "./turnpike-error.ts";
import { createWaitWay } from "./ways/wait-way.ts";
import type { Wallet } from "./pay/wallet.ts";
import { type Refused, survey, takeWayOn, type WayOn } from "./ways/ways-on.ts";

/** The MCP SDKs give a request up after a minute; a quarter of it is for the call itself. */
const DEFAULT_MAX_WAIT_MS = 45_000;
/** Whoever is refused three times in a row is in a crowd, and comes back later on its own terms. */
const MAX_RESENDS = 2;
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

/**
 * Makes the `fetch` to hand to an MCP transport:
 * `new StreamableHTTPClientTransport(url, { fetch: createTurnpikeFetch() })`.
 * Its calls reject with a `TurnpikeError` when there is no way on, and as those of `fetch` do otherwise.
 */
export function createTurnpikeFetch(options: TurnpikeFetchOptions = {}): FetchLike {
  const {
    fetch = (input, init) => globalThis.fetch(input, init),
    solve = solvePow,
    maxWait = DEFAULT_MAX_WAIT_MS,
    maxDifficulty = DEFAULT_MAX_DIFFICULTY,
    wallet,
    maxPriceSats = DEFAULT_MAX_PRICE_SATS,
    budgetSats = DEFAULT_BUDGET_SATS,
    prefer = "cheapest",
    satsPerSecond = DEFAULT_SATS_PER_SECOND,
    network = "bitcoin",
    giveUp = "throw",
  } = options;
  const valuation = { prefer, satsPerSecond };
  const earnings = new Earnings();
  const ways: readonly WayOn[] = [
    createCreditWay(earnings),
    ...(solve === false ? [] : [createPowWay(fetch, solve, maxDifficulty, earnings)]),
    ...(wallet ? [createL402Way(fetch, { wallet, maxPriceSats, budgetSats, network }, earnings)] : []),
    createWaitWay(() => Math.random()),
  ];
  const preference = new HoldPreference();
  const cancellations = new Cancellations();

  const endRefused = (response: Response, { refusal, call }: Refused, reason: string, obstacles: readonly Obstacle[]): Response => {
    const isRefusedByGate = refusal.problem !== null && call.method === "POST";
    if (giveUp === "respond" || refusal.isResult || !isRefusedByGate) return response;
    response.body?.cancel().catch(() => {});
    throw new TurnpikeError(refusal, reason, obstacles);
  };

  const getPast = async (call: Outgoing, first: Response, firstHeaders: Headers | undefined, signal: AbortSignal | undefined) => {
    const of: ProgressOf = { url: call.url.href, body: call.text };
    const tell = (progress: Progress): void => options.onProgress?.(progress, of);
    let response = first;
    let sentWith = firstHeaders ?? call.headers;
    let waitedMs = 0;
    for (let resent = 0; ; resent++) {
      const refusedAt = Date.now();
      const refusal = await readRefusal(response, refusedAt);
      if (refusal === null) return response;
      const refused: Refused = { call, refusal, sentWith, refusedAt, maxWaitMs: maxWait - waitedMs, signal, tell };
      const best = survey(ways, refused, valuation).open.find(({ way }) => way.kind !== "credit");
      preference.learn(call.url, best?.way.kind === "pow" ? best.expectedMs : null, refusal.retryAfterMs, refusedAt);
      if (refusal.cause === "repeat") return endRefused(response, refused, "It was not sent again.", [LOOP]);
      if (resent === MAX_RESENDS) {
        const why = `was refused ${resent + 1} times in a row${spent(waitedMs)}`;
        return endRefused(response, refused, `It ${why}.`, [{ code: "refused-again", why: `it ${why}` }]);
      }

      const taken = await takeWayOn(ways, refused, valuation);
      if (!taken.ok) {
        const why = taken.obstacles.map((obstacle) => obstacle.why).join(", and ");
        return endRefused(response, refused, `It was not sent again${spent(waitedMs)}: ${why}.`, taken.obstacles);
      }

      waitedMs += taken.waitedMs;
      response.body?.cancel().catch(() => {});
      sentWith = new Headers(firstHeaders ?? call.headers);
      for (const [name, value] of Object.entries(taken.headers)) sentWith.set(name, value);
      tell({ kind: "resending", attempt: resent + 1 });
      response = await call.send(fetch, signal, sentWith);
    }
  };

  return async (input, init) => {
    const call = readOutgoing(input, init);
    if (call === null) return fetch(input, init);
    cancellations.notice(call);
    const signal = anyOf(call.signal, options.signal);
    const headers = preference.isFasterUnheld(call.url, Date.now()) ? withoutHold(call) : undefined;
    const response = await call.send(fetch, signal, headers);
    if (response.ok && !response.headers.has("retry-after")) return response;

    const cancelled = cancellations.expect(call);
    try {
      return await getPast(call, response, headers, anyOf(signal, cancelled?.signal));
    } finally {
      cancelled?.forget();
    }
  };
}

const LOOP: Obstacle = { code: "loop", why: "the same call will not help" };

/** The call's headers, asking not to be held; undefined when it is none that is held, or has its own preference. */
function withoutHold({ method, headers }: Outgoing): Headers | undefined {
  if (method !== "POST" || headers.has("prefer")) return undefined;
  const asking = new Headers(headers);
  asking.set("Prefer", "wait=0");
  return asking;
}

function spent(waitedMs: number): string {
  return waitedMs === 0 ? "" : `, after ${Math.ceil(waitedMs / 1_000)} s of waiting`;
}

function anyOf(a: AbortSignal | null | undefined, b: AbortSignal | undefined): AbortSignal | undefined {
  return a && b ? AbortSignal.any([a, b]) : (a ?? b);
}
