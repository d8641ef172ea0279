/** The policy of the gate that is measured: a plan that never runs out, one that always has, and the README's 600 a minute. */

import { env } from "cloudflare:workers";
import { definePolicy } from "../../src/index.ts";

export default definePolicy({
  origin: (env as { readonly ORIGIN: string }).ORIGIN,
  plans: {
    anonymous: { rate: 10 },
    endless: { rate: 1_000_000_000 },
    empty: { rate: { perMinute: 1, burst: 1 } },
    steady: { rate: 600 },
  },
});
