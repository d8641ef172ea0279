/**
 * The policy of the gate that is measured: a plan that never runs out, one that always has, and the README's 600 a minute.
 * The binding FEATURE adds one thing to it, so that one bundle serves every case.
 */

import { env } from "cloudflare:workers";
import { definePolicy } from "../../src/index.ts";
import { type Feature, FEATURES, PLENTY } from "./features.ts";

const { ORIGIN, FEATURE } = env as { readonly ORIGIN: string; readonly FEATURE: Feature };
const { plan, policy } = FEATURES[FEATURE];

export default definePolicy({
  origin: ORIGIN,
  plans: {
    anonymous: { rate: 10 },
    endless: { rate: PLENTY, ...plan },
    empty: { rate: { perMinute: 1, burst: 1 }, ...plan },
    steady: { rate: 600 },
  },
  ...policy,
});
