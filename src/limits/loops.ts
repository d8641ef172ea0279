/**
 * The loop breaker: whether the calls of a POST would go on circling. Four ways are known: the same call again and again
 * within a window (`identical`), one tool whatever its arguments (`same-tool`), the same call with nothing in between
 * (`in-a-row`, for circles slower than the window) and two calls that take turns (`taking-turns`). What it refuses is refused
 * before any bucket is touched, and can be neither waited out cheaply nor paid for.
 */

import type { Charge, LoopKind, Watch } from "./limit.ts";
import { loopBit } from "./limit.ts";
import { recordRepeat, type Repeats, waitForRepeat } from "./repeats.ts";
import { recordStep, type Step, type Trail, waitForRun, waitForTurns } from "./trail.ts";

export interface LoopMemory {
  readonly repeats: Repeats;
  readonly trail: Trail;
}

export interface LoopVerdict {
  /** 0 when no rule that is enforced refuses. */
  readonly waitMs: number;
  /** The loop bits of the rules that refuse, and of those that only observe. */
  readonly violated: number;
  readonly observed: number;
}

const NO_LOOPS: LoopVerdict = { waitMs: 0, violated: 0, observed: 0 };
const NOTHING: LoopMemory = { repeats: new Map(), trail: [] };

export function waitForLoops(memory: LoopMemory, charges: readonly Charge[], now: number): LoopVerdict {
  let waitMs = 0;
  let violated = 0;
  let observed = 0;
  for (const [i, charge] of charges.entries()) {
    for (const watch of charge.watches) {
      const wait = waitForWatch(memory, charges, i, watch, now);
      if (wait === 0) continue;
      if (watch.mode === "observe") {
        observed |= loopBit(watch.kind);
      } else {
        violated |= loopBit(watch.kind);
        waitMs = Math.max(waitMs, wait);
      }
    }
  }
  return violated || observed ? { waitMs, violated, observed } : NO_LOOPS;
}

/** The loop bits of the rules that a batch breaks by itself, whatever came before it: waiting will not help. */
export function impossibleLoops(charges: readonly Charge[]): number {
  return charges.length < 2 ? 0 : waitForLoops(NOTHING, charges, 0).violated;
}

/** Remembers calls that leave at `due`. */
export function recordLoops(memory: LoopMemory, charges: readonly Charge[], now: number, due: number): void {
  for (const charge of charges) {
    for (const { kind, fingerprint, calls, windowMs } of charge.watches) {
      if (!looksAtOrder(kind)) recordRepeat(memory.repeats, fingerprint, calls, windowMs, due);
    }
    const step = stepOf(charge, due);
    if (step) recordStep(memory.trail, step, now);
  }
}

function looksAtOrder(kind: LoopKind): boolean {
  return kind === "in-a-row" || kind === "taking-turns";
}

function waitForWatch({ repeats, trail }: LoopMemory, charges: readonly Charge[], at: number, watch: Watch, now: number): number {
  const { kind, fingerprint, calls, windowMs } = watch;
  if (!looksAtOrder(kind)) {
    const times = charges.length === 1 ? 1 : timesIn(charges, watch);
    // More of them than may ever pass are told apart as impossible, before anything is taken.
    return times > calls ? windowMs : waitForRepeat(repeats, fingerprint, times, calls, windowMs, now);
  }
  // In a batch, the calls before this one come first.
  const steps = at === 0 ? trail : [...trail, ...charges.slice(0, at).flatMap((charge) => stepOf(charge, now) ?? [])];
  return kind === "in-a-row"
    ? waitForRun(steps, fingerprint, calls, windowMs, now)
    : waitForTurns(steps, fingerprint, calls, windowMs, now);
}

/** How many calls of the POST are the same to this rule. */
function timesIn(charges: readonly Charge[], { kind, fingerprint }: Watch): number {
  return charges.filter(({ watches }) => watches.some((watch) => watch.kind === kind && watch.fingerprint === fingerprint)).length;
}

/** The call as the trail remembers it, or null when no rule looks at the order of such calls. */
function stepOf({ watches }: Charge, time: number): Step | null {
  const inOrder = watches.filter(({ kind }) => looksAtOrder(kind));
  if (inOrder.length === 0) return null;
  return { fingerprint: inOrder[0]!.fingerprint, time, windowMs: Math.max(...inOrder.map(({ windowMs }) => windowMs)) };
}
