/**
 * What a policy says of single tools, prompts and resources: what a call costs, and limits of its own. Names are matched
 * exactly first, then by pattern in the order in which they are written; the calls of all names that a pattern matches share its limits.
 */

import * as v from "valibot";
import type { Message } from "../mcp/message.ts";
import { subjectOf } from "../mcp/subject.ts";
import { byName } from "./by-name.ts";
import type { Limit } from "./limit.ts";
import { createMatcher, type Matcher } from "./patterns.ts";
import { quotaLimits, quotasSchema, rateLimit, rateSchema } from "./plan-limits.ts";

/** More than any plan's burst: a cost beyond it is a mistake of the policy. */
export const MAX_COST = 1_000_000;

/** A cost that depends on the call. Must be pure, and give a whole number from 0 to a million. */
export type CostFunction = (args: Readonly<Record<string, unknown>>) => number;

/** What a string of RFC 9651 can hold without escapes: the name stands in `RateLimit`. */
const LABEL = /^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,100}$/;
const cost = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MAX_COST));

export const namedSchema = v.strictObject({
  /** What a call takes of the plan's rate and quotas. Default 1. */
  cost: v.optional(
    v.union(
      [cost, v.custom<CostFunction>((value) => typeof value === "function")],
      "must be a whole number from 0 to 1000000, or a function of the arguments",
    ),
  ),
  /** Limits of its own, beside the plan's. They count calls, whatever these cost. */
  rate: v.optional(rateSchema),
  quotas: v.optional(quotasSchema),
  /** What callers read in `RateLimit`. Default: the name or pattern itself. */
  label: v.optional(v.pipe(v.string(), v.regex(LABEL, 'must be 1 to 100 printable ASCII characters without " and \\'))),
});

export type Named = v.InferInput<typeof namedSchema>;

const namesSchema = v.pipe(
  byName<Named>(),
  v.record(v.pipe(v.string(), v.regex(LABEL, 'a name or pattern is 1 to 100 printable ASCII characters without " and \\')), namedSchema),
);

/** By what a call is about: the same name may be a tool's and a prompt's. */
export const namedEntries = {
  tools: v.optional(namesSchema),
  prompts: v.optional(namesSchema),
  /** By URI. */
  resources: v.optional(namesSchema),
};

export interface NamedByKind {
  readonly tools?: Readonly<Record<string, Named>> | undefined;
  readonly prompts?: Readonly<Record<string, Named>> | undefined;
  readonly resources?: Readonly<Record<string, Named>> | undefined;
}

/** A name's settings, resolved. */
export interface NamedTerms {
  readonly cost: number | CostFunction;
  readonly ownLimits: readonly Limit[];
}

export type NamedBook = Readonly<Record<NamedKind, Matcher<NamedTerms>>>;

/** What is named in a policy: the setting, the word for one of it, the method that is about one. */
export const NAMED_KINDS = [
  ["tools", "tool", "tools/call"],
  ["prompts", "prompt", "prompts/get"],
  ["resources", "resource", "resources/read"],
] as const;
export type NamedKind = (typeof NAMED_KINDS)[number][0];

const KIND_BY_METHOD: ReadonlyMap<string, NamedKind> = new Map(NAMED_KINDS.map(([kind, , method]) => [method, kind]));

/** @returns null when nothing is said of any name, so that a call need not be looked up */
export function resolveNamed(general: NamedByKind, ofPlan: NamedByKind): NamedBook | null {
  if (NAMED_KINDS.every(([kind]) => !general[kind] && !ofPlan[kind])) return null;
  return Object.fromEntries(
    NAMED_KINDS.map(([kind, word]) => {
      const settings = namesIn(kind, general, ofPlan).map(
        (name) => [name, termsOf(kind, word, name, { ...general[kind]?.[name], ...ofPlan[kind]?.[name] })] as const,
      );
      return [kind, createMatcher(Object.fromEntries(settings))];
    }),
  ) as unknown as NamedBook;
}

/** The names and patterns that hold on a plan, the plan's own first: of two patterns that match, the first decides. */
export function namesIn(kind: NamedKind, general: NamedByKind, ofPlan: NamedByKind): string[] {
  return [...new Set([...Object.keys(ofPlan[kind] ?? {}), ...Object.keys(general[kind] ?? {})])];
}

/** What the policy says of the name that a request is about, if anything. */
export function findNamed(book: NamedBook, message: Message): NamedTerms | undefined {
  if (message.kind !== "request") return undefined;
  const kind = KIND_BY_METHOD.get(message.method);
  return kind === undefined ? undefined : book[kind](subjectOf(message));
}

/** @returns null when the policy's function does not give a cost: the call then costs 1, and the operator is told */
export function costOfCall(cost: number | CostFunction, message: Message): number | null {
  if (typeof cost === "number") return cost;
  if (message.kind !== "request") return 1;
  const args = message.params["arguments"];
  try {
    // A copy: what the function does to it must not change what the loop breaker sees.
    const computed = cost(typeof args === "object" && args !== null ? structuredClone(args as Readonly<Record<string, unknown>>) : {});
    // An async function has no cost in time, and what it rejects with must not end the process.
    if (typeof computed !== "number") Promise.resolve(computed as unknown).catch(() => undefined);
    return Number.isInteger(computed) && computed >= 0 && computed <= MAX_COST ? computed : null;
  } catch {
    return null;
  }
}

function termsOf(kind: NamedKind, word: string, name: string, { cost = 1, rate, quotas, label = name }: Named): NamedTerms {
  const about = { slot: `${kind}:${name}`, name: label, scope: `${word} ${JSON.stringify(name)}` };
  const ownLimits: Limit[] = quotaLimits(quotas ?? {}, about);
  if (rate !== undefined) ownLimits.unshift(rateLimit(rate, about));
  return { cost, ownLimits };
}
