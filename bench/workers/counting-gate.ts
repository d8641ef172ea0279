/** The same gate with an object that counts the rows it writes, and a path that tells. */

import { createGateway, Consumer as RealConsumer, type GateEnv } from "../../src/index.ts";
import policy from "./policy.ts";

export { OriginQuota } from "../../src/index.ts";

export class Consumer extends RealConsumer {
  #rows = 0;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env);
    const { storage } = ctx;
    const put = storage.kv.put.bind(storage.kv);
    const setAlarm = storage.setAlarm.bind(storage);
    // One row each, as Cloudflare bills them.
    storage.kv.put = (key, value) => {
      this.#rows++;
      put(key, value);
    };
    storage.setAlarm = (...args) => {
      this.#rows++;
      return setAlarm(...args);
    };
  }

  rowsWritten(): number {
    return this.#rows;
  }
}

const gateway = createGateway(policy);

export default {
  async fetch(request: Request, env: GateEnv, ctx: ExecutionContext): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== "/bench/rows") return gateway.fetch(request, env, ctx);
    const consumers = env.CONSUMERS as unknown as DurableObjectNamespace<Consumer>;
    return Response.json(await consumers.getByName(searchParams.get("consumer") ?? "").rowsWritten());
  },
};
