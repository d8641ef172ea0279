/** What the loop breaker is told to look for, by the name of what is called. */

import { fingerprint } from "../mcp/fingerprint.ts";
import type { Message } from "../mcp/message.ts";
import { subjectOf } from "../mcp/subject.ts";
import { LOOP_KINDS, type LoopKind, type Mode, type Watch } from "./limit.ts";
import { createMatcher, type Matcher } from "./patterns.ts";

/** How many such calls may be forwarded within a window. */
export interface WatchRule {
  readonly calls: number;
  readonly windowMs: number;
  readonly mode: Mode;
}

/** The rules in force for a name. Empty where repeating is no loop, as in polling. */
export type Watching = Readonly<Partial<Record<LoopKind, WatchRule>>>;

export interface WatchRules {
  readonly general: Watching;
  /** By the name of a tool or prompt, or the URI of a resource. */
  readonly named: Matcher<Watching>;
}

export function createWatchRules(general: Watching, named: Readonly<Record<string, Watching>>): WatchRules {
  return { general, named: createMatcher(named) };
}

/** The rules that a call falls under. */
export function watchingFor(message: Message, rules: WatchRules): Watching {
  return rules.named(subjectOf(message)) ?? rules.general;
}

export function watchesFor(message: Message, rules: WatchRules): readonly Watch[] {
  if (message.kind !== "request") return [];
  const watching = watchingFor(message, rules);
  const watches: Watch[] = [];
  let whole = 0;
  for (const kind of LOOP_KINDS) {
    const rule = watching[kind];
    if (!rule) continue;
    if (kind === "same-tool") {
      watches.push({ kind, fingerprint: fingerprint(message.method, { name: subjectOf(message) }), ...rule });
    } else {
      whole ||= fingerprint(message.method, message.params);
      watches.push({ kind, fingerprint: whole, ...rule });
    }
  }
  return watches;
}
