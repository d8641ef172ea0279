/**
 * What an isolate keeps of sales: the node, the invoices that it has offered a moment ago, and the payments that it has seen
 * redeemed. All of it may be lost; the consumer's object knows.
 */

import type { Sale } from "../../durable-objects/sales.ts";
import { BoundedCache } from "../bounded-cache.ts";
import type { Paid } from "../challenges/l402.ts";
import { ConfiguredNode } from "../lightning/open-node.ts";
import type { LightningTerms } from "./lightning-policy.ts";

/** Consumers of a flood, some kilobytes each. */
const MAX_SHELVES = 1_000;
/** Some kilobyte each. */
const MAX_CREDENTIALS = 2_000;

export interface Till {
  readonly terms: LightningTerms;
  readonly node: ConfiguredNode;
  /** By consumer and order. */
  readonly shelves: BoundedCache<Shelf>;
  /** Payments that are on their accounts, by the credential's own text: checked once, and redeemed once. */
  readonly redeemed: BoundedCache<Paid>;
}

/** The invoices that were offered to one consumer lately. */
export interface Shelf {
  readonly sales: Sale[];
  /** Being asked for. */
  asking: number;
  next: number;
}

export function openTill(terms: LightningTerms): Till {
  return {
    terms,
    node: new ConfiguredNode(terms.node),
    shelves: new BoundedCache(MAX_SHELVES),
    redeemed: new BoundedCache(MAX_CREDENTIALS),
  };
}
