/**
 * Price and ask: from a caller and what it sends to the answer whether it may pass. What the isolate remembers is looked at
 * before anything is hashed; then a slot is taken where calls at once are limited, and the consumer's object decides; when that
 * cannot be asked, the policy does.
 */

import { askConsumer, undoConsumer } from "../../durable-objects/ask-consumer.ts";
import type { Answer } from "../../durable-objects/consumer-rpc.ts";
import { parseKeyRecord } from "../consumers/api-keys.ts";
import type { Caller } from "../consumers/caller.ts";
import { keyCaller, presentedKey } from "../consumers/identify.ts";
import { type Decision, describePassage, loopIn, meteredLimits, refuse, unusualCost } from "./decision.ts";
import { type Charge, loopsIn } from "../limits/limit.ts";
import { takeLocally, takeUnasked, UNMETERED_PER_MINUTE } from "../limits/local-bucket.ts";
import { costOf, maskOf, payableCost, type Price, price, watchCharges } from "../limits/price.ts";
import { forgetRefusal, recallRefusal, rememberRefusal } from "../limits/refusal-memo.ts";
import { limitsIn, type LimitSet, type Terms } from "../limits/terms.ts";
import { tagOf } from "./offer.ts";
import type { Passage } from "./passage.ts";
import { newAttempt, ownPaymentShown, payByShown, shownCredit } from "./prepaid.ts";
import { impossibleAnswer, strangerAnswer, unknownPlanAnswer, whyImpossible } from "../refusals/gate-errors.ts";
import { observedLine } from "../refusals/log.ts";
import type { MeteredLimit } from "../refusals/ratelimit-fields.ts";
import type { Slot } from "./slot.ts";
import { giveSlotsBack, takeSlots } from "./slots.ts";

/** A handshake is held longer than any client notices, and never as long as one waits. */
const HANDSHAKE_MAX_WAIT_MS = 8_000;
/** When the object cannot be asked, nobody knows; this is what objects usually need to come back. */
const UNAVAILABLE_RETRY_MS = 5_000;
const PREFER_WAIT = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,6})/i;

/** @param mayRenew whether the object may still answer with a newer record of the key */
export async function ask(passage: Passage, caller: Caller, now: number, mayRenew = true): Promise<Decision> {
  const { gate, env } = passage;
  const terms = await gate.terms.for(caller, env.KEYS, now);
  if (!terms) {
    gate.log({ event: "policy-error", where: caller.id, problem: `its plan "${caller.plan}" is not in the policy` });
    return { kind: "answer", response: unknownPlanAnswer(caller.plan, passage) };
  }
  return askOnTerms(passage, caller, terms, now, {
    mayRenew,
    watchesLoops: true,
    isPrepaid: false,
    shown: ownPaymentShown(passage, caller),
  });
}

export interface AskOptions {
  /** Whether the object may still answer with a newer record of the key. */
  readonly mayRenew: boolean;
  /** Whether the loop breaker looks at the calls. */
  readonly watchesLoops: boolean;
  /** Whether another account has paid for what can be paid for. */
  readonly isPrepaid: boolean;
  /** The credit of the caller's own account that the request shows, as far as it has been looked at; empty for none. */
  readonly shown: string;
}

