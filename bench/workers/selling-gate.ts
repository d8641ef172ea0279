/** The same gate with all that is needed to sell calls in its bundle, and a Lightning node to sell by. */

import { env } from "cloudflare:workers";
import { createGateway } from "../../src/index.ts";
import { lightning } from "../../src/selling/lightning.ts";
import policy from "./policy.ts";

export { Consumer, OriginQuota } from "../../src/index.ts";

const { NODE: url } = env as { readonly NODE: string };

export default createGateway({ ...policy, lightning: lightning({ kind: "phoenixd", url, network: "bcrt" }) });
