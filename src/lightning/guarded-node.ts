/**
 * A node behind a circuit, whose invoices are looked at before they are sold: a gate must not take play money for money, nor
 * ask for another amount than it has told. What it knows of the node lives in the isolate: each finds out for itself.
 */

import { type Network, readPrefix } from "./bolt11-prefix.ts";
import { admit, afterFailure, type Circuit, CLOSED_CIRCUIT } from "./circuit.ts";
import type { Created, InvoiceOrder, LightningNode, LookedUp, NodeProblem } from "./node.ts";

type Failed = { readonly ok: false; readonly problem: NodeProblem };

export class GuardedNode implements LightningNode {
  readonly #node: LightningNode;
  readonly #network: Network;
  #circuit: Circuit = CLOSED_CIRCUIT;
  #lastProblem = "";

  /** @param network on which invoices are sold */
  constructor(node: LightningNode, network: Network) {
    this.#node = node;
    this.#network = network;
  }

  createInvoice(order: InvoiceOrder, now: number): Promise<Created> {
    return this.#ask(now, async () => {
      const created = await this.#node.createInvoice(order, now);
      if (!created.ok) return created;
      const problem = this.#problemOf(created.invoice.invoice, order.sats);
      return problem === null ? created : { ok: false, problem: { kind: "wrong-invoice", message: problem } };
    });
  }

  lookupInvoice(paymentHash: string, now: number): Promise<LookedUp> {
    return this.#ask(now, () => this.#node.lookupInvoice(paymentHash, now));
  }

  async #ask<T extends { readonly ok: true }>(now: number, ask: () => Promise<T | Failed>): Promise<T | Failed> {
    const admission = admit(this.#circuit, now);
    if (!admission.ok) {
      const seconds = Math.ceil(admission.retryAfterMs / 1_000);
      return { ok: false, problem: { kind: "away", message: `${this.#lastProblem} (asked again in ${seconds} s)` } };
    }
    this.#circuit = admission.circuit;
    const answer = await ask();
    if (answer.ok) {
      this.#circuit = CLOSED_CIRCUIT;
    } else {
      // By the clock of the question: how long the answer took is known to nobody here.
      this.#circuit = afterFailure(this.#circuit, admission.isProbe, now);
      this.#lastProblem = answer.problem.message;
    }
    return answer;
  }

  #problemOf(invoice: string, sats: number): string | null {
    const prefix = readPrefix(invoice);
    if (!prefix) return "the node's invoice is no BOLT11 invoice: is it a Lightning node?";
    if (prefix.network !== this.#network)
      return `the node's invoices are for the network ${prefix.network}, and the policy sells for ${this.#network}: set the right node, or its network`;
    if (prefix.amountMsat !== sats * 1_000) return `the node's invoice is not over the ${sats} sats that were asked for`;
    return null;
  }
}
