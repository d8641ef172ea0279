/** How far a life went beyond what a bucket promises: looked at over every pair of calls, by the numbers in force. */

import type { Admitted, LivedLife } from "./life-log.ts";

type Log = Pick<LivedLife, "admitted" | "inForce">;

const MINUTE_MS = 60_000;
/** See TIME_TOLERANCE_MS in src/limits/bucket.ts. */
const SLACK_MS = 0.2;

/** What the tolerance of times comes to in tokens, at the fastest rate of the life. */
export function slackOf({ inForce }: Log): number {
  return (SLACK_MS * Math.max(0, ...inForce.map((entry) => entry.perMinute))) / MINUTE_MS + 1e-6;
}

/** The most tokens that were due too early for a bucket over any interval; not above 0 when the promise holds. */
export function worstExcess({ admitted, inForce }: Log, slot: string): number {
  const calls = admitted.filter((one) => !one.isRefunded && one.units.has(slot)).toSorted((a, b) => a.due - b.due);
  const changes = inForce.filter((entry) => entry.slot === slot);
  const refilledAt = refill(calls, changes, slot);
  let worst = -Infinity;
  for (let i = 0; i < calls.length; i++) {
    let tokens = 0;
    let burst = numbersAt(changes, calls[i]!.due).burst;
    for (let j = i; j < calls.length; j++) {
      const call = calls[j]!;
      tokens += call.units.get(slot)!;
      burst = Math.max(burst, numbersOf(call, slot).burst, numbersAt(changes, call.due).burst);
      for (const change of changes) if (change.from > calls[i]!.due && change.from <= call.due) burst = Math.max(burst, change.burst);
      worst = Math.max(worst, tokens - burst - (refilledAt[j]! - refilledAt[i]!));
    }
  }
  return worst;
}

function numbersOf({ plan }: Admitted, slot: string): { burst: number; perMinute: number } {
  return slot === "handshake" ? { burst: plan.handshake, perMinute: plan.handshake } : plan;
}

function numbersAt(changes: LivedLife["inForce"], at: number): { burst: number; perMinute: number } {
  return changes.findLast((change) => change.from <= at) ?? changes[0]!;
}

/** What the rates in force have refilled by each call's due time. A held call was promised at the rate it was admitted at. */
function refill(calls: readonly Admitted[], changes: LivedLife["inForce"], slot: string): number[] {
  const times = [...new Set([...changes.map((change) => change.from), ...calls.flatMap((call) => [call.at, call.due])])].toSorted(
    (a, b) => a - b,
  );
  const held = calls.filter((call) => call.due > call.at);
  const refilled = new Map<number, number>();
  let tokens = 0;
  for (const [i, time] of times.entries()) {
    refilled.set(time, tokens);
    const next = times[i + 1];
    if (next === undefined) break;
    let { perMinute } = numbersAt(changes, time);
    for (const call of held) if (call.at <= time && call.due >= next) perMinute = Math.max(perMinute, numbersOf(call, slot).perMinute);
    tokens += ((next - time) * perMinute) / MINUTE_MS;
  }
  return calls.map((call) => refilled.get(call.due)!);
}
