/**
 * phoenixd by its API (https://phoenix.acinq.co/server/api). Its limited-access password suffices: it can make invoices and read
 * them, and not spend. The embedded node of `turnpike start` speaks the same.
 */

import { encodeBase64 } from "../challenges/base64.ts";
import { askNode, type NodeAddress, unexpected } from "./ask-node.ts";
import type { LightningNode } from "./node.ts";
import { isPaymentHash } from "./payment-hash.ts";

const MAX_DESCRIPTION_LENGTH = 128;
const encoder = new TextEncoder();

export function connectPhoenixd(url: string, password: string): LightningNode {
  const node: NodeAddress = {
    name: "phoenixd",
    url,
    // The user has no name.
    credential: { Authorization: `Basic ${encodeBase64(encoder.encode(`:${password}`))}` },
    credentialIs: "http-password-limited-access of its phoenix.conf",
  };
  return {
    async createInvoice({ sats, memo, expirySeconds }, now) {
      const form = {
        description: memo.slice(0, MAX_DESCRIPTION_LENGTH),
        amountSat: String(sats),
        expirySeconds: String(expirySeconds),
      };
      const answer = await askNode(node, { path: "/createinvoice", form });
      if (!answer.ok) return answer;
      const { serialized: invoice, paymentHash } = answer.body;
      if (typeof invoice !== "string" || !isPaymentHash(paymentHash)) return unexpected(node, answer.status, "an invoice");
      return { ok: true, invoice: { invoice, paymentHash, expiresAt: now + expirySeconds * 1_000 } };
    },

    async lookupInvoice(paymentHash) {
      const answer = await askNode(node, { path: `/payments/incoming/${paymentHash}` });
      if (!answer.ok) return answer;
      if (answer.status === 404) return { ok: true, state: "unknown" };
      const { isPaid, isExpired } = answer.body;
      if (answer.status !== 200 || typeof isPaid !== "boolean") return unexpected(node, answer.status, "the state of a payment");
      return { ok: true, state: isPaid ? "settled" : isExpired === true ? "expired" : "open" };
    },
  };
}
