/** A policy is checked as a whole when the Worker starts, and all that is wrong with it is told at once, each with its path. */

import * as v from "valibot";
import { parseRange } from "./consumers/addresses.ts";
import { DEFAULT_ADDRESS_PLAN, type Policy } from "./define-policy.ts";
import { byName } from "./limits/by-name.ts";
import { namedEntries } from "./limits/named.ts";
import { planSchema } from "./limits/plan.ts";
import { MAX_TRAIL } from "./limits/trail.ts";
import type { Lightning } from "./selling/lightning-policy.ts";
import { originQuotaSchema } from "./origin/quota-policy.ts";

const path = v.pipe(v.string(), v.regex(/^\/[\w./-]*[\w-]$/, 'must be a path like "/mcp"'));
const whole = v.pipe(v.number(), v.integer(), v.minValue(1));
const choice = v.optional(v.picklist(["open", "closed"]));
const originUrl = v.pipe(
  v.string(),
  v.check((text) => text === "same-host" || isHttpUrl(text), 'must be an http(s) URL, {service: "BINDING"} or "same-host"'),
);
const browserOrigin = v.pipe(
  v.string(),
  v.check((text) => isHttpUrl(text) && new URL(text).origin === text, 'must be an origin like "https://app.example.com"'),
);
const cidr = v.pipe(
  v.string(),
  v.check((text) => parseRange(text) !== null, 'must be a range like "192.0.2.0/24" or "2001:db8::/48"'),
);
/** A time is kept for each call in a window. */
const MAX_TIMES = 1_000;
const MAX_WINDOW_S = 86_400;
/** A loop of two needs each of them twice to be one. */
const LEAST_TURNS = 4;
const seconds = v.pipe(v.number(), v.minValue(1), v.maxValue(MAX_WINDOW_S));
const observable = v.optional(v.picklist(["enforce", "observe"]));
const loop = (least: number, most: number) =>
  v.optional(
    v.strictObject({
      calls: v.pipe(whole, v.minValue(least), v.maxValue(most)),
      withinSeconds: seconds,
      mode: observable,
    }),
  );
const repeat = v.strictObject({
  identical: v.optional(v.pipe(whole, v.maxValue(MAX_TIMES))),
  withinSeconds: v.optional(seconds),
  mode: observable,
  sameTool: loop(1, MAX_TIMES),
  inARow: loop(1, MAX_TRAIL),
  takingTurns: loop(LEAST_TURNS, MAX_TRAIL),
});
const issuer = v.strictObject({
  issuer: v.pipe(v.string(), v.minLength(1)),
  audience: v.optional(v.union([v.string(), v.array(v.string())])),
  jwksUrl: v.optional(v.pipe(v.string(), v.check(isHttpUrl, "must be an http(s) URL"))),
  planClaim: v.optional(v.string()),
  plan: v.string(),
});

const policySchema = v.strictObject({
  origin: v.union([originUrl, v.strictObject({ service: v.string() })], 'must be an http(s) URL, {service: "BINDING"} or "same-host"'),
  plans: v.pipe(
    byName<unknown>(),
    v.record(v.pipe(v.string(), v.regex(/^[\w.-]{1,40}$/, "a plan's name is 1 to 40 letters, digits, dots or dashes")), planSchema),
    v.check((plans) => Object.keys(plans).length > 0, "must name at least one plan"),
  ),
  limitsFor: v.optional(v.function()),
  identity: v.optional(
    v.strictObject({
      jwt: v.optional(v.array(issuer)),
      bearer: v.optional(v.strictObject({ plan: v.string() })),
      addresses: v.optional(
        v.strictObject({
          plan: v.optional(v.nullable(v.string())),
          shared: v.optional(v.array(v.strictObject({ range: cidr, plan: v.string() }))),
        }),
      ),
    }),
  ),
  repeats: v.optional(
    v.strictObject({
      ...repeat.entries,
      tools: v.optional(v.pipe(byName<unknown>(), v.record(v.string(), v.union([v.literal(false), repeat])))),
    }),
  ),
  originQuota: v.optional(originQuotaSchema),
  lightning: v.optional(v.custom(isLightning, 'must be made by lightning({ … }), which is imported from "mcp-turnpike/lightning"')),
  ownTools: v.optional(
    v.strictObject({
      prefix: v.pipe(v.string(), v.regex(/^[\w.-]{1,40}$/, 'must be 1 to 40 letters, digits, dots or dashes, such as "turnpike_"')),
    }),
  ),
  ...namedEntries,
  handshake: v.optional(v.strictObject({ key: v.optional(whole), address: v.optional(whole) })),
  whenUnavailable: v.optional(v.strictObject({ keys: choice, others: choice })),
  mcpPaths: v.optional(v.pipe(v.array(path), v.minLength(1))),
  prefix: v.optional(path),
  allowedOrigins: v.optional(v.array(browserOrigin)),
  allowedHosts: v.optional(v.array(v.string())),
});

/** Everything that is wrong, each with its path; empty for a good policy. */
export function findProblems(policy: Policy): string[] {
  const checked = v.safeParse(policySchema, policy);
  const problems = (checked.issues ?? []).map((issue) => `${v.getDotPath(issue) ?? "policy"}: ${messageOf(issue)}`);
  // The schema knows shapes. Names that must be those of plans are looked at here, wherever the shape lets them be found.
  const { plans, identity, lightning } = asRecord(policy);
  if (typeof plans !== "object" || plans === null) return problems;
  const known = (plan: unknown, where: string): void => {
    if (typeof plan !== "string" || Object.hasOwn(plans, plan)) return;
    problems.push(`${where}: there is no plan "${plan}" (there are: ${Object.keys(plans).join(", ")})`);
  };
  const { addresses, jwt, bearer } = asRecord(identity);
  const { plan = DEFAULT_ADDRESS_PLAN, shared } = asRecord(addresses);
  known(plan, "identity.addresses.plan");
  for (const [i, range] of asList(shared)) known(asRecord(range)["plan"], `identity.addresses.shared.${i}.plan`);
  for (const [i, issuer] of asList(jwt)) known(asRecord(issuer)["plan"], `identity.jwt.${i}.plan`);
  known(asRecord(bearer)["plan"], "identity.bearer.plan");
  if (isLightning(lightning)) problems.push(...lightning.findProblems());
  return problems;
}

function isLightning(value: unknown): value is Lightning {
  return typeof asRecord(value)["openShop"] === "function";
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function asList(value: unknown): readonly (readonly [number, unknown])[] {
  return Array.isArray(value) ? [...value.entries()] : [];
}

/** valibot's own words, except where it would print the whole value. */
export function messageOf(issue: v.BaseIssue<unknown>): string {
  if (issue.type === "strict_object" && issue.expected === "never") return "unknown setting";
  return issue.message;
}

function isHttpUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url?.protocol === "https:" || url?.protocol === "http:";
}
