/**
 * The calls that credits have paid for lately. Kept with the account, so that what the origin did not get is given back also
 * when the object has been restarted in between: units are given back by ticket, or, where the answer with the ticket was
 * lost on its way, by the attempt that asked for it.
 *
 * When the gate saw the answer to a paid call cut off, the call may be sent again once for nothing: a credit of its own is
 * opened for it, which pays for that call alone.
 */

import { type Credit, type Credits, forgetOver, PAID_CALL_KEPT_MS, type PaidCall, returnCredit, type Spent } from "./credits.ts";

/** Of two minutes at 30 a minute. */
const MAX_KEPT = 64;
/** Whoever breaks off answer after answer is owed no more at a time. */
const MAX_RESENDS = 64;
/** Long enough for a client to notice, and to send its call again. */
const RESEND_WITHIN_MS = 300_000;

export function rememberPaidCall(credits: Credits, call: PaidCall): void {
  credits.paidCalls = [...credits.paidCalls.slice(-(MAX_KEPT - 1)), call];
  credits.version++;
}

/** The ticket of what an attempt was paid with; null when nothing was. */
export function ticketOf({ paidCalls }: Credits, attempt: number): number | null {
  return paidCalls.find((call) => call.attempt === attempt)?.ticket ?? null;
}

/** Gives back what a call was paid with: the origin did not get it. At most once. */
export function refundPaidCall(credits: Credits, ticket: number, now: number): void {
  const call = takePaidCall(credits, ticket, now);
  if (call) returnCredit(credits, call.spent, call.tag, now);
}

/** The answer to this call did not arrive whole: it may be sent again once. A call that was such a re-send may not. */
export function oweResend(credits: Credits, ticket: number, now: number): void {
  const call = takePaidCall(credits, ticket, now);
  if (!call || call.tag === 0 || call.spent.some(isResend)) return;
  forgetOver(credits, now);
  if ([...credits.open.values()].filter(isResend).length >= MAX_RESENDS) return;
  const units = call.spent.reduce((sum, spent) => sum + spent.units, 0);
  const [{ id, isPaid, isForHolder }] = call.spent as [Spent[number]];
  credits.open.set(`resend ${ticket}`, {
    left: units,
    expiresAt: now + RESEND_WITHIN_MS,
    keptFor: call.tag,
    keptUnits: 0,
    keptUntil: 0,
    isPaid,
    isForHolder,
    resendOf: id,
  });
}

function isResend({ resendOf }: Pick<Credit, "resendOf">): boolean {
  return resendOf !== undefined;
}

function takePaidCall(credits: Credits, ticket: number, now: number): PaidCall | undefined {
  const call = credits.paidCalls.find((each) => each.ticket === ticket && each.at + PAID_CALL_KEPT_MS > now);
  if (!call) return undefined;
  credits.paidCalls = credits.paidCalls.filter((each) => each !== call);
  credits.version++;
  return call;
}
