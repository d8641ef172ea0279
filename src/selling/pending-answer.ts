/** To a payment that is good and cannot count yet: it is not to be lost, nor asked for again. */

import { type Asked, plainProblem, problemAnswer } from "../refusals/answer.ts";
import { EDGE_CAPACITY, UNAVAILABLE_RETRY_S } from "../refusals/gate-errors.ts";

const PENDING = {
  unavailable: "Your payment is good, and cannot be put on its account at the moment.",
  unsettled: "The Lightning node does not say yet that your payment has arrived.",
} as const;

export type Pending = keyof typeof PENDING;

export function pendingAnswer(why: Pending, asked: Asked): Response {
  const detail = `${PENDING[why]} Nothing is lost: send the same again in a few seconds, and do not pay again.`;
  const headers = { "Retry-After": String(UNAVAILABLE_RETRY_S) };
  return problemAnswer(503, detail, plainProblem(503, "Payment pending", detail, EDGE_CAPACITY), headers, asked);
}
