/** One limit, or one rule of the loop breaker, as `turnpike check` reports it: its numbers, and what they come to in words. */

import type { AnyLimit, LoopKind, Mode, QuotaLimit } from "../../limits/limit.ts";
import { LOOP_KINDS } from "../../limits/limit.ts";
import type { Watching, WatchRule } from "../../limits/watches.ts";
import { duration, wordLimit } from "../../refusals/wording.ts";

interface Told {
  /** As in `RateLimit`. */
  readonly name: string;
  readonly mode: Mode;
  readonly words: string;
}

export type LimitReport = Told &
  (
    | {
        readonly kind: "rate";
        readonly burst: number;
        readonly perMinute: number;
        /** What a full bucket lets through in a minute: the burst, and what is refilled meanwhile. */
        readonly firstMinute: number;
      }
    /** A calendar period, in UTC. */
    | { readonly kind: "quota"; readonly calls: number; readonly per: "day" | "month" }
    /** A window that slides. */
    | { readonly kind: "quota"; readonly calls: number; readonly perSeconds: number }
    | { readonly kind: "concurrency"; readonly calls: number }
  );

export interface LoopReport {
  readonly kind: LoopKind;
  readonly calls: number;
  readonly withinSeconds: number;
  readonly mode: Mode;
  readonly words: string;
}

export function reportLimit(limit: AnyLimit): LimitReport {
  const { name, mode } = limit;
  switch (limit.kind) {
    case "rate": {
      const { kind, burst, perMinute } = limit;
      const firstMinute = burst + perMinute;
      const words = `${burst} at once, refilled at ${perMinute} a minute: up to ${firstMinute} in the first minute`;
      return { name, mode, words: withMode(words, mode), kind, burst, perMinute, firstMinute };
    }
    case "quota": {
      const { kind, calls, per } = limit;
      const period = typeof per === "number" ? { perSeconds: per / 1_000 } : { per };
      return { name, mode, words: withMode(quotaWords(limit), mode), kind, calls, ...period };
    }
    case "concurrency":
      return { name, mode, words: withMode(unscoped(limit), mode), kind: limit.kind, calls: limit.calls };
  }
}

/** What can be had at once of a limit: the number beside what remains. */
export function mostOf(limit: LimitReport): number {
  return limit.kind === "rate" ? limit.burst : limit.calls;
}

/** The rules in force for a name; none where repeating is no loop. */
export function reportLoops(watching: Watching): LoopReport[] {
  return LOOP_KINDS.flatMap((kind) => {
    const rule = watching[kind];
    if (!rule) return [];
    const { calls, windowMs, mode } = rule;
    return [{ kind, calls, withinSeconds: windowMs / 1_000, mode, words: loopWords(kind, rule) }];
  });
}

function quotaWords(limit: QuotaLimit): string {
  const number = unscoped(limit);
  if (typeof limit.per === "number") return `${number}: the window slides, so never more in any such time`;
  const start = limit.per === "day" ? "at midnight UTC" : "on the first of the month, at midnight UTC";
  return `${number}: counted anew ${start}, so right before and after that up to ${2 * limit.calls} together`;
}

function loopWords(kind: LoopKind, rule: WatchRule): string {
  const next = rule.mode === "observe" ? "the next is logged as one to refuse, and passes" : "the next is refused";
  return `${whatMayPass(kind, rule)}; ${next}`;
}

function whatMayPass(kind: LoopKind, { calls, windowMs }: WatchRule): string {
  const within = `within ${duration(windowMs)}`;
  switch (kind) {
    case "identical":
      return `${count(calls, "identical call")} ${within}`;
    case "same-tool":
      return `${count(calls, "call")} of one name ${within}, whatever the arguments`;
    case "in-a-row":
      return `${count(calls, "identical call")} in a row ${within}, with no other in between`;
    case "taking-turns":
      return `${count(calls, "call")} ${within} of two that take turns`;
  }
}

/** What it is about is said beside it. */
function unscoped(limit: AnyLimit): string {
  const { scope: _scope, ...alone } = limit;
  return wordLimit(alone);
}

function withMode(words: string, mode: Mode): string {
  return mode === "observe" ? `${words} (observe: counted and logged, nothing is refused)` : words;
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
