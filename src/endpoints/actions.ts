/**
 * What a caller can have done at the gate itself: a fresh challenge, a solution redeemed, its own status. The HTTP endpoints and
 * the MCP tools both stand on these.
 */

import { readConsumerStatus, redeemCredit } from "../../durable-objects/ask-consumer.ts";
import type { ConsumerStatus as StoredStatus } from "../../durable-objects/consumer.ts";
import { NO_CALL } from "../challenges/challenge-id.ts";
import { signPass } from "../challenges/pass.ts";
import { checkGenuine, type GenuineSolution, type PowChallenge, type Solution } from "../challenges/proof-of-work.ts";
import { addressBehind } from "../consumers/address-behind.ts";
import { chargeGuess } from "../consumers/guesses.ts";
import { addressCaller } from "../consumers/identify.ts";
import { MEMO_MS } from "../limits/refusal-memo.ts";
import { DEFAULT_POW, type Terms } from "../limits/terms.ts";
import { freshChallenge, signingKeys, verifyUrl } from "../passage/offer.ts";
import { quantityOf, type MeteredLimit, tightestFirst, windowSecondsOf } from "../refusals/ratelimit-fields.ts";
import { tooManyRequestsAnswer, unavailableAnswer } from "../refusals/gate-errors.ts";
import type { Known, Visit, Visitor } from "./caller.ts";
import { endpointProblem } from "./problems.ts";

export type Done<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly response: Response };

/** A challenge for nobody's call in particular. */
export async function makeChallenge({ url, env, gate }: Visit, { caller, terms }: Known): Promise<Done<PowChallenge>> {
  const { pow } = terms.offers;
  const keys = pow && (await signingKeys(gate, env));
  if (!pow || !keys) return { ok: false, response: endpointProblem("not-offered") };
  const status = await readConsumerStatus(env.CONSUMERS, caller.id, terms.limitsText);
  if (!status) return { ok: false, response: unavailableAnswer() };
  return { ok: true, value: await freshChallenge(caller.id, pow, status, NO_CALL, verifyUrl(url, gate), keys, Date.now()) };
}

export interface Prepaid {
  /** A pass: whoever shows it within its time spends the credit. */
  readonly token: string;
  readonly calls: number;
  /** ISO 8601. */
  readonly expiresAt: string;
}

const WHY = {
  malformed: "malformed-solution",
  "unknown-key": "unknown-challenge",
  altered: "altered-challenge",
  expired: "expired-challenge",
  "wrong-nonce": "wrong-nonce",
} as const;

const NOT_REDEEMED = {
  replayed: "spent-challenge",
  expired: "expired-challenge",
  "too-old": "superseded-challenge",
  "too-many": "enough-credits",
} as const;

/**
 * Puts what a solution has won on the caller's account. One signature and one hash are checked before anything else is touched,
 * and attempts that fail there are limited by address.
 * @param visitor finds out who it is; called only for a solution that is good
 */
export async function redeemSolution(visit: Visit, solution: Solution, visitor: () => Promise<Visitor>): Promise<Done<Prepaid>> {
  const { request, env, gate } = visit;
  const keys = await signingKeys(gate, env);
  if (!keys) return { ok: false, response: endpointProblem("not-offered") };
  const genuine = await checkGenuine(solution, keys, Date.now());
  if (!genuine.ok) {
    const waitMs = await chargeGuess(env.CONSUMERS, addressCaller(request.headers, "").id);
    return { ok: false, response: waitMs === null ? endpointProblem(WHY[genuine.why]) : tooManyRequestsAnswer(waitMs) };
  }
  const who = await visitor();
  if (!who.ok) return who;
  const now = Date.now();
  const owner = await ownerAmong(genuine, visit, who, now);
  if (!owner) return { ok: false, response: endpointProblem("foreign-challenge") };
  const { caller, terms } = owner;

  const { id, solvesAtIssue, call, expiresAt: redeemableUntil } = genuine.solved;
  // A plan that has stopped offering keeps its word to those who are at it.
  const { calls, lifeMs } = terms.offers.pow ?? DEFAULT_POW;
  const { burst, perMinute } = terms.rate;
  const rate = { burst, perMinute };
  const redemption = { id, redeemableUntil, solvesAtIssue, calls, expiresAt: now + lifeMs, keptFor: call, rate };
  const redeemed = await redeemCredit(env.CONSUMERS, caller.id, redemption);
  if (!redeemed) return { ok: false, response: unavailableAnswer() };
  if (!redeemed.ok) return { ok: false, response: endpointProblem(NOT_REDEEMED[redeemed.why]) };
  gate.log({ event: "redeemed", consumer: caller.id, plan: terms.plan, offer: "pow", difficulty: genuine.solved.difficulty, calls });
  // Whoever is told "done" must not be met by a refusal that an isolate still remembers.
  await new Promise((resolve) => setTimeout(resolve, MEMO_MS));
  const credit = { consumer: caller.id, plan: terms.plan, creditId: id, calls, expiresAt: redeemed.expiresAt };
  const { token, expiresAt } = await signPass(credit, keys, Date.now());
  return { ok: true, value: { token, calls, expiresAt: new Date(expiresAt).toISOString() } };
}

/**
 * Whom the challenge was issued to: the visitor, or the address of a bearer that the origin has accepted meanwhile.
 * @returns null for anybody else
 */
async function ownerAmong(genuine: GenuineSolution, { request, gate, env }: Visit, who: Known, now: number): Promise<Known | null> {
  if (await genuine.isFor(who.caller.id, now)) return who;
  if (who.caller.kind !== "bearer") return null;
  const address = await addressBehind(request.headers, gate, env, now);
  return (await genuine.isFor(address.caller.id, now)) ? { ok: true, ...address } : null;
}

/** The numbers of the `RateLimit` fields, and prepaid calls. */
export interface Status {
  readonly consumer: string;
  readonly plan: string;
  /** The tightest first. */
  readonly limits: readonly {
    readonly name: string;
    readonly quota: number;
    readonly windowSeconds: number;
    readonly remaining: number;
    readonly resetSeconds: number;
  }[];
  readonly credits: number;
}

export async function readStatus({ env }: Visit, { caller, terms }: Known): Promise<Done<Status>> {
  const stored = await readConsumerStatus(env.CONSUMERS, caller.id, terms.limitsText);
  if (!stored) return { ok: false, response: unavailableAnswer() };
  const now = Date.now();
  const limits = tightestFirst(meteredIn(terms, stored)).map(({ limit, meter }) => ({
    name: limit.name,
    quota: quantityOf(limit),
    windowSeconds: windowSecondsOf(limit, now),
    remaining: meter.remaining,
    resetSeconds: Math.ceil(meter.resetMs / 1_000),
  }));
  return { ok: true, value: { consumer: caller.id, plan: terms.plan, limits, credits: stored.credits } };
}

function meteredIn(terms: Terms, { meters, slots }: StoredStatus): MeteredLimit[] {
  const atOnce = [
    ...(terms.concurrency ? [{ limit: terms.concurrency, inUse: slots.calls }] : []),
    { limit: terms.streams, inUse: slots.streams },
  ];
  return [
    ...terms.limits.map((limit, i) => ({ limit, meter: meters[i]! })),
    ...atOnce.map(({ limit, inUse }) => ({ limit, meter: { remaining: Math.max(0, limit.calls - inUse), resetMs: 0 } })),
  ];
}
