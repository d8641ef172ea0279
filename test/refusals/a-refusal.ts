/** Refusals for tests: any that the gate can have to say. */

import * as fc from "fast-check";
import type { L402Challenge } from "../../src/challenges/l402.ts";
import type { PowChallenge } from "../../src/challenges/proof-of-work.ts";
import type { Limit } from "../../src/limits/limit.ts";
import type { Message } from "../../src/mcp/message.ts";
import type { Asked } from "../../src/refusals/answer.ts";
import type { Refusal } from "../../src/refusals/refusal.ts";

export const NOW = Date.UTC(2026, 10, 21, 12);
export const REQUEST_ID = "0b0f6a52-3f0c-4c3e-9d3c-3f3b7a1c0d5e";

export const RATE: Limit = { kind: "rate", slot: "rate", name: "free", burst: 30, perMinute: 30, mode: "enforce" };
export const DAILY: Limit = { kind: "quota", slot: "quota:day", name: "daily", calls: 500, per: "day", mode: "enforce" };
export const HANDSHAKE: Limit = { kind: "rate", slot: "handshake", name: "handshake", burst: 60, perMinute: 60, mode: "enforce" };

const VERIFY = "https://gate.example/turnpike/verify";
export const L402: L402Challenge = {
  type: "l402",
  macaroon: "AgEE",
  invoice: "lnbc300n1x",
  priceSats: 30,
  calls: 10,
  expiresAt: "2026-11-21T12:15:00Z",
  verify: VERIFY,
};
export const POW: PowChallenge = {
  type: "pow",
  algorithm: "SHA-256",
  id: "an-id",
  salt: "c2FsdA",
  difficulty: 8,
  expiresAt: "2026-11-21T12:05:00Z",
  signature: "a-signature",
  verify: VERIFY,
};

export function aRefusal(changes: Partial<Refusal> = {}): Refusal {
  const retryAfterMs = changes.retryAfterMs ?? 11_200;
  return {
    cause: "rate",
    lane: "work",
    plan: "free",
    violated: [RATE],
    retryAfterMs,
    passesAt: NOW + retryAfterMs,
    isEstimated: false,
    meters: [{ limit: RATE, meter: { remaining: 0, resetMs: retryAfterMs } }],
    requestId: REQUEST_ID,
    ...changes,
  };
}

export function askedWith(messages: readonly Message[], changes: Partial<Asked> = {}): Asked {
  return { messages, isBatch: false, accept: "application/json, text/event-stream", ...changes };
}

export function toolCall(id: string | number): Message {
  return { kind: "request", id, method: "tools/call", params: { name: "echo" } };
}

/** What two of the causes need to be said. */
export const LOOP_AND_ORIGIN = {
  loop: { kind: "identical", calls: 3, windowMs: 1_000 },
  origin: { why: "closed", answer: { status: 429, body: "slow down" } },
} as const;

const name = fc.stringMatching(/^[A-Za-z0-9_.-]{1,40}$/);
const mode = fc.constantFrom("enforce" as const, "observe" as const);
const positive = fc.integer({ min: 1, max: 10_000_000 });

export const anyLimit: fc.Arbitrary<Limit> = fc.oneof(
  fc.record({ kind: fc.constant("rate" as const), slot: name, name, burst: positive, perMinute: positive, mode }),
  fc.record({
    kind: fc.constant("quota" as const),
    slot: name,
    name,
    calls: positive,
    per: fc.oneof(fc.constantFrom("day" as const, "month" as const), fc.integer({ min: 1_000, max: 31 * 86_400_000 })),
    mode,
  }),
);

export const anyMetered = fc
  .record({ limit: anyLimit, used: fc.double({ min: 0, max: 1, noNaN: true }), resetMs: fc.integer({ min: 0, max: 40 * 86_400_000 }) })
  .map(({ limit, used, resetMs }) => {
    const most = limit.kind === "rate" ? limit.burst : limit.calls;
    return { limit, meter: { remaining: Math.floor(most * used), resetMs } };
  });
