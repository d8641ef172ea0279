/** Asking a consumer's object the way the gate does, without the gate. */

import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { CreditAnswer } from "../../durable-objects/consumer.ts";
import { type Answer, decodeAnswer, encodeQuestion } from "../../durable-objects/consumer-rpc.ts";
import { type Limit, type Payment, UNPAYABLE } from "../../src/limits/limit.ts";

export type ConsumerStub = ReturnType<typeof env.CONSUMERS.getByName>;

let names = 0;

/** A name that no other test has used. */
export function newName(): string {
  return `key:test-${++names}-${crypto.randomUUID()}`;
}

export function rate(burst: number, perMinute = burst): Limit {
  return { kind: "rate", slot: "rate", name: "test", burst, perMinute, mode: "enforce" };
}

export interface AskOptions {
  readonly limits?: readonly Limit[];
  readonly calls?: number;
  readonly maxWaitMs?: number;
  readonly keyId?: string;
  readonly keyVersion?: number;
}

/** One POST with some calls, each of which falls under all the limits. */
export async function askFor(stub: ConsumerStub, options: AskOptions = {}): Promise<Answer> {
  const { limits = [rate(30)], calls = 1, maxWaitMs = 0, keyId = "", keyVersion = 0 } = options;
  const charge = { limits: (1 << limits.length) - 1, cost: 1, countedBy: 0, watches: [] };
  const question = encodeQuestion({
    keyId,
    keyVersion,
    maxWaitMs,
    charges: Array.from({ length: calls }, () => charge),
    payment: UNPAYABLE,
  });
  return decodeAnswer(await stub.ask(JSON.stringify(limits), question));
}

/** Asks many times at once. Those that get no answer are left out. */
export async function askAtOnce(times: number, ask: () => Promise<Answer>): Promise<Answer[]> {
  const answers = await Promise.allSettled(Array.from({ length: times }, ask));
  return answers.flatMap((settled) => (settled.status === "fulfilled" ? [settled.value] : []));
}

export function admittedIn(answers: readonly Answer[]): number {
  return answers.filter((answer) => answer.kind === "admit").length;
}

/** A plan that is used up by twenty calls, for long. */
export const SLOW = [rate(20, 1)];
let attempts = 0;

/** One call on that plan, which credits may pay for. */
export async function askOnCredit(stub: ConsumerStub, how: Partial<Payment> = {}): Promise<Answer> {
  const payment = { ...UNPAYABLE, payable: 1, attempt: ++attempts, ...how };
  const charges = [{ limits: 1, cost: 1, countedBy: 0, watches: [] }];
  return decodeAnswer(await stub.ask(JSON.stringify(SLOW), encodeQuestion({ keyId: "", keyVersion: 0, maxWaitMs: 0, charges, payment })));
}

/** Takes units of one credit; with 0 units it only looks. */
export async function spend(stub: ConsumerStub, creditId: string, units: number, tag: number | null = 1): Promise<CreditAnswer> {
  return JSON.parse(await stub.spend({ creditId, units, tag, attempt: ++attempts })) as CreditAnswer;
}

/** No alarm of this object is left to ring in another test. */
export async function silence(stub: ConsumerStub): Promise<void> {
  await runInDurableObject(stub, (_object, state) => state.storage.deleteAlarm());
}
