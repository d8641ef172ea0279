/**
 * The gate as a library, for those who have a Worker already: `createGateway(policy)` is the Worker's default export, and the
 * object classes must be exported beside it under the names that wrangler.toml binds.
 */

import { type GateEnv, openGate } from "./gate.ts";
import type { Policy } from "./define-policy.ts";
import { createRouter } from "./router.ts";

export { Consumer } from "../durable-objects/consumer.ts";
export { OriginQuota } from "../durable-objects/origin-quota.ts";
export type { ConsumerInfo, JwtIssuer, LoopPolicy, Policy, RepeatPolicy } from "./define-policy.ts";
export { definePolicy, PolicyError } from "./define-policy.ts";
export type { GateEnv } from "./gate.ts";
export type { CostFunction, Named } from "./limits/named.ts";
export type { Plan } from "./limits/plan.ts";
export type { OriginQuotaPolicy } from "./origin/quota-policy.ts";

/**
 * Makes a policy into a Worker.
 * @throws PolicyError with everything that is wrong with the policy
 */
export function createGateway(policy: Policy): { fetch(request: Request, env: GateEnv, ctx: ExecutionContext): Promise<Response> } {
  const gate = openGate(policy);
  return { fetch: createRouter(gate) };
}
