/**
 * The floor: what any gate pays that asks one object per call. It reads and parses, makes one RPC to an object that keeps
 * a number in memory, and sends on. It knows no keys, no limits and no headers of its own.
 */

import { DurableObject } from "cloudflare:workers";

interface Env {
  readonly ORIGIN: string;
  readonly CONSUMERS: DurableObjectNamespace<Consumer>;
}

export class Consumer extends DurableObject {
  #taken = 0;

  take(cost: number): number {
    this.#taken += cost;
    return this.#taken;
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const text = await request.text();
    JSON.parse(text);
    const taken = await env.CONSUMERS.getByName("one").take(1);
    if (taken < 0) return new Response(null, { status: 429 });
    return fetch(env.ORIGIN, { method: "POST", headers: request.headers, body: text });
  },
};