/** The same on terms that are known already. */
export async function askOnTerms(passage: Passage, caller: Caller, terms: Terms, now: number, options: AskOptions): Promise<Decision> {
  const { gate, env, messages } = passage;
  const { mayRenew, watchesLoops, isPrepaid, shown } = options;
  const priced = price(messages, terms);
  logUncosted(passage, priced);
  const { set, lane } = priced;
  if (!set) return { kind: "answer", response: impossibleAnswer(terms.plan, "too-many-names", passage) };

  const maxWaitMs = maxWaitOf(passage, priced, terms);
  const credential = gate.origin.credentialOf(caller, passage.request.headers);
  const remembered = await recallFrom(passage, caller, terms, priced, set, { maxWaitMs, credential }, now);
  if (remembered) return remembered;

  const slots = await takeSlots(passage, caller, terms, priced, maxWaitMs);
  if (slots.kind !== "taken") return slots;
  if (priced.charges.length === 0) return decideUnmetered(passage, caller, terms, lane, credential, slots.slots, slots.metered, now);

  const charges = watchesLoops ? watchCharges(priced, messages, gate.policy.watches) : priced.charges;
  const tag = tagOf(messages, priced, charges);
  // Only where money is in it, what a lost answer has spent is asked back.
  const attempt = gate.shop ? newAttempt() : 0;
  const answer = await askConsumer(env.CONSUMERS, caller.id, set.limitsText, {
    keyId: caller.keyId,
    keyVersion: caller.keyVersion,
    // Less what was spent on waiting for a slot.
    maxWaitMs: slots.slots.length === 0 ? maxWaitMs : Math.max(0, maxWaitMs - (Date.now() - now)),
    charges,
    payment: { payable: terms.payableMask, tag, isPrepaid, attempt, shown },
  });
  if (answer?.kind !== "admit") giveSlotsBack(passage, slots.slots);
  if (answer === null) {
    if (gate.shop) passage.ctx.waitUntil(undoConsumer(env.CONSUMERS, caller.id, attempt));
    return decideUnasked(passage, caller, terms, priced, set, credential);
  }
  switch (answer.kind) {
    case "stale":
      return mayRenew ? askRenewed(passage, caller, answer.record, now) : decideUnasked(passage, caller, terms, priced, set, credential);
    case "impossible":
      return { kind: "answer", response: impossibleAnswer(terms.plan, whyImpossible(set, answer.violated), passage) };
    case "refuse":
      logObserved(passage, caller, terms, set, answer.observed);
      // Another account's credit has its own rate: it may pay also where more credits of the caller's own would not help.
      if (!isPrepaid && answer.cause !== "repeat" && (answer.violated & ~terms.payableMask) === 0) {
        const again = (paid: AskOptions): Promise<Decision> => askOnTerms(passage, caller, terms, now, paid);
        const paid = await payByShown(passage, caller, { cost: payableCost(priced, terms), tag }, options, again);
        if (paid) return paid;
      }
      remember(passage, caller, priced, set, answer);
      return refuseAsked(passage, caller, terms, priced, set, answer, charges, tag);
    case "admit":
      logObserved(passage, caller, terms, set, answer.observed);
      if (answer.paidUnits > 0) forgetRefusal(gate.memo, caller.id, maskOf(priced));
      return {
        kind: "pass",
        caller,
        terms,
        lane,
        waitMs: answer.waitMs,
        cost: lane === "work" ? costOf(priced) : 0,
        ticket: answer.ticket,
        ...(answer.paidUnits > 0 ? { payer: { consumer: caller.id, ticket: answer.ticket } } : {}),
        originTicket: null,
        credential,
        slots: slots.slots,
        metered: [...meteredLimits(set, maskOf(priced), answer.meters), ...slots.metered],
      };
  }
}

