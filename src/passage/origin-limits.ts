/**
 * The origin's own limits on the way of one call: before it leaves, its part of a quota that all consumers share; after it, what
 * the answer says of limits. A refusal of the origin's is known at the edge from then on, and is told to the caller as what it
 * is: the origin's, until when, and whether that is known or a guess.
 */

import { askOriginQuota, tellOriginQuota } from "../../durable-objects/ask-origin-quota.ts";
import { type Decision, type Pass, refuse, type Refused } from "./decision.ts";
import type { QuotaLimit } from "../limits/limit.ts";
import { type LimitSigns, needsBody, readBodySigns, readLimitSigns } from "../origin/limit-signs.ts";
import { listenToBody, readAhead } from "../origin/listen.ts";
import type { Told } from "../origin/quota-account.ts";
import { ORIGIN_LIMIT_NAME } from "../origin/quota-policy.ts";
import type { Passage } from "./passage.ts";
import { impossibleAnswer } from "../refusals/gate-errors.ts";
import { giveBack } from "./settle.ts";

/** A told quota names its end; how long it is, only the origin knows. */
const UNTOLD_PERIOD_MS = 60_000;

/** Takes a call's part of the origin's quota, where there is one to share. The call costs the quota what it costs the plan. */
export async function takeOfOrigin(passage: Passage, pass: Pass): Promise<Decision> {
  const { gate, env } = passage;
  const { caller, terms, lane, cost } = pass;
  if (cost === 0) return pass;
  const quota = gate.origin.quotaOf(caller, pass.credential);
  const now = Date.now();
  if (!env.ORIGIN_QUOTAS || !gate.origin.isShared(quota, now)) return pass;
  const { limit } = gate.policy.originQuota;
  if (limit && cost > limit.calls) {
    giveBack(passage, pass);
    return { kind: "answer", response: impossibleAnswer(terms.plan, { limits: [limit] }, passage) };
  }
  const verdict = await askOriginQuota(env.ORIGIN_QUOTAS, quota, limit, { consumer: caller.id, weight: terms.weight, cost });
  // The origin's own word is then the bound.
  if (verdict === null) return pass;
  if (verdict.kind === "refuse") {
    const { why, retryAfterMs, isEstimated } = verdict;
    if (why === "closed") gate.origin.noteClosed(quota, retryAfterMs, isEstimated, now);
    giveBack(passage, pass);
    const violated = limit ? [limit] : [];
    return refuse(passage, caller, terms, lane, {
      cause: "origin",
      retryAfterMs,
      isEstimated,
      violated,
      meters: pass.metered,
      origin: { why },
    });
  }
  const { ticket, remaining, resetMs } = verdict;
  const metered = { limit: limit ?? toldLimit(remaining, resetMs), meter: { remaining, resetMs } };
  return { ...pass, originTicket: { quota, ticket }, metered: remaining < 0 ? pass.metered : [...pass.metered, metered] };
}

/**
 * What the origin's answer says of limits is taken note of; a refusal without a time becomes the gate's own, which has one. Of
 * the successes of a busy credential not every one is looked at: what remains of a quota does not run out in a moment.
 */
export function hearAnswer(passage: Passage, pass: Pass, response: Response): Response | Promise<Response | Refused> {
  const { gate } = passage;
  const { originQuota } = gate.policy;
  // How many streams an origin bears is another matter, and no reason to refuse calls.
  if (!originQuota.isLearned || (pass.lane !== "work" && pass.lane !== "handshake")) return response;
  const mayBeSkipped = response.status < 400 && !originQuota.readsAnswers;
  if (mayBeSkipped && !gate.origin.isWorthALook(pass.credential, Date.now())) return response;
  return lookAtAnswer(passage, pass, response);
}

async function lookAtAnswer(passage: Passage, pass: Pass, response: Response): Promise<Response | Refused> {
  const { gate, ctx } = passage;
  const { originQuota } = gate.policy;
  const { credential } = pass;
  const { status, headers } = response;
  const body = needsBody(status, headers) ? await readAhead(response) : null;
  const now = Date.now();
  const signs = readLimitSigns(status, headers, body, now);
  if (!signs) {
    // A handshake that gets through says nothing of calls.
    if (status < 400 && pass.lane === "work") gate.origin.hearNothing(credential, now);
    if (!originQuota.readsAnswers || pass.cost === 0 || status !== 200) return response;
    const heard = listenToBody(response, (text) => {
      const said = readBodySigns(text, Date.now());
      if (said) ctx.waitUntil(note(passage, credential, said).done);
    });
    ctx.waitUntil(heard.done);
    return heard.response;
  }
  const { told, done } = note(passage, credential, signs);
  ctx.waitUntil(done);
  if (!signs.isRefusal) return response;
  giveBack(passage, pass);
  // An origin that tells its time says it in its own words. So it does to a handshake, whatever it tells.
  if (headers.has("retry-after") || pass.lane !== "work") return response;
  // Nobody will read it: the origin need not go on sending.
  response.body?.cancel().catch(() => undefined);
  return refuse(passage, pass.caller, pass.terms, pass.lane, {
    cause: "origin",
    retryAfterMs: told.closedForMs,
    isEstimated: told.isEstimated,
    meters: pass.metered,
    origin: { why: "closed", answer: { status, body: body ?? "" } },
  });
}

/** @returns what it comes to, and when the credential's object has been told */
function note({ gate, env }: Passage, credential: string, signs: LimitSigns): { readonly told: Told; readonly done: Promise<void> } {
  const { told, isNews } = gate.origin.hear(credential, signs, Date.now());
  const done = isNews && env.ORIGIN_QUOTAS ? tellOriginQuota(env.ORIGIN_QUOTAS, credential, told) : Promise.resolve();
  return { told, done };
}

/** What a caller is told of a quota whose numbers only the origin knows: what remains, and until when. */
function toldLimit(remaining: number, resetMs: number): QuotaLimit {
  const per = Math.max(resetMs, UNTOLD_PERIOD_MS);
  return { kind: "quota", slot: ORIGIN_LIMIT_NAME, name: ORIGIN_LIMIT_NAME, calls: remaining, per, mode: "enforce" };
}
