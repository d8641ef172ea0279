/** What can be wrong with a request to the gate's own endpoints: each kind has a problem type of its own (RFC 9457), and changes nothing. */

import { NOBODY, problemAnswer } from "../refusals/answer.ts";

const TYPES = "urn:turnpike:problem:";

export interface ProblemOfKind {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
}

const KINDS = {
  "malformed-body": { status: 400, title: "Malformed body", detail: "Send a JSON object, as application/json." },
  "malformed-solution": {
    status: 400,
    title: "Malformed solution",
    detail: "Send {id, salt, nonce, signature} of a proof of work, or {macaroon, preimage} of a payment, each as a string.",
  },
  "body-too-large": { status: 413, title: "Body too large", detail: "A body of this endpoint is some hundred bytes long." },
  "unknown-challenge": {
    status: 400,
    title: "Unknown challenge",
    detail: "The challenge was signed with a key that is no longer in use. Get a fresh one.",
  },
  "altered-challenge": {
    status: 400,
    title: "Altered challenge",
    detail: "id, salt and signature do not belong together. Send all three as the challenge has them.",
  },
  "foreign-challenge": {
    status: 403,
    title: "Challenge of another consumer",
    detail:
      "This challenge was issued to another consumer. Send its solution with the API key or token, or from the address, that it was issued to.",
  },
  "expired-challenge": { status: 410, title: "Challenge expired", detail: "The challenge has expired. Get a fresh one." },
  "wrong-nonce": {
    status: 400,
    title: "Wrong nonce",
    detail: "SHA-256(salt + nonce) does not begin with as many zero bits as the challenge asks for.",
  },
  "spent-challenge": {
    status: 409,
    title: "Challenge already used",
    detail: "This challenge has been handed in before, and counts once. Its calls are on the account as far as they are not used up.",
  },
  "superseded-challenge": {
    status: 410,
    title: "Challenge superseded",
    detail: "Too many other challenges were solved since this one was issued. Get a fresh one.",
  },
  "enough-credits": { status: 409, title: "Enough prepaid calls", detail: "Use up some of the prepaid calls on this account first." },
  "malformed-challenge-request": {
    status: 400,
    title: "Malformed request",
    detail: 'Send {"type": "pow"} or {"type": "l402"}, or nothing for what your plan offers.',
  },
  "not-offered": { status: 404, title: "Not offered", detail: "Your plan offers no such challenge: wait as long as a refusal says." },
  "malformed-request": {
    status: 400,
    title: "Malformed request",
    detail: 'Send {"token": "…"}, and "spend" as a whole number if calls are to be taken.',
  },
} as const satisfies Record<string, ProblemOfKind>;

export type ProblemKind = keyof typeof KINDS;

/** @param detail says more than the kind does */
export function endpointProblem(kind: ProblemKind, detail?: string): Response {
  return problemOfKind(kind, KINDS[kind], detail);
}

export function problemOfKind(kind: string, { status, title, detail: ofKind }: ProblemOfKind, detail = ofKind): Response {
  return problemAnswer(status, detail, { type: TYPES + kind, title, status, detail }, {}, NOBODY);
}