/** What this isolate knows already: a refusal that still holds, or an origin that takes no calls for now. */
async function recallFrom(
  passage: Passage,
  caller: Caller,
  terms: Terms,
  priced: Price,
  set: LimitSet,
  { maxWaitMs, credential }: { readonly maxWaitMs: number; readonly credential: string },
  now: number,
): Promise<Decision | undefined> {
  const { gate } = passage;
  if (priced.charges.length === 0) return undefined;
  const question = { cost: costOf(priced), calls: priced.charges.length, set, maxWaitMs };
  const known = recallRefusal(gate.memo, caller.id, maskOf(priced), question, now);
  // Whoever shows a good credit may be let through by it; a made-up one is no way around what is remembered.
  if (known && !(await shownCredit(passage, caller))) {
    const retryAfterMs = known.refusedAt + known.retryAfterMs - now;
    return refuseAsked(passage, caller, terms, priced, set, { ...known, retryAfterMs }, [], tagOf(passage.messages, priced, []));
  }
  // A handshake goes on all the same: the client would take a closed origin for a broken one.
  const closed = priced.lane === "work" ? gate.origin.closedFor(credential, now) : null;
  if (!closed) return undefined;
  return refuse(passage, caller, terms, priced.lane, { cause: "origin", origin: { why: "closed" }, ...closed }, true);
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

const NOTHING_TAKEN = { ticket: null, originTicket: null } as const;

/** Notifications, answers, streams, DELETE: no limit of calls is asked about, and the isolate keeps a generous bound. */
function decideUnmetered(
  passage: Passage,
  caller: Caller,
  terms: Terms,
  lane: Price["lane"],
  credential: string,
  slots: readonly Slot[],
  metered: readonly MeteredLimit[],
  now: number,
): Decision {
  const numbers = { burst: UNMETERED_PER_MINUTE, perMinute: UNMETERED_PER_MINUTE };
  const cost = Math.max(1, passage.messages.length);
  const waitMs = takeLocally(passage.gate.localBuckets, `unmetered ${caller.id}`, numbers, cost, now);
  if (waitMs === 0) return { kind: "pass", caller, terms, lane, waitMs: 0, cost: 0, ...NOTHING_TAKEN, credential, slots, metered };
  giveSlotsBack(passage, slots);
  return refuse(passage, caller, terms, "unmetered", { cause: "capacity", retryAfterMs: waitMs });
}

/** The object could not be asked. Known customers pass at a tenth of their plan, the others wait: by policy. */
function decideUnasked(passage: Passage, caller: Caller, terms: Terms, priced: Price, set: LimitSet, credential: string): Decision {
  const { gate, requestId } = passage;
  const mode = caller.kind === "key" ? gate.policy.whenUnavailable.keys : gate.policy.whenUnavailable.others;
  gate.log({ event: "object-unavailable", consumer: caller.id, plan: terms.plan, mode, requestId });
  const waitMs = mode === "closed" ? UNAVAILABLE_RETRY_MS : takeUnasked(gate.localBuckets, caller.id, set, priced.charges, Date.now());
  const { lane } = priced;
  const cost = lane === "work" ? costOf(priced) : 0;
  if (waitMs === 0) return { kind: "pass", caller, terms, lane, waitMs: 0, cost, ...NOTHING_TAKEN, credential, slots: [], metered: [] };
  return refuse(passage, caller, terms, lane, { cause: "capacity", retryAfterMs: waitMs, isEstimated: true });
}

/** How long this POST may be held: the lane's time, less when the client prefers it (RFC 7240) or the isolate is full. */
function maxWaitOf(passage: Passage, priced: Price, terms: Terms): number {
  const laneMs = priced.lane === "handshake" ? HANDSHAKE_MAX_WAIT_MS : terms.maxWaitMs;
  const preferred = PREFER_WAIT.exec(passage.request.headers.get("prefer") ?? "")?.[1];
  const preferredMs = preferred === undefined ? laneMs : Number(preferred) * 1_000;
  return passage.gate.holds.hasRoomFor(passage.body?.length ?? 0) ? Math.min(laneMs, preferredMs) : 0;
}

type AskedRefusal = Omit<Answer & { kind: "refuse" }, "kind" | "observed" | "hasCredit">;

function refuseAsked(
  passage: Passage,
  caller: Caller,
  terms: Terms,
  priced: Price,
  set: LimitSet,
  { cause, violated, retryAfterMs, passesAt, meters, isPayable, mayEarn, solves, easeMs }: AskedRefusal,
  charges: readonly Charge[],
  tag: number,
): Decision {
  const grounds = {
    cause,
    retryAfterMs,
    passesAt,
    violated: limitsIn(set, violated),
    meters: meteredLimits(set, maskOf(priced), meters),
    loop: loopIn(violated, charges),
    cost: unusualCost(priced),
  };
  const refused = refuse(passage, caller, terms, priced.lane, grounds, charges.length === 0);
  if (!isPayable || priced.lane !== "work") return refused;
  return { ...refused, payable: { mayEarn, solves, easeMs, cost: payableCost(priced, terms), tag } };
}

function remember(passage: Passage, caller: Caller, priced: Price, set: LimitSet, answer: Answer & { kind: "refuse" }): void {
  const { cause, violated, meters, retryAfterMs, passesAt, isPayable, mayEarn, solves, easeMs } = answer;
  if (cause === "repeat" || answer.hasCredit) return;
  const asked = { cost: costOf(priced), calls: priced.charges.length, set };
  rememberRefusal(passage.gate.memo, caller.id, maskOf(priced), {
    cause,
    violated,
    meters,
    refusedAt: Date.now(),
    retryAfterMs,
    passesAt,
    isPayable,
    mayEarn,
    solves,
    easeMs,
    ...asked,
  });
}

function logObserved(passage: Passage, caller: Caller, terms: Terms, set: LimitSet, observed: number): void {
  if (observed === 0) return;
  const names = [...limitsIn(set, observed).map((limit) => limit.name), ...loopsIn(observed)];
  passage.gate.log(observedLine(caller.id, terms.plan, describePassage(passage), names, passage.requestId));
}

/** A policy's own function that gives no cost is the operator's to mend; the call costs 1. */
function logUncosted(passage: Passage, { uncosted }: Price): void {
  if (uncosted.length === 0) return;
  const problem = "its cost must be a whole number from 0 to 1000000";
  passage.gate.log({ event: "policy-error", where: `cost of ${describePassage(passage)}`, problem, requestId: passage.requestId });
}
