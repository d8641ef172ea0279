/**
 * A `fetch` that gets calls past a gate's refusals: it waits as long as it was told, solves the proof of work that is
 * offered, or pays for calls, and sends the very same request again. It reacts to a refusal only, which says that the call has not run; what
 * may have run, such as after a network error, is never repeated. Everything else passes untouched and unread.
 */

import { Cancellations } from "./cancellations.ts";
import { type TurnpikeFetchOptions, withDefaults } from "./fetch-options.ts";
import { HoldPreference } from "./hold-preference.ts";
import { type FetchLike, type Outgoing, readOutgoing } from "./outgoing.ts";
import { Purchases } from "./pay/purchases.ts";
import type { Progress, ProgressOf } from "./progress.ts";
import { readRefusal } from "./refusal.ts";
import { TurnpikeError } from "./turnpike-error.ts";
import { createCreditWay } from "./ways/credit-way.ts";
import { Earnings } from "./ways/earnings.ts";
import { createL402Way } from "./ways/l402-way.ts";
import type { Obstacle } from "./ways/obstacle.ts";
import { createPowWay } from "./ways/pow-way.ts";
import { createWaitWay } from "./ways/wait-way.ts";
import { type Refused, type Sent, survey, takeWayOn, type WayOn } from "./ways/ways-on.ts";

/** Whoever is refused three times in a row is in a crowd, and comes back later on its own terms. */
const MAX_RESENDS = 2;
const LOOP: Obstacle = { code: "loop", why: "the same call will not help" };

/**
 * Makes the `fetch` to hand to an MCP transport:
 * `new StreamableHTTPClientTransport(url, { fetch: createTurnpikeFetch() })`.
 * Its calls reject with a `TurnpikeError` when there is no way on, and as those of `fetch` do otherwise.
 */
export function createTurnpikeFetch(options: TurnpikeFetchOptions = {}): FetchLike {
  const { fetch, solve, wallet, maxWait, maxDifficulty, maxPriceSats, budgetSats, network, giveUp, prefer, satsPerSecond } =
    withDefaults(options);
  const valuation = { prefer, satsPerSecond };
  const earnings = new Earnings();
  const purchases = wallet ? new Purchases(fetch, wallet, budgetSats, earnings) : null;
  const ways: readonly WayOn[] = [
    createCreditWay(earnings),
    ...(solve === false ? [] : [createPowWay(fetch, solve, maxDifficulty, earnings)]),
    ...(purchases ? [createL402Way(purchases, { maxPriceSats, network }, earnings)] : []),
    createWaitWay(() => Math.random()),
  ];
  const holds = new HoldPreference();
  const cancellations = new Cancellations();

  return async (input, init) => {
    const call = readOutgoing(input, init);
    if (call === null) return fetch(input, init);
    cancellations.notice(call);
    const signal = anyOf(call.signal, options.signal);
    const sent = await send(call, call.headers, { ...earnings.shownFromStart(call), ...holds.headersFor(call, Date.now()) }, signal);
    if (sent.response.ok && !sent.response.headers.has("retry-after")) return sent.response;

    const cancelled = cancellations.expect(call);
    try {
      return await getPast(call, sent, anyOf(signal, cancelled?.signal));
    } finally {
      cancelled?.forget();
    }
  };

  async function send(
    call: Outgoing,
    headers: Headers,
    more: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<Sent> {
    const sentWith = new Headers(headers);
    for (const [name, value] of Object.entries(more)) sentWith.set(name, value);
    return { response: await call.send(fetch, signal, sentWith), sentWith };
  }

  /** Goes one way on after the other until the call is no longer refused, or there is none left. */
  async function getPast(call: Outgoing, first: Sent, signal: AbortSignal | undefined): Promise<Response> {
    const of: ProgressOf = { url: call.url.href, body: call.text };
    const tell = (progress: Progress): void => options.onProgress?.(progress, of);
    let sent = first;
    let waitedMs = 0;
    for (let resent = 0; ; resent++) {
      const { response } = sent;
      const refusedAt = Date.now();
      const refusal = await readRefusal(response, refusedAt);
      if (refusal === null) {
        if (response.ok) earnings.notePassed(call, sent.sentWith);
        return response;
      }
      const refused: Refused = { call, refusal, ...sent, refusedAt, maxWaitMs: maxWait - waitedMs, signal, tell };
      earnings.noteRefused(refused);
      learnOfHolds(refused);
      if (refusal.cause === "repeat") return endRefused(refused, "It was not sent again.", [LOOP]);
      if (resent === MAX_RESENDS) {
        const why = `was refused ${resent + 1} times in a row${spent(waitedMs)}`;
        return endRefused(refused, `It ${why}.`, [{ code: "refused-again", why: `it ${why}` }]);
      }

      const taken = await takeWayOn(ways, refused, valuation);
      if (!taken.ok) {
        const why = taken.obstacles.map((obstacle) => obstacle.why).join(", and ");
        return endRefused(refused, `It was not sent again${spent(waitedMs)}: ${why}.`, taken.obstacles);
      }

      waitedMs += taken.waitedMs;
      response.body?.cancel().catch(() => {});
      tell({ kind: "resending", attempt: resent + 1 });
      sent = await send(call, sent.sentWith, taken.headers, signal);
    }
  }

  function learnOfHolds(refused: Refused): void {
    const { call, refusal, refusedAt } = refused;
    const best = survey(ways, refused, valuation).open.find(({ way }) => way.kind !== "credit");
    holds.learn(call, best?.way.kind === "pow" ? best.expectedMs : null, refusal.retryAfterMs, refusedAt);
  }

  /** @param reason a sentence */
  function endRefused({ call, refusal, response, tell }: Refused, reason: string, obstacles: readonly Obstacle[]): Response {
    const untaken = purchases?.untaken(call) ?? null;
    if (untaken) tell({ kind: "untaken", credential: untaken });
    const isRefusedByGate = refusal.problem !== null && call.method === "POST";
    if (giveUp === "respond" || refusal.isResult || !isRefusedByGate) return response;
    response.body?.cancel().catch(() => {});
    throw new TurnpikeError(refusal, reason, obstacles, untaken);
  }
}

function spent(waitedMs: number): string {
  return waitedMs === 0 ? "" : `, after ${Math.ceil(waitedMs / 1_000)} s of waiting`;
}

function anyOf(a: AbortSignal | null | undefined, b: AbortSignal | undefined): AbortSignal | undefined {
  return a && b ? AbortSignal.any([a, b]) : (a ?? b);
}
