/** Credits as they are stored in the account's row: tuples, exact, always. */

import type { Solves } from "../challenges/difficulty.ts";
import { type Credit, type Credits, forgetOver, type PaidCall, type Spent } from "./credits.ts";

/** id, left, expiresAt, keptFor, keptUnits, keptUntil; then `Flag`s, and what it is a re-send of, where there is something to say */
type StoredCredit = readonly [string, number, number, number, number, number, number?, string?];
/** attempt, ticket, at, tag; then id, units, expiresAt, flags and `resendOf` (empty for none) of each credit */
type StoredPaidCall = readonly (string | number)[];

const Flag = { isPaid: 1, isForHolder: 2 } as const;

export interface StoredCredits {
  readonly open: readonly StoredCredit[];
  readonly redeemed: readonly (readonly [string, number])[];
  /** Absent in rows from before it was kept. */
  readonly forgottenUntil?: number;
  /** burst, perMinute */
  readonly rate?: readonly [number, number];
  readonly solves: Solves;
  readonly paidCalls?: readonly StoredPaidCall[];
}

/** Undefined when there is nothing to remember. */
export function storeCredits(credits: Credits, now: number): StoredCredits | undefined {
  forgetOver(credits, now);
  const { open, redeemed, forgottenUntil, rate, solves, paidCalls } = credits;
  if (open.size === 0 && redeemed.size === 0 && solves.count === 0 && forgottenUntil === 0 && paidCalls.length === 0) return undefined;
  return {
    open: [...open].map(([id, credit]) => storeCredit(id, credit)),
    redeemed: [...redeemed],
    forgottenUntil,
    ...(rate ? { rate: [rate.burst, rate.perMinute] as const } : {}),
    solves,
    ...(paidCalls.length > 0 ? { paidCalls: paidCalls.map(storePaidCall) } : {}),
  };
}

export function restoreCredits(credits: Credits, stored: StoredCredits): void {
  for (const [id, left, expiresAt, keptFor, keptUnits, keptUntil, flags = 0, resendOf] of stored.open) {
    credits.open.set(id, { left, expiresAt, keptFor, keptUnits, keptUntil, ...readFlags(flags), ...(resendOf ? { resendOf } : {}) });
  }
  for (const [id, until] of stored.redeemed) credits.redeemed.set(id, until);
  credits.forgottenUntil = stored.forgottenUntil ?? 0;
  credits.rate = stored.rate ? { burst: stored.rate[0], perMinute: stored.rate[1] } : null;
  credits.solves = stored.solves;
  credits.paidCalls = (stored.paidCalls ?? []).map(restorePaidCall);
}

function storeCredit(id: string, credit: Credit): StoredCredit {
  const { left, expiresAt, keptFor, keptUnits, keptUntil, resendOf } = credit;
  const base = [id, left, expiresAt, keptFor, keptUnits, keptUntil] as const;
  if (resendOf !== undefined) return [...base, writeFlags(credit), resendOf];
  return credit.isPaid ? [...base, writeFlags(credit)] : base;
}

function storePaidCall({ attempt, ticket, at, tag, spent }: PaidCall): StoredPaidCall {
  const credits = spent.flatMap((each) => [each.id, each.units, each.expiresAt, writeFlags(each), each.resendOf ?? ""]);
  return [attempt, ticket, at, tag, ...credits];
}

function restorePaidCall([attempt, ticket, at, tag, ...credits]: StoredPaidCall): PaidCall {
  const spent: Spent[number][] = [];
  for (let i = 0; i < credits.length; i += 5) {
    const [id, units, expiresAt, flags, resendOf] = credits.slice(i, i + 5) as [string, number, number, number, string];
    spent.push({ id, units, expiresAt, ...readFlags(flags), ...(resendOf === "" ? {} : { resendOf }) });
  }
  return { attempt: Number(attempt), ticket: Number(ticket), at: Number(at), tag: Number(tag), spent };
}

function writeFlags({ isPaid, isForHolder }: Pick<Credit, "isPaid" | "isForHolder">): number {
  return (isPaid ? Flag.isPaid : 0) | (isForHolder ? Flag.isForHolder : 0);
}

function readFlags(flags: number): Pick<Credit, "isPaid" | "isForHolder"> {
  return { isPaid: (flags & Flag.isPaid) !== 0, isForHolder: (flags & Flag.isForHolder) !== 0 };
}
