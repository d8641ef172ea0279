/**
 * A `fetch` that gets calls past a gate's refusals: it waits as long as it was told, or solves the proof of work that is
 * offered, and sends the very same request again. It reacts to a refusal only, which says that the call has not run; what
 * may have run, such as after a network error, is never repeated. Everything else passes untouched and unread.
 */

import { Cancellations } from "./cancellations.ts";
import { HoldPreference } from "./hold-preference.ts";
import { type FetchLike, type Outgoing, readOutgoing } from "./outgoing.ts";
import { createPowWay } from "./pow-way.ts";
import type { Progress, ProgressOf } from "./progress.ts";
import { readRefusal, type Refusal } from "./refusal.ts";
import { DEFAULT_MAX_DIFFICULTY, type SolvePow, solvePow } from "./solve/solve-pow.ts";
import { TurnpikeError } from "./turnpike-error.ts";
import { createWaitWay } from "./wait-way.ts";
import { takeWayOn } from "./ways-on.ts";

/** The MCP SDKs give a request up after a minute; a quarter of it is for the call itself. */
const DEFAULT_MAX_WAIT_MS = 45_000;
/** Whoever is refused three times in a row is in a crowd, and comes back later on its own terms. */
const MAX_RESENDS = 2;

export interface TurnpikeFetchOptions {
  /** What sends the requests; the platform's own when left out. */
  readonly fetch?: FetchLike;
  /** What solves proofs of work, `false` for nothing: on all cores of this machine when left out. */
  readonly solve?: SolvePow | false;
  /** How long one call may be made to wait by the gate's limits, all in all, in milliseconds: 45,000 when left out. */
  readonly maxWait?: number;
  /** Harder proofs of work are not begun, in zero bits: 22 when left out. */
  readonly maxDifficulty?: number;
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
    giveUp = "throw",
  } = options;
  const powWay = solve === false ? null : createPowWay(fetch, solve, maxDifficulty);
  const ways = [...(powWay ? [powWay] : []), createWaitWay(() => Math.random())];
  const preference = new HoldPreference();
  const cancellations = new Cancellations();

  const endRefused = (response: Response, refusal: Refusal, call: Outgoing, reason: string): Response => {
    const isRefusedByGate = refusal.problem !== null && call.method === "POST";
    if (giveUp === "respond" || refusal.isResult || !isRefusedByGate) return response;
    response.body?.cancel().catch(() => {});
    throw new TurnpikeError(refusal, reason);
  };

  const getPast = async (call: Outgoing, first: Response, firstHeaders: Headers | undefined, signal: AbortSignal | undefined) => {
    let response = first;
    let waitedMs = 0;
    for (let resent = 0; ; resent++) {
      const refusedAt = Date.now();
      const refusal = await readRefusal(response, refusedAt);
      if (refusal === null) return response;
      preference.learn(call.url, powWay?.expectedMs({ call, refusal, refusedAt }) ?? null, refusal.retryAfterMs, refusedAt);
      if (refusal.cause === "repeat") return endRefused(response, refusal, call, "It was not sent again.");
      if (resent === MAX_RESENDS)
        return endRefused(response, refusal, call, `It was refused ${resent + 1} times in a row${spent(waitedMs)}.`);

      const of: ProgressOf = { url: call.url.href, body: call.text };
      const tell = (progress: Progress): void => options.onProgress?.(progress, of);
      const taken = await takeWayOn(ways, { call, refusal, refusedAt, maxWaitMs: maxWait - waitedMs, signal, tell });
      if (!taken.ok) return endRefused(response, refusal, call, `It was not sent again${spent(waitedMs)}: ${taken.why}.`);

      waitedMs += taken.waitedMs;
      response.body?.cancel().catch(() => {});
      const headers = new Headers(firstHeaders ?? call.headers);
      for (const [name, value] of Object.entries(taken.headers)) headers.set(name, value);
      tell({ kind: "resending", attempt: resent + 1 });
      response = await call.send(fetch, signal, headers);
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
