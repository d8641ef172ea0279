/**
 * LND by its REST API (`/v1/invoices`, https://lightning.engineering/api-docs/api/lnd). The macaroon needs `invoices:write` and
 * `invoices:read`, which `invoice.macaroon` has; nothing that spends. LND's own certificate is self-signed, which
 * Workers do not accept: it needs a tunnel or a public one.
 */

import { decodeBase64 } from "../challenges/base64.ts";
import { hexOf } from "../hex.ts";
import { askNode, type NodeAddress, type NodeAnswer, unauthorized, unexpected } from "./ask-node.ts";
import type { InvoiceState, LightningNode } from "./node.ts";

const HASH_BYTES = 32;
/** An invoice that is not there: 404 today, and 500 with one of these texts before LND 0.15 (lnd issues 4135 and 5510). */
const NOT_THERE = /unable to locate invoice|there are no existing invoices/;
/** A macaroon that is unknown, altered or not good for this is an error like all others, and tells itself apart in words only. */
const TURNED_AWAY = /macaroon|verification failed|permission denied/;
/** `ACCEPTED` is a hold invoice whose money is on its way. */
const STATES: Readonly<Record<string, InvoiceState>> = { OPEN: "open", ACCEPTED: "open", SETTLED: "settled", CANCELED: "expired" };

/** @param macaroon hexadecimal */
export function connectLnd(url: string, macaroon: string): LightningNode {
  const node: NodeAddress = {
    name: "LND",
    url,
    credential: { "Grpc-Metadata-macaroon": macaroon },
    credentialIs: "the node's invoice.macaroon, in hexadecimal",
  };
  return {
    async createInvoice({ sats, memo, expirySeconds }, now) {
      // 64-bit numbers are strings in the JSON of protocol buffers.
      const json = { value: String(sats), memo, expiry: String(expirySeconds) };
      const answer = await askNode(node, { path: "/v1/invoices", json });
      if (!answer.ok) return answer;
      if (isTurnedAway(answer)) return unauthorized(node, answer.status);
      const { payment_request: invoice, r_hash: hash } = answer.body;
      const bytes = typeof hash === "string" ? decodeBase64(hash, HASH_BYTES) : null;
      if (typeof invoice !== "string" || bytes?.length !== HASH_BYTES) return unexpected(node, answer.status, "an invoice");
      return { ok: true, invoice: { invoice, paymentHash: hexOf(bytes), expiresAt: now + expirySeconds * 1_000 } };
    },

    async lookupInvoice(paymentHash) {
      const answer = await askNode(node, { path: `/v1/invoice/${paymentHash}` });
      if (!answer.ok) return answer;
      if (isTurnedAway(answer)) return unauthorized(node, answer.status);
      const { state, message, code } = answer.body;
      if (code !== undefined && (answer.status === 404 || NOT_THERE.test(String(message)))) return { ok: true, state: "unknown" };
      const known = answer.status === 200 && typeof state === "string" ? STATES[state] : undefined;
      return known ? { ok: true, state: known } : unexpected(node, answer.status, "the state of an invoice");
    },
  };
}

function isTurnedAway({ status, body }: NodeAnswer & { readonly ok: true }): boolean {
  return status >= 400 && typeof body["message"] === "string" && TURNED_AWAY.test(body["message"]);
}
