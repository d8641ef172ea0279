/** The gate's side of the RPC to the object of an upstream credential. When it cannot be asked, the origin's own word is the bound. */

import type { QuotaLimit } from "../src/limits/limit.ts";
import type { OriginAsk, OriginVerdict, Told } from "../src/origin/quota-account.ts";
import type { OriginQuota } from "./origin-quota.ts";
import { within } from "./within.ts";

export type OriginQuotaNamespace = DurableObjectNamespace<OriginQuota>;

const ASK_WITHIN_MS = 2_000;
const RETRY = { maxRetries: 1, timeoutMs: 1_000 };

/** @returns null when the object did not answer in time, or with an error */
export function askOriginQuota(
  namespace: OriginQuotaNamespace,
  credential: string,
  limit: QuotaLimit | null,
  ask: OriginAsk,
): Promise<OriginVerdict | null> {
  return within(
    ASK_WITHIN_MS,
    () => namespace.getByName(credential, { retry: RETRY }).take(limit, ask),
    (text) => JSON.parse(text) as OriginVerdict,
  );
}

/** Tells it what the origin has said. Not repeated when it fails: the origin will say it again. */
export async function tellOriginQuota(namespace: OriginQuotaNamespace, credential: string, told: Told): Promise<void> {
  try {
    await namespace.getByName(credential, { retry: RETRY }).tell(told);
  } catch {
    // The isolate knows it all the same.
  }
}

/** Sends a refund. Not repeated when it fails: a call may be counted that was none. */
export async function refundOriginQuota(namespace: OriginQuotaNamespace, credential: string, ticket: number): Promise<void> {
  try {
    await namespace.getByName(credential, { retry: RETRY }).giveBack(ticket);
  } catch {
    // The instance that took is gone, and its tickets with it.
  }
}
