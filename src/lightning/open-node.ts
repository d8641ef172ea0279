/** The node that a policy names, ready to be asked. Opened once for a gate: what is known of the node lives in it. */

import type { Network } from "./bolt11-prefix.ts";
import { GuardedNode } from "./guarded-node.ts";
import { connectLnbits } from "./lnbits.ts";
import { connectLnd } from "./lnd.ts";
import type { LightningNode } from "./node.ts";
import { connectPhoenixd } from "./phoenixd.ts";

export interface NodeConfig {
  readonly kind: "lnd" | "lnbits" | "phoenixd";
  /** The base of its API, `https://…`. */
  readonly url: string;
  /** Whose invoices are sold: Bitcoin's own when it is left out. */
  readonly network?: Network;
}

/** The policy's node for a gate, whose secret only a request's environment knows: opened with the first, and anew with another. */
export class ConfiguredNode {
  readonly #config: NodeConfig;
  #opened: { readonly secret: string; readonly node: LightningNode } | null = null;

  constructor(config: NodeConfig) {
    this.#config = config;
  }

  with(secret: string): LightningNode {
    if (this.#opened?.secret !== secret) this.#opened = { secret, node: openNode(this.#config, secret) };
    return this.#opened.node;
  }
}

/** @param secret LND: an invoice macaroon in hexadecimal; LNbits: the invoice key; phoenixd: the limited-access password */
export function openNode({ kind, url, network = "bc" }: NodeConfig, secret: string): LightningNode {
  return new GuardedNode(connect(kind, url, secret.trim()), network);
}

function connect(kind: NodeConfig["kind"], url: string, secret: string): LightningNode {
  switch (kind) {
    case "lnd":
      return connectLnd(url, secret);
    case "lnbits":
      return connectLnbits(url, secret);
    case "phoenixd":
      return connectPhoenixd(url, secret);
  }
}
