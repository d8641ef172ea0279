/** The operator's file: where the MCP server is, who may call it, and how much. Everything else has a default. */

import { definePolicy } from "./define-policy.ts";

export default definePolicy({
  origin: "https://mcp.example.com/mcp",
  plans: {
    anonymous: { rate: 10, maxWaitSeconds: 5, offers: { pow: true } },
    free: { rate: 30, offers: { pow: true } },
    pro: { rate: 120 },
    enterprise: { rate: 600 },
  },
});
