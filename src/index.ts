/**
 * The gate as a library, for those who have a Worker already: `createGateway(policy)` is the Worker's default export, and the
 * object class must be exported beside it under the name that wrangler.toml binds.
 */

import { type GateEnv, openGate } from "./gate.ts";
import type { Policy } from "./define-policy.ts";
import { createRouter } from "./router.ts";

export { Consumer } from "../durable-objects/consumer.ts";
export type { ConsumerInfo, JwtIssuer, Policy, RepeatPolicy } from "./define-policy.ts";
export { definePolicy, PolicyError } from "./define-policy.ts";
export type { GateEnv } from "./gate.ts";
export type { Plan } from "./limits/plan.ts";

/**
 * Makes a policy into a Worker.
 * @throws PolicyError with everything that is wrong with the policy
 */
export function createGateway(policy: Policy): { fetch(request: Request, env: GateEnv, ctx: ExecutionContext): Promise<Response> } {
  const gate = openGate(policy);
  return { fetch: createRouter(gate) };
}
