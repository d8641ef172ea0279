/** All that a purchase needs: a node, an origin, a gate on a policy that sells, and consumers of its plans. */

import type { L402Challenge } from "../../src/challenges/l402.ts";
import { makeKey } from "./admin.ts";
import type { RunningGate } from "./gate.ts";
import { type Origin, startOrigin } from "./origin.ts";
import { type Client, clientOf, invoiceIn, l402Header, startSellingGate, startTestNode, type TestNode } from "./selling-gate.ts";

export interface Bought {
  readonly challenge: L402Challenge;
  readonly preimage: string;
  /** What shows it. */
  readonly shown: { readonly Authorization: string };
}

export interface Shop<Plan extends string> {
  readonly node: TestNode;
  readonly origin: Origin;
  readonly gate: RunningGate;
  makeClient(plan: Plan): Promise<Client>;
  pay(challenge: L402Challenge): Promise<Bought>;
  /** A consumer whose plan is empty, and that has paid for more. */
  makeBuyer(plan: Plan): Promise<Bought & { readonly client: Client }>;
  stop(): Promise<void>;
}

export async function openShop<Plan extends string>(policy: { readonly plans: Readonly<Record<Plan, object>> }): Promise<Shop<Plan>> {
  const [node, origin] = await Promise.all([startTestNode(), startOrigin()]);
  const gate = await startSellingGate(node, policy, { origin: origin.url });
  const makeClient = async (plan: Plan): Promise<Client> => clientOf(gate, { "X-API-Key": (await makeKey(gate, plan)).key });
  const pay = async (challenge: L402Challenge): Promise<Bought> => {
    const preimage = await node.pay(challenge.invoice);
    return { challenge, preimage, shown: { Authorization: l402Header(challenge, preimage) } };
  };
  return {
    node,
    origin,
    gate,
    makeClient,
    pay,
    async makeBuyer(plan) {
      const client = await makeClient(plan);
      return { client, ...(await pay(invoiceIn(await client.empty()))) };
    },
    async stop() {
      await gate.stop();
      await Promise.all([node.stop(), origin.stop()]);
    },
  };
}
