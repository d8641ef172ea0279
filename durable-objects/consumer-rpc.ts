/**
 * The contract between the gate and a consumer's object, and its form on the way. The shape of an RPC's arguments
 * and answers is a good part of what a call costs, and one string each way is the cheapest: the limits travel as
 * a text that the gate makes once per plan and the object parses once, the rest as a flat JSON array.
 */

import type { Cause, Charge, Limit, Meter, Mode, Verdict } from "../src/limits/limit.ts";

export interface Question {
  /** The API key that the gate has read in KV, and the version of its record; empty and 0 for other callers. */
  readonly keyId: string;
  readonly keyVersion: number;
  /** How long the gate is ready to hold the POST. */
  readonly maxWaitMs: number;
  readonly charges: readonly Charge[];
}

/** The verdict, or the newer record of the key that the gate has to price with first. */
export type Answer = Verdict | { readonly kind: "stale"; readonly record: string };

/** @param text `Terms.limitsText` */
export function decodeLimits(text: string): Limit[] {
  return JSON.parse(text) as Limit[];
}

const MODES: readonly Mode[] = ["enforce", "observe"];
const CAUSES: readonly Cause[] = ["rate", "quota", "repeat"];
const CHARGE_FIELDS = 6;

export function encodeQuestion(question: Question): string {
  const flat: (string | number)[] = [question.keyId, question.keyVersion, question.maxWaitMs];
  for (const charge of question.charges) {
    flat.push(
      charge.limits,
      charge.cost,
      charge.fingerprint,
      charge.repeatsAllowed,
      charge.repeatWindowMs,
      MODES.indexOf(charge.repeatMode),
    );
  }
  return JSON.stringify(flat);
}

export function decodeQuestion(text: string): Question {
  const [keyId, keyVersion, maxWaitMs, ...rest] = JSON.parse(text) as [string, ...number[]];
  const charges: Charge[] = [];
  for (let i = 0; i < rest.length; i += CHARGE_FIELDS) {
    charges.push({
      limits: rest[i]!,
      cost: rest[i + 1]!,
      fingerprint: rest[i + 2]!,
      repeatsAllowed: rest[i + 3]!,
      repeatWindowMs: rest[i + 4]!,
      repeatMode: MODES[rest[i + 5]!]!,
    });
  }
  return { keyId, keyVersion: keyVersion!, maxWaitMs: maxWaitMs!, charges };
}

const ADMIT = 0;
const REFUSE = 1;
const IMPOSSIBLE = 2;
const STALE = 3;

export function encodeAnswer(answer: Answer): string {
  switch (answer.kind) {
    case "admit":
      return JSON.stringify([ADMIT, answer.waitMs, answer.ticket, answer.observed, ...flatMeters(answer.meters)]);
    case "refuse":
      return JSON.stringify([
        REFUSE,
        CAUSES.indexOf(answer.cause),
        answer.violated,
        answer.retryAfterMs,
        answer.passesAt,
        answer.observed,
        ...flatMeters(answer.meters),
      ]);
    case "impossible":
      return JSON.stringify([IMPOSSIBLE, answer.violated]);
    case "stale":
      return JSON.stringify([STALE, answer.record]);
  }
}

export function decodeAnswer(text: string): Answer {
  const [kind, ...fields] = JSON.parse(text) as [number, ...(number | string)[]];
  if (kind === STALE) return { kind: "stale", record: String(fields[0]) };
  const numbers = fields as number[];
  if (kind === IMPOSSIBLE) return { kind: "impossible", violated: numbers[0]! };
  if (kind === REFUSE) {
    const [cause, violated, retryAfterMs, passesAt, observed, ...meters] = numbers;
    return {
      kind: "refuse",
      cause: CAUSES[cause!]!,
      violated: violated!,
      retryAfterMs: retryAfterMs!,
      passesAt: passesAt!,
      observed: observed!,
      meters: metersFrom(meters),
    };
  }
  const [waitMs, ticket, observed, ...meters] = numbers;
  return { kind: "admit", waitMs: waitMs!, ticket: ticket!, observed: observed!, meters: metersFrom(meters) };
}

function flatMeters(meters: readonly Meter[]): number[] {
  return meters.flatMap((meter) => [meter.remaining, meter.resetMs]);
}

function metersFrom(numbers: readonly number[]): Meter[] {
  const meters: Meter[] = [];
  for (let i = 0; i + 1 < numbers.length; i += 2) meters.push({ remaining: numbers[i]!, resetMs: numbers[i + 1]! });
  return meters;
}
