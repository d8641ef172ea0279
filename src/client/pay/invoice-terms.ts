/**
 * Whether an offer may be paid: its invoice asks for what the gate says it costs, on the right network, in time, and for no more
 * than one call may cost. Decided before the wallet sees it.
 */

import type { L402Challenge } from "../l402-challenge.ts";
import type { Obstacle, ObstacleCode } from "../ways/obstacle.ts";
import { type LightningNetwork, readBolt11 } from "./bolt11.ts";

export interface Terms {
  readonly maxPriceSats: number;
  readonly network: LightningNetwork;
}

export interface PayableOffer {
  readonly ok: true;
  readonly challenge: L402Challenge;
  readonly priceSats: number;
  /** 64 hexadecimal digits. */
  readonly paymentHash: string;
}

export type Appraisal = PayableOffer | { readonly ok: false; readonly obstacle: Obstacle };

/** A payment takes its time to arrive: what expires sooner is not begun. */
const MIN_LEFT_MS = 5_000;
const MSAT_PER_SAT = 1_000n;

/** The cheapest of several offers that may be paid; when none may, what is wrong with the first. */
export function appraiseOffers(challenges: readonly L402Challenge[], terms: Terms, clockOffsetMs: number, now: number): Appraisal | null {
  const appraisals = challenges.map((challenge) => appraise(challenge, terms, clockOffsetMs, now));
  const [cheapest] = appraisals.flatMap((one) => (one.ok ? one : [])).toSorted((a, b) => a.priceSats - b.priceSats);
  return cheapest ?? appraisals[0] ?? null;
}

/**
 * @param clockOffsetMs what must be added to a time in the invoice to have it by the clock of this machine
 * @param now epoch milliseconds
 */
export function appraise(challenge: L402Challenge, { maxPriceSats, network }: Terms, clockOffsetMs: number, now: number): Appraisal {
  const invoice = readBolt11(challenge.invoice);
  if (invoice === null) return closed("bad-invoice", "its Lightning invoice cannot be read");
  if (invoice.network !== network)
    return closed("wrong-network", `its Lightning invoice is for ${invoice.network}, and this client pays on ${network}`);

  const { amountMsat } = invoice;
  if (amountMsat === null) return closed("wrong-amount", "its Lightning invoice names no amount");
  const { priceSats = Number((amountMsat + MSAT_PER_SAT - 1n) / MSAT_PER_SAT) } = challenge;
  if (challenge.priceSats !== undefined && amountMsat !== BigInt(priceSats) * MSAT_PER_SAT) {
    const why = `its Lightning invoice asks for ${Number(amountMsat) / 1_000} sats, and its price is said to be ${priceSats}`;
    return closed("wrong-amount", why);
  }
  const expiresAt = Math.min(
    invoice.expiresAt + clockOffsetMs,
    challenge.expiresAt === undefined ? Infinity : Date.parse(challenge.expiresAt),
  );
  if (expiresAt - MIN_LEFT_MS <= now) return closed("invoice-expired", "its Lightning invoice has expired, or is about to");
  // A cap that is no number lets nothing through.
  if (!(priceSats <= maxPriceSats))
    return closed("too-expensive", `its price of ${priceSats} sats is more than the ${maxPriceSats} that one call may cost`);
  return { ok: true, challenge, priceSats, paymentHash: invoice.paymentHash };
}

function closed(code: ObstacleCode, why: string): Appraisal {
  return { ok: false, obstacle: { code, why } };
}
