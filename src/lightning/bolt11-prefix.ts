/**
 * The part of a BOLT11 invoice that stands in it as text: the network and the amount. All that the gate looks at before it
 * sells one, for what a node has signed is the node's word.
 */

/** As BOLT11 abbreviates them. `bcrt`: regtest, where money is play money. */
export const NETWORKS = ["bc", "tb", "tbs", "bcrt"] as const;
export type Network = (typeof NETWORKS)[number];

export interface InvoicePrefix {
  readonly network: Network;
  /** Millisatoshis; null where the payer may choose, or where it is a fraction of one. */
  readonly amountMsat: number | null;
}

/** The separator is the last 1: no character of the data is one. */
const INVOICE = /^ln(bcrt|bc|tbs|tb)(?:(\d{1,18})([munp]?))?1[02-9ac-hj-np-z]{110,}$/;
/** Invoices of some thousand characters exist; nothing longer fits beside a macaroon in a header. */
const MAX_LENGTH = 4_096;
const MSAT_PER_BTC = 100_000_000_000;
/** How many of each make one bitcoin. */
const PARTS = { "": 1, m: 1e3, u: 1e6, n: 1e9, p: 1e12 } as const;

/** @returns null when it is no BOLT11 invoice, or one of a network that BOLT11 does not name */
export function readPrefix(invoice: string): InvoicePrefix | null {
  const [, network, digits, multiplier = ""] = (invoice.length <= MAX_LENGTH && INVOICE.exec(invoice)) || [];
  if (network === undefined) return null;
  const amountMsat = digits === undefined ? null : (Number(digits) * MSAT_PER_BTC) / PARTS[multiplier as keyof typeof PARTS];
  return { network: network as Network, amountMsat: amountMsat !== null && Number.isSafeInteger(amountMsat) ? amountMsat : null };
}
