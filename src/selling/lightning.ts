/**
 * Selling calls over Lightning, as a policy takes it: `lightning: lightning({ kind: "phoenixd", url: "https://…" })`. Everything that
 * is needed for it comes with this module, and a gate whose policy does not import it has none of it in its bundle.
 */

import { readL402Body } from "../challenges/presented-l402.ts";
import type { Shop } from "../passage/shop.ts";
import { handInPayment } from "./hand-in.ts";
import { findLightningProblems, type Lightning, type LightningPolicy, resolveLightning } from "./lightning-policy.ts";
import { makeInvoice } from "./make-invoice.ts";
import { lookAtPayment } from "./redeem.ts";
import { sell } from "./sell.ts";
import { PAYMENT_TEXTS } from "./texts.ts";
import { openTill } from "./till.ts";

export type { Lightning, LightningPolicy } from "./lightning-policy.ts";

/** Names the node that makes the invoices of `offers.l402`. Its credential is the secret LIGHTNING_SECRET. */
export function lightning(policy: LightningPolicy): Lightning {
  const terms = resolveLightning(policy);
  return {
    policy,
    terms,
    findProblems: () => findLightningProblems(policy),
    openShop(): Shop {
      const till = openTill(terms);
      return {
        sell: sell.bind(null, till),
        look: lookAtPayment.bind(null, till),
        makeChallenge: makeInvoice.bind(null, till),
        readPayment: readL402Body,
        handIn: handInPayment.bind(null, till),
        texts: PAYMENT_TEXTS,
      };
    },
  };
}
