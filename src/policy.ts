/** The operator's file: where the MCP server is, who may call it, and how much. Everything else has a default. */

import { definePolicy } from "./define-policy.ts";

export default definePolicy({
  origin: "https://mcp.example.com/mcp",
  plans: {
    anonymous: { rate: 10, maxWaitSeconds: 5, offers: { pow: true, l402: true } },
    free: { rate: 30, offers: { pow: true, l402: true } },
    pro: { rate: 120, offers: { l402: true } },
    enterprise: { rate: 600 },
  },
  // To sell calls (the offers by L402), import { lightning } from "./selling/lightning.ts" above, name a Lightning node here,
  //   lightning: lightning({ kind: "phoenixd", url: "https://node.example.com" }),
  // and give its credential to: npx wrangler secret put LIGHTNING_SECRET
});
