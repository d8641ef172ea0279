/** Why a way past a refusal was closed, for programs to switch on and for people to read. */

export interface Obstacle {
  readonly code: ObstacleCode;
  /** A clause that completes a sentence, such as "the wait of 30 s is longer than the 1 s that were left for it". */
  readonly why: string;
}

export type ObstacleCode =
  /** It is a loop: the same call will not help. */
  | "loop"
  /** It was sent again as often as a call is. */
  | "refused-again"
  /** Waiting: longer than `maxWait`, or for nobody knows how long. */
  | "wait-too-long"
  | "no-time-told"
  /** Proof of work. */
  | "proof-too-hard"
  | "proof-elsewhere"
  | "proof-expired"
  | "proof-aborted"
  | "proof-not-taken"
  | "proof-undelivered"
  /** The invoice, before it is paid. */
  | "bad-invoice"
  | "wrong-amount"
  | "wrong-network"
  | "invoice-expired"
  | "too-expensive"
  | "over-budget"
  /** The payment: it failed and nothing is paid; nobody knows whether it is paid; it was made, and the gate has not taken it; the gate has, and this call was refused still. */
  | "wallet-failed"
  | "payment-unknown"
  | "payment-not-taken"
  | "paid-already";
