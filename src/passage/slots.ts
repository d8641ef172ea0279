/**
 * Concurrency: slots are taken before the other limits are asked, kept for as long as the answer streams, and given back when
 * it has ended or the client has left.
 */

import type { SlotKind } from "../../durable-objects/consumer.ts";
import type { Caller } from "../consumers/caller.ts";
import { describePassage, refuse, type Refused } from "./decision.ts";
import type { ConcurrencyLimit } from "../limits/limit.ts";
import { callsIn, type Price } from "../limits/price.ts";
import type { Terms } from "../limits/terms.ts";
import type { Passage } from "./passage.ts";
import { impossibleAnswer } from "../refusals/gate-errors.ts";
import { observedLine } from "../refusals/log.ts";
import type { MeteredLimit } from "../refusals/ratelimit-fields.ts";
import { type Slot, takeSlot } from "./slot.ts";

type SlotsTaken =
  | { readonly kind: "taken"; readonly slots: readonly Slot[]; readonly metered: readonly MeteredLimit[] }
  | Refused
  /** A batch of more calls than may ever be on their way at once. */
  | { readonly kind: "answer"; readonly response: Response };

const NO_SLOTS: SlotsTaken & { kind: "taken" } = { kind: "taken", slots: [], metered: [] };

/** A slot for each call where calls at once are limited, and one for each stream. Streams do not wait: nothing says when one ends. */
export async function takeSlots(passage: Passage, caller: Caller, terms: Terms, priced: Price, maxWaitMs: number): Promise<SlotsTaken> {
  const streams = passage.request.method === "GET" ? 1 : priced.lanes.filter((lane) => lane === "stream").length;
  const calls = terms.concurrency ? callsIn(priced) : 0;
  let taken: SlotsTaken = NO_SLOTS;
  if (streams > 0) taken = await takeOf(passage, caller, terms, "streams", terms.streams, streams, 0);
  if (taken.kind !== "taken" || calls === 0) return taken;
  const ofCalls = await takeOf(passage, caller, terms, "calls", terms.concurrency!, calls, maxWaitMs);
  if (ofCalls.kind !== "taken") giveSlotsBack(passage, taken.slots);
  return ofCalls.kind !== "taken"
    ? ofCalls
    : { kind: "taken", slots: [...taken.slots, ...ofCalls.slots], metered: [...taken.metered, ...ofCalls.metered] };
}

async function takeOf(
  passage: Passage,
  caller: Caller,
  terms: Terms,
  kind: SlotKind,
  limit: ConcurrencyLimit,
  units: number,
  maxWaitMs: number,
): Promise<SlotsTaken> {
  const { env, ctx } = passage;
  const isObserved = limit.mode === "observe";
  if (!isObserved && units > limit.calls) return { kind: "answer", response: impossibleAnswer(terms.plan, { limits: [limit] }, passage) };
  const asked = takeSlot(env.CONSUMERS, caller.id, kind, units, isObserved ? Number.MAX_SAFE_INTEGER : limit.calls, maxWaitMs);
  ctx.waitUntil(asked.then((taken) => (taken.kind === "lent" ? giveBackWhenLeft(taken.slot, passage) : undefined)));
  const taken = await asked;
  switch (taken.kind) {
    case "unasked":
      return NO_SLOTS;
    case "full": {
      const grounds = { cause: "concurrency", retryAfterMs: taken.estimateMs, isEstimated: true, violated: [limit] } as const;
      const meters = [{ limit, meter: { remaining: 0, resetMs: 0 } }];
      return refuse(passage, caller, terms, kind === "streams" ? "stream" : "work", { ...grounds, meters });
    }
    case "lent":
      if (isObserved && taken.inUse > limit.calls) {
        passage.gate.log(observedLine(caller.id, terms.plan, describePassage(passage), [limit.name], passage.requestId));
      }
      return {
        kind: "taken",
        slots: [taken.slot],
        metered: [{ limit, meter: { remaining: Math.max(0, limit.calls - taken.inUse), resetMs: 0 } }],
      };
  }
}

/**
 * A client that leaves while it waits for its slot gets it all the same, which must then be given back. One that leaves later takes
 * the request with it: what was to come after the origin's answer may never run, so its slot goes back at once.
 */
function giveBackWhenLeft(slot: Slot, { ctx, request: { signal } }: Passage): Promise<void> | undefined {
  if (signal.aborted) return slot.giveBack();
  signal.addEventListener("abort", () => ctx.waitUntil(slot.giveBack()), { once: true });
  return undefined;
}

export function giveSlotsBack({ ctx }: Passage, slots: readonly Slot[]): void {
  for (const slot of slots) ctx.waitUntil(slot.giveBack());
}
