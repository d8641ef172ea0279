/** A wallet at a node of the test's own, for the agent's side. It pays whatever that node can pay, and notes how that went. */

import { PaymentFailedError, type Wallet } from "../../src/client/index.ts";
import { decodeBolt11 } from "./bolt11.ts";
import type { TestNode } from "./selling-gate.ts";

const MSAT_PER_SAT = 1_000;

export class NodeWallet implements Wallet {
  readonly #node: TestNode;
  /** Invoices that were paid. */
  readonly paid: string[] = [];
  /** Why the node did not pay others. */
  readonly failures: string[] = [];

  constructor(node: TestNode) {
    this.#node = node;
  }

  get paidSats(): number {
    return this.paid.reduce((sum, invoice) => sum + decodeBolt11(invoice).amountMsat / MSAT_PER_SAT, 0);
  }

  payInvoice = async (invoice: string): Promise<{ preimage: string }> => {
    try {
      const preimage = await this.#node.pay(invoice);
      this.paid.push(invoice);
      return { preimage };
    } catch (error) {
      const { message } = error as Error;
      this.failures.push(message);
      throw new PaymentFailedError(message);
    }
  };
}
