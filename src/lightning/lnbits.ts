/**
 * A wallet of LNbits by its API (`/api/v1/payments`, https://docs.lnbits.com). The invoice key suffices: it can make invoices
 * and read the wallet, and not spend.
 */

import { isRecord } from "../mcp/message.ts";
import { askNode, type NodeAddress, unexpected } from "./ask-node.ts";
import type { LightningNode } from "./node.ts";
import { isPaymentHash } from "./payment-hash.ts";

export function connectLnbits(url: string, invoiceKey: string): LightningNode {
  const node: NodeAddress = {
    name: "LNbits",
    url,
    credential: { "X-Api-Key": invoiceKey },
    credentialIs: "the wallet's invoice key",
  };
  return {
    async createInvoice({ sats, memo, expirySeconds }, now) {
      const json = { out: false, unit: "sat", amount: sats, memo, expiry: expirySeconds };
      const answer = await askNode(node, { path: "/api/v1/payments", json });
      if (!answer.ok) return answer;
      // Named `payment_request` before LNbits 1.0.
      const { payment_hash: paymentHash, bolt11, payment_request: invoice = bolt11 } = answer.body;
      if (typeof invoice !== "string" || !isPaymentHash(paymentHash)) return unexpected(node, answer.status, "an invoice");
      return { ok: true, invoice: { invoice, paymentHash, expiresAt: now + expirySeconds * 1_000 } };
    },

    async lookupInvoice(paymentHash, now) {
      const answer = await askNode(node, { path: `/api/v1/payments/${paymentHash}` });
      if (!answer.ok) return answer;
      const { paid, status, details, detail } = answer.body;
      if (answer.status === 404 && detail !== undefined) return { ok: true, state: "unknown" };
      if (answer.status !== 200 || typeof paid !== "boolean") return unexpected(node, answer.status, "the state of a payment");
      // `paid` is what its database says, `status` what its node has just said: the first answer after a payment has them differ.
      if (paid || status === "success") return { ok: true, state: "settled" };
      const expiresAt = isRecord(details) ? timeOf(details["expiry"]) : null;
      return { ok: true, state: status === "failed" || (expiresAt !== null && expiresAt <= now) ? "expired" : "open" };
    },
  };
}

/** Epoch milliseconds of a time that older versions give in seconds, newer ones in ISO 8601. */
function timeOf(time: unknown): number | null {
  const ms = typeof time === "number" ? time * 1_000 : typeof time === "string" ? Date.parse(time) : Number.NaN;
  return Number.isNaN(ms) ? null : ms;
}
