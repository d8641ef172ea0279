/** What can be wrong with a payment that is handed in, or an invoice that is asked for: as endpoints/problems.ts. */

import { type ProblemOfKind, problemOfKind } from "../endpoints/problems.ts";

const KINDS = {
  "altered-macaroon": {
    status: 400,
    title: "Altered macaroon",
    detail: "This is no macaroon of this gate, as it was given. Send the challenge's macaroon unchanged.",
  },
  "restricted-macaroon": {
    status: 403,
    title: "Macaroon of no use here",
    detail:
      "The macaroon has been given restrictions that leave nothing to be had here, or is for another Lightning network. Send that of a challenge of this gate, as it is.",
  },
  "wrong-preimage": {
    status: 400,
    title: "Wrong preimage",
    detail: "The preimage does not belong to the macaroon's invoice. Send the one that paying this very invoice has shown.",
  },
  "expired-payment": {
    status: 410,
    title: "Payment handed in too late",
    detail: "The payment can no longer be handed in: that ends a day after its invoice does.",
  },
  "spent-payment": {
    status: 409,
    title: "Payment used up",
    detail: "This payment has been handed in before, and its calls are used up. Get a fresh challenge.",
  },
  "payment-unavailable": {
    status: 503,
    title: "Payment not possible",
    detail: "Nothing can be paid at the moment. Try again later, or solve a proof of work where one is offered.",
  },
} as const satisfies Record<string, ProblemOfKind>;

export function paymentProblem(kind: keyof typeof KINDS): Response {
  return problemOfKind(kind, KINDS[kind]);
}
