/**
 * The contract between the gate and a consumer's object, and its form on the way. The shape of an RPC's arguments
 * and answers is a good part of what a call costs, and one string each way is the cheapest: the limits travel as
 * a text that the gate makes once per plan and the object parses once, the rest as a flat JSON array.
 */

import {
  type Cause,
  type Charge,
  type Limit,
  LOOP_KINDS,
  type Meter,
  type Mode,
  type Payment,
  type Verdict,
  type Watch,
} from "../src/limits/limit.ts";

export interface Question {
  /** The API key that the gate has read in KV, and the version of its record; empty and 0 for other callers. */
  readonly keyId: string;
  readonly keyVersion: number;
  /** How long the gate is ready to hold the POST. */
  readonly maxWaitMs: number;
  readonly charges: readonly Charge[];
  readonly payment: Payment;
}

/** The verdict, or the newer record of the key that the gate has to price with first. */
export type Answer = Verdict | { readonly kind: "stale"; readonly record: string };

/** @param text `Terms.limitsText` */
export function decodeLimits(text: string): Limit[] {
  return JSON.parse(text) as Limit[];
}

const MODES: readonly Mode[] = ["enforce", "observe"];
const CAUSES: readonly Cause[] = ["rate", "quota", "repeat"];
const QUESTION_FIELDS = 8;
const CHARGE_FIELDS = 4;
const WATCH_FIELDS = 5;

export function encodeQuestion(question: Question): string {
  const { keyId, keyVersion, maxWaitMs, payment } = question;
  const { payable, tag, isPrepaid, attempt, shown } = payment;
  const flat: (string | number)[] = [keyId, shown, keyVersion, maxWaitMs, payable, tag, isPrepaid ? 1 : 0, attempt];
  for (const { limits, cost, countedBy, watches } of question.charges) {
    flat.push(limits, cost, countedBy, watches.length);
    for (const { kind, fingerprint, calls, windowMs, mode } of watches) {
      flat.push(LOOP_KINDS.indexOf(kind), fingerprint, calls, windowMs, MODES.indexOf(mode));
    }
  }
  return JSON.stringify(flat);
}

export function decodeQuestion(text: string): Question {
  const flat = JSON.parse(text) as [string, string, ...number[]];
  const numbers = flat as readonly unknown[] as readonly number[];
  const charges: Charge[] = [];
  let at = QUESTION_FIELDS;
  while (at < flat.length) {
    const watches: Watch[] = [];
    const end = at + CHARGE_FIELDS + numbers[at + 3]! * WATCH_FIELDS;
    for (let i = at + CHARGE_FIELDS; i < end; i += WATCH_FIELDS) {
      watches.push({
        kind: LOOP_KINDS[numbers[i]!]!,
        fingerprint: numbers[i + 1]!,
        calls: numbers[i + 2]!,
        windowMs: numbers[i + 3]!,
        mode: MODES[numbers[i + 4]!]!,
      });
    }
    charges.push({ limits: numbers[at]!, cost: numbers[at + 1]!, countedBy: numbers[at + 2]!, watches });
    at = end;
  }
  const [keyId, shown] = flat;
  const payment: Payment = { payable: numbers[4]!, tag: numbers[5]!, isPrepaid: numbers[6] === 1, attempt: numbers[7]!, shown };
  return { keyId, keyVersion: numbers[2]!, maxWaitMs: numbers[3]!, charges, payment };
}

const ADMIT = 0;
const REFUSE = 1;
const IMPOSSIBLE = 2;
const STALE = 3;
/** Flags of a refusal. */
const PAYABLE = 1;
const HAS_CREDIT = 2;
const MAY_EARN = 4;

export function encodeAnswer(answer: Answer): string {
  switch (answer.kind) {
    case "admit":
      return encodeMetered([ADMIT, answer.waitMs, answer.ticket, answer.observed, answer.paidUnits], answer.meters);
    case "refuse": {
      const { cause, violated, retryAfterMs, passesAt, observed, isPayable, hasCredit, mayEarn, solves, easeMs, meters } = answer;
      const flags = (isPayable ? PAYABLE : 0) | (hasCredit ? HAS_CREDIT : 0) | (mayEarn ? MAY_EARN : 0);
      const numbers = [REFUSE, CAUSES.indexOf(cause), violated, retryAfterMs, passesAt, observed, flags, solves, easeMs];
      return encodeMetered(numbers, meters);
    }
    case "impossible":
      return JSON.stringify([IMPOSSIBLE, answer.violated]);
    case "stale":
      return JSON.stringify([STALE, answer.record]);
  }
}

export function decodeAnswer(text: string): Answer {
  const fields = JSON.parse(text) as readonly (number | string)[];
  if (fields[0] === STALE) return { kind: "stale", record: String(fields[1]) };
  const numbers = fields as readonly number[];
  if (numbers[0] === IMPOSSIBLE) return { kind: "impossible", violated: numbers[1]! };
  if (numbers[0] === REFUSE) {
    return {
      kind: "refuse",
      cause: CAUSES[numbers[1]!]!,
      violated: numbers[2]!,
      retryAfterMs: numbers[3]!,
      passesAt: numbers[4]!,
      observed: numbers[5]!,
      isPayable: (numbers[6]! & PAYABLE) !== 0,
      hasCredit: (numbers[6]! & HAS_CREDIT) !== 0,
      mayEarn: (numbers[6]! & MAY_EARN) !== 0,
      solves: numbers[7]!,
      easeMs: numbers[8]!,
      meters: decodeMeters(numbers, 9),
    };
  }
  return {
    kind: "admit",
    waitMs: numbers[1]!,
    ticket: numbers[2]!,
    observed: numbers[3]!,
    paidUnits: numbers[4]!,
    meters: decodeMeters(numbers, 5),
  };
}

/** @param flat the fields before the meters; they are added to it */
function encodeMetered(flat: number[], meters: readonly Meter[]): string {
  for (const { remaining, resetMs } of meters) flat.push(remaining, resetMs);
  return JSON.stringify(flat);
}

function decodeMeters(numbers: readonly number[], from: number): Meter[] {
  const meters: Meter[] = [];
  for (let i = from; i < numbers.length; i += 2) meters.push({ remaining: numbers[i]!, resetMs: numbers[i + 1]! });
  return meters;
}
