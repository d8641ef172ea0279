/** The Worker: the policy of policy.ts, made into a gate. */

import { createGateway } from "./index.ts";
import policy from "./policy.ts";

export { Consumer } from "../durable-objects/consumer.ts";
export { OriginQuota } from "../durable-objects/origin-quota.ts";

export default createGateway(policy);
