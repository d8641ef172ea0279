/** The gate as an operator deploys it. */

import { createGateway } from "../../src/index.ts";
import policy from "./policy.ts";

export { Consumer, OriginQuota } from "../../src/index.ts";

export default createGateway(policy);
