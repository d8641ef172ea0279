/**
 * Price and ask: from a caller and what it sends to the answer whether it may pass. The isolate's memo is looked at before
 * anything is hashed, then the consumer's object decides; when that cannot be asked, the policy does.
 */

import { askConsumer } from "../durable-objects/ask-consumer.ts";
import type { Answer } from "../durable-objects/consumer-rpc.ts";
import { parseKeyRecord } from "./consumers/api-keys.ts";
import type { Caller } from "./consumers/caller.ts";
import { keyCaller, presentedKey } from "./consumers/identify.ts";
import { type Meter, REPEAT_BIT } from "./limits/limit.ts";
import { takeLocally, takeUnasked, UNMETERED_PER_MINUTE } from "./limits/local-bucket.ts";
import { costOf, fingerprintCharges, maskOf, type Price, price, repeatRuleOf, subjectOf } from "./limits/price.ts";
import { recallRefusal, rememberRefusal } from "./limits/refusal-memo.ts";
import { limitsIn, type Terms } from "./limits/terms.ts";
import type { Passage } from "./passage.ts";
import { impossibleAnswer, strangerAnswer, unknownPlanAnswer } from "./refusals/gate-errors.ts";
import { observedLine } from "./refusals/log.ts";
import type { MeteredLimit } from "./refusals/ratelimit-fields.ts";
import type { Refusal } from "./refusals/refusal.ts";

/** A handshake is held longer than any client notices, and never as long as one waits. */
const HANDSHAKE_MAX_WAIT_MS = 8_000;
/** When the object cannot be asked, nobody knows; this is what objects usually need to come back. */
const UNAVAILABLE_RETRY_MS = 5_000;
const PREFER_WAIT = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,6})/i;

export type Decision =
  | {
      readonly kind: "pass";
      readonly caller: Caller;
      readonly terms: Terms;
      /** How long the call is held before it is forwarded. */
      readonly waitMs: number;
      /** For a refund; null when no object was asked. */
      readonly ticket: number | null;
      readonly metered: readonly MeteredLimit[];
      /** What was charged to the address as well, for a bearer that the origin has not accepted yet. */
      readonly alongside?: Decision & { readonly kind: "pass" };
    }
  | { readonly kind: "refuse"; readonly caller: Caller; readonly terms: Terms; readonly refusal: Refusal; readonly isRemembered: boolean }
  /** Nothing to decide: the request cannot be priced. */
  | { readonly kind: "answer"; readonly response: Response };

/** @param mayRenew whether the object may still answer with a newer record of the key */
export async function ask(passage: Passage, caller: Caller, now: number, mayRenew = true): Promise<Decision> {
  const { gate, env } = passage;
  const terms = await gate.terms.for(caller, env.KEYS, now);
  if (!terms) {
    gate.log({ event: "policy-error", where: caller.id, problem: `its plan "${caller.plan}" is not in the policy` });
    return { kind: "answer", response: unknownPlanAnswer(caller.plan, passage) };
  }
  return askOnTerms(passage, caller, terms, now, { mayRenew, watchesRepeats: true });
}

/**
 * The same on terms that are known already.
 * @param watchesRepeats whether the loop breaker looks at the calls
 */
export async function askOnTerms(
  passage: Passage,
  caller: Caller,
  terms: Terms,
  now: number,
  { mayRenew, watchesRepeats }: { readonly mayRenew: boolean; readonly watchesRepeats: boolean },
): Promise<Decision> {
  const { gate, env, messages } = passage;
  const priced = price(messages, terms);
  if (priced.charges.length === 0) return decideUnmetered(passage, caller, terms, now);

  const maxWaitMs = maxWaitOf(passage, priced, terms);
  const remembered = recallRefusal(gate.memo, caller.id, maskOf(priced), { cost: costOf(priced), terms, maxWaitMs }, now);
  if (remembered) {
    const retryAfterMs = remembered.refusedAt + remembered.retryAfterMs - now;
    const refusal = refusalFrom(passage, terms, priced, { ...remembered, retryAfterMs });
    return { kind: "refuse", caller, terms, refusal, isRemembered: true };
  }

  const answer = await askConsumer(env.CONSUMERS, caller.id, terms.limitsText, {
    keyId: caller.keyId,
    keyVersion: caller.keyVersion,
    maxWaitMs,
    charges: watchesRepeats ? fingerprintCharges(priced, messages, gate.policy.repeats) : priced.charges,
  });
  if (answer === null) return decideUnasked(passage, caller, terms, priced);
  switch (answer.kind) {
    case "stale":
      return mayRenew ? askRenewed(passage, caller, answer.record, now) : decideUnasked(passage, caller, terms, priced);
    case "impossible":
      return { kind: "answer", response: impossibleAnswer(terms.plan, limitsIn(terms, answer.violated), passage) };
    case "refuse":
      logObserved(passage, caller, terms, answer.observed);
      remember(passage, caller, terms, priced, answer);
      return { kind: "refuse", caller, terms, refusal: refusalFrom(passage, terms, priced, answer), isRemembered: false };
    case "admit":
      logObserved(passage, caller, terms, answer.observed);
      return {
        kind: "pass",
        caller,
        terms,
        waitMs: answer.waitMs,
        ticket: answer.ticket,
        metered: meteredLimits(terms, priced, answer.meters),
      };
  }
}

