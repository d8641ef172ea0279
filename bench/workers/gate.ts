/** The gate as an operator deploys it. */

import { createGateway } from "../../src/index.ts";
import policy from "./policy.ts";

export { Consumer } from "../../src/index.ts";

export default createGateway(policy);
