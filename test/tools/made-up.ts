/** Tools and actions for tests: as plain as they can be, and they remember what they were called with. */

import type { Proof } from "../../src/challenges/proof-input.ts";
import type { Challenge, ChallengeType, ConsumerStatus, GateActions, Verified } from "../../src/tools/definitions.ts";
import type { GateTool } from "../../src/tools/tool.ts";

export const CHALLENGE: Challenge = {
  type: "pow",
  algorithm: "SHA-256",
  id: "an-id",
  salt: "c2FsdA",
  difficulty: 8,
  expiresAt: "2026-11-25T12:05:00Z",
  signature: "a-signature",
};
export const INVOICE: Challenge = {
  type: "l402",
  macaroon: "AgEE",
  invoice: "lnbc300n1x",
  priceSats: 30,
  calls: 10,
  expiresAt: "2026-11-25T12:15:00Z",
};
export const VERIFIED: Verified = { token: "tpp.a.pass", calls: 10, expiresAt: "2026-11-25T12:05:00Z" };
export const STATUS: ConsumerStatus = {
  plan: "free",
  limits: [
    { name: "free", quota: 30, windowSeconds: 60, remaining: 0, resetSeconds: 2 },
    { name: "day", quota: 1_000, windowSeconds: 86_400, remaining: 812, resetSeconds: 0 },
  ],
  credits: 7,
};

export interface MadeUpActions extends GateActions {
  /** What `verify` was called with. */
  readonly proofs: Proof[];
  /** What `challenge` was asked for. */
  readonly types: (ChallengeType | null)[];
}

export function madeUpActions(changes: Partial<GateActions> = {}): MadeUpActions {
  const proofs: Proof[] = [];
  const types: (ChallengeType | null)[] = [];
  return {
    proofs,
    types,
    payments: null,
    challenge(type) {
      types.push(type);
      return Promise.resolve({ ok: true, value: type === "l402" ? INVOICE : CHALLENGE });
    },
    verify(proof) {
      proofs.push(proof);
      return Promise.resolve({ ok: true, value: VERIFIED });
    },
    status: () => Promise.resolve({ ok: true, value: STATUS }),
    ...changes,
  };
}

export function textTool(name: string, text: string, inputSchema: object = { type: "object", properties: {} }): GateTool {
  return { name, description: `For tests: ${name}.`, inputSchema, call: () => Promise.resolve({ kind: "answer", text }) };
}