/** The object knows a newer record of the key than KV tells here: price with that one, and ask once more. */
async function askRenewed(passage: Passage, caller: Caller, text: string, now: number): Promise<Decision> {
  const record = parseKeyRecord(text);
  const presented = presentedKey(passage.request.headers);
  if (!record || !presented) return { kind: "answer", response: strangerAnswer("unknown-key", null) };
  passage.gate.apiKeys.learn(presented.key, caller.keyId, record, now);
  if (record.disabled) return { kind: "answer", response: strangerAnswer("disabled-key", null) };
  return ask(passage, keyCaller(caller.keyId, record, presented.header), now, false);
}

/** Notifications, answers, GET, DELETE: no object is asked, and the isolate keeps a generous bound. */
function decideUnmetered(passage: Passage, caller: Caller, terms: Terms, now: number): Decision {
  const numbers = { burst: UNMETERED_PER_MINUTE, perMinute: UNMETERED_PER_MINUTE };
  const cost = Math.max(1, passage.messages.length);
  const waitMs = takeLocally(passage.gate.localBuckets, `unmetered ${caller.id}`, numbers, cost, now);
  if (waitMs === 0) return { kind: "pass", caller, terms, waitMs: 0, ticket: null, metered: [] };
  const refusal = capacityRefusal(passage, "unmetered", terms, waitMs, false);
  return { kind: "refuse", caller, terms, refusal, isRemembered: false };
}

/** The object could not be asked. Known customers pass at a tenth of their plan, the others wait: by policy. */
function decideUnasked(passage: Passage, caller: Caller, terms: Terms, priced: Price): Decision {
  const { gate, requestId } = passage;
  const mode = caller.kind === "key" ? gate.policy.whenUnavailable.keys : gate.policy.whenUnavailable.others;
  gate.log({ event: "object-unavailable", consumer: caller.id, plan: terms.plan, mode, requestId });
  const waitMs = mode === "closed" ? UNAVAILABLE_RETRY_MS : takeUnasked(gate.localBuckets, caller.id, terms, priced.charges, Date.now());
  if (waitMs === 0) return { kind: "pass", caller, terms, waitMs: 0, ticket: null, metered: [] };
  const refusal = capacityRefusal(passage, priced.lane, terms, waitMs, true);
  return { kind: "refuse", caller, terms, refusal, isRemembered: false };
}

/** How long this POST may be held: the lane's time, less when the client prefers it (RFC 7240) or the isolate is full. */
function maxWaitOf(passage: Passage, priced: Price, terms: Terms): number {
  const laneMs = priced.lane === "handshake" ? HANDSHAKE_MAX_WAIT_MS : terms.maxWaitMs;
  const preferred = PREFER_WAIT.exec(passage.request.headers.get("prefer") ?? "")?.[1];
  const preferredMs = preferred === undefined ? laneMs : Number(preferred) * 1_000;
  return passage.gate.holds.hasRoomFor(passage.body?.length ?? 0) ? Math.min(laneMs, preferredMs) : 0;
}

function meteredLimits(terms: Terms, priced: Price, meters: readonly Meter[]): MeteredLimit[] {
  return limitsIn(terms, maskOf(priced)).map((limit, i) => ({ limit, meter: meters[i]! }));
}

function remember(passage: Passage, caller: Caller, terms: Terms, priced: Price, answer: Answer & { kind: "refuse" }): void {
  const { cause, violated, meters, retryAfterMs, passesAt } = answer;
  if (cause === "repeat") return;
  const refusal = { cause, violated, meters, refusedAt: Date.now(), retryAfterMs, passesAt, cost: costOf(priced), terms };
  rememberRefusal(passage.gate.memo, caller.id, maskOf(priced), refusal);
}

function refusalFrom(
  passage: Passage,
  terms: Terms,
  priced: Price,
  from: Pick<Answer & { kind: "refuse" }, "cause" | "violated" | "retryAfterMs" | "passesAt" | "meters">,
): Refusal {
  const rule = from.cause === "repeat" ? repeatRuleOf(passage.messages, passage.gate.policy.repeats) : null;
  return {
    cause: from.cause,
    lane: priced.lane,
    plan: terms.plan,
    violated: limitsIn(terms, from.violated),
    retryAfterMs: from.retryAfterMs,
    passesAt: from.passesAt,
    isEstimated: false,
    ...(rule ? { repeat: rule } : {}),
    meters: meteredLimits(terms, priced, from.meters),
    requestId: passage.requestId,
  };
}

function capacityRefusal(passage: Passage, lane: Refusal["lane"], terms: Terms, waitMs: number, isEstimated: boolean): Refusal {
  const { requestId } = passage;
  return {
    cause: "capacity",
    lane,
    plan: terms.plan,
    violated: [],
    retryAfterMs: Math.ceil(waitMs),
    passesAt: Date.now() + Math.ceil(waitMs),
    isEstimated,
    meters: [],
    requestId,
  };
}

/** What a log line says a POST was about: the method and the tool, prompt or resource. */
export function describePassage({ messages, request }: Passage): string {
  const [first] = messages;
  if (!first) return request.method;
  const name = subjectOf(first).slice(0, MAX_LOGGED_CHARS);
  const method = first.kind === "response" ? "response" : first.method.slice(0, MAX_LOGGED_CHARS);
  const more = messages.length > 1 ? ` and ${messages.length - 1} more` : "";
  return (name ? `${method} ${name}` : method) + more;
}

/** Names come from callers; a log line is not theirs to fill. */
const MAX_LOGGED_CHARS = 200;

function logObserved(passage: Passage, caller: Caller, terms: Terms, observed: number): void {
  if (observed === 0) return;
  const names = limitsIn(terms, observed).map((limit) => limit.name);
  if (observed & REPEAT_BIT) names.push("repeat");
  passage.gate.log(observedLine(caller.id, terms.plan, describePassage(passage), names, passage.requestId));
}
