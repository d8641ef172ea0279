/** A Lightning node of nobody's that speaks as phoenixd does, and somebody who pays its invoices. */

export const NODE_URL = "https://node.example";

interface MadeInvoice {
  readonly invoice: string;
  readonly paymentHash: string;
  readonly preimage: string;
  isPaid: boolean;
}

/** What it has made, and whether it answers. */
export const node: { made: MadeInvoice[]; isAway: boolean } = { made: [], isAway: false };

export function resetNode(): void {
  node.made = [];
  node.isAway = false;
}

export async function answerAsNode(request: Request): Promise<Response> {
  if (node.isAway) throw new TypeError("connection refused");
  if (request.method === "GET") {
    const made = node.made.find(({ paymentHash }) => request.url.endsWith(paymentHash));
    return Response.json({ isPaid: made?.isPaid, isExpired: false });
  }
  const sats = Number((await request.formData()).get("amountSat"));
  const preimage = crypto.getRandomValues(new Uint8Array(32));
  const paymentHash = hexOf(new Uint8Array(await crypto.subtle.digest("SHA-256", preimage)));
  // Of the data, which a node signs, nothing is looked at before it is sold.
  const invoice = `lnbc${sats * 10}n1${"q".repeat(110 + node.made.length)}`;
  node.made.push({ invoice, paymentHash, preimage: hexOf(preimage), isPaid: false });
  return Response.json({ serialized: invoice, paymentHash });
}

/** @returns the preimage, which the payer learns */
export function pay(invoice: string): string {
  const made = node.made.find((one) => one.invoice === invoice);
  if (!made) throw new Error("there is no such invoice");
  made.isPaid = true;
  return made.preimage;
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
