/**
 * What the gate asks of a Lightning node: an invoice, and later perhaps whether it has been paid. Each backend says it in its
 * node's own API. The preimage of an invoice is what proves a payment, and the gate never asks a node for it: it learns it
 * from the payer, and compares hashes.
 */

export interface InvoiceOrder {
  /** Whole satoshis, 1 or more. */
  readonly sats: number;
  /** What the payer's wallet shows. Nodes take 128 characters or more. */
  readonly memo: string;
  readonly expirySeconds: number;
}

export interface Invoice {
  /** BOLT11. */
  readonly invoice: string;
  /** SHA-256 of the preimage: 64 hexadecimal digits, in lower case. */
  readonly paymentHash: string;
  /** Epoch milliseconds, reckoned from when the node was asked: where both clocks agree, never later than the invoice's own end. */
  readonly expiresAt: number;
}

/** `open`: it may still be paid. `expired`: it cannot be paid any more, and was not. `unknown`: the node has no such invoice. */
export type InvoiceState = "open" | "settled" | "expired" | "unknown";

export interface NodeProblem {
  readonly kind:
    /** No connection, or it broke. */
    | "unreachable"
    /** No whole answer in time. */
    | "timeout"
    /** The node did not take the credential. */
    | "unauthorized"
    /** The node answered, and not with what was asked for. */
    | "unexpected"
    /** An invoice that is not to be sold: of another network, or over another amount. */
    | "wrong-invoice"
    /** Not asked, because it failed just before: see circuit.ts. */
    | "away";
  /** For the operator's log: which node, what happened, what to do. Never a credential. */
  readonly message: string;
}

export type Created = { readonly ok: true; readonly invoice: Invoice } | { readonly ok: false; readonly problem: NodeProblem };
export type LookedUp = { readonly ok: true; readonly state: InvoiceState } | { readonly ok: false; readonly problem: NodeProblem };

export interface LightningNode {
  /** @param now epoch milliseconds */
  createInvoice(order: InvoiceOrder, now: number): Promise<Created>;
  /**
   * @param paymentHash 64 hexadecimal digits
   * @param now epoch milliseconds
   */
  lookupInvoice(paymentHash: string, now: number): Promise<LookedUp>;
}
