/** A policy in words: a section for each plan, one for what holds on every plan, and what is worth a look. */

import { UNMETERED_PER_MINUTE } from "../../limits/local-bucket.ts";
import { duration } from "../../refusals/wording.ts";
import type { Line, Section } from "./layout.ts";
import { count, type LoopReport } from "./limit-report.ts";
import { type CallersReport, DEPENDS, entryWords, type NamedReport, type OfferReport, type PlanReport } from "./plan-report.ts";
import type { PolicyReport } from "./policy-report.ts";

export function wordPolicy(report: PolicyReport): Section[] {
  const heading = `${report.policy} has no errors. ${count(report.plans.length, "plan")} in front of ${report.origin}.`;
  const warnings = report.warnings.map((warning): Line => ["", warning]);
  return [
    { title: heading, lines: [] },
    ...report.plans.map((plan) => ({ title: `PLAN ${plan.name}`, lines: wordPlan(plan) })),
    { title: "EVERY PLAN", lines: wordEveryPlan(report) },
    ...(warnings.length > 0 ? [{ title: "WORTH A LOOK", lines: warnings }] : []),
  ];
}

function wordPlan(plan: PlanReport): Line[] {
  const [rate, ...quotas] = plan.limits;
  return [
    ["for", plan.callers.map(wordCallers).join("; ")],
    ["rate", rate!.words],
    ...quotas.map(({ name, words }): Line => [`quota ${name}`, words]),
    ["at once", wordConcurrency(plan)],
    ["streams", plan.streams.words],
    ["held", wordHeld(plan)],
    ["refused", wordRefused(plan)],
    ["offers", plan.offers.length === 0 ? "none: whoever is over the rate waits" : plan.offers.map(wordOffer).join("; ")],
    ["weight", `${plan.weight}, beside other plans in sharing out the origin's own quota`],
    ["a call costs", plan.named.length > 0 ? "1, but for what is named here" : "1"],
    ...plan.named.flatMap(wordNamed),
  ];
}

function wordConcurrency({ concurrency, maxWaitSeconds }: PlanReport): string {
  if (!concurrency) return "not limited";
  if (concurrency.mode === "observe") return concurrency.words;
  const turn = maxWaitSeconds === 0 ? "are refused" : `wait for their turn, for up to ${duration(maxWaitSeconds * 1_000)}`;
  return `${concurrency.words}; the next ${turn}`;
}

function wordHeld({ heldSeconds, maxWaitSeconds }: PlanReport): string {
  if (heldSeconds === 0) return "not at all: what is not there at once is refused";
  const refill = heldSeconds < maxWaitSeconds ? ", in which an empty bucket is full again" : "";
  return `for up to ${duration(heldSeconds * 1_000)}${refill}`;
}

function wordRefused({ refuse, offers }: PlanReport): string {
  const isOffering = offers.some((offer) => offer.type === "pow" || offer.isSold);
  const status = !isOffering ? "status 429" : "status 402 with an offer, 429 without";
  return refuse === "result"
    ? `a tools/call with a tool result, status 200; the rest with an error, ${status}`
    : `with an error, ${status}`;
}

function wordOffer(offer: OfferReport): string {
  const { calls, forSeconds, quotas } = offer;
  const buys = `${count(calls, "call")} for ${duration(forSeconds * 1_000)}, let through at a rate of their own that is the plan's again`;
  const alsoQuotas = quotas ? "; also when a quota is used up" : "";
  if (offer.type === "l402") {
    return `a Lightning payment of ${offer.priceSats} sats: ${buys}${alsoQuotas}${offer.isSold ? "" : " (not yet: the policy names no node under `lightning`)"}`;
  }
  const { difficulty, maxDifficulty } = offer;
  const bits = difficulty === maxDifficulty ? `${difficulty} bits` : `${difficulty} bits, up to ${maxDifficulty} for who keeps solving`;
  return `a proof of work of ${bits}: ${buys}${alsoQuotas}`;
}

function wordCallers(callers: CallersReport): string {
  switch (callers.kind) {
    case "key":
      return "keys that are put on it";
    case "address":
      return "callers without a key, each address by itself";
    case "range":
      return `addresses in ${callers.range}`;
    case "token":
      return callers.claim === undefined
        ? `tokens of ${callers.issuer} that name no plan`
        : `tokens of ${callers.issuer} whose claim "${callers.claim}" names it`;
  }
}

function wordNamed({ kind, name, cost, limits, shadowedBy, neverPasses }: NamedReport): Line[] {
  const label = entryWords(kind, name);
  if (shadowedBy !== null) return [[label, `never applies: "${shadowedBy}" stands before it and matches all that it does`]];
  const never = neverPasses.length > 0 ? `, which can never pass (400): ${neverPasses.join("; ")}` : "";
  const price = cost === DEPENDS ? `what it costs ${DEPENDS}` : `costs ${cost}${never}`;
  return [[label, price], ...limits.map((limit): Line => ["", `and "${limit.name}" of its own: ${limit.words}`])];
}

function wordEveryPlan(report: PolicyReport): Line[] {
  const { handshake, loopBreaker, whenUnavailable } = report;
  return [
    ["no key", report.addressPlan === null ? "is turned away with 401" : `is on plan ${report.addressPlan}, or on that of a range`],
    ["overrides", "of a plan in KV, under plan:<name>, are not looked at here"],
    ...(report.hasLimitsFor ? [["limitsFor", "may give a key or token other numbers than its plan's, from its metadata"] as const] : []),
    ["handshake", `of a key or token: ${handshake.key.words}`],
    ["", `of an address: ${handshake.address.words}`],
    ["", "a lane of its own: beyond it held, then 503, and never refused for work"],
    ["notifications", `and GET, DELETE: ${UNMETERED_PER_MINUTE} a minute for a consumer, in each isolate`],
    ...wordLoops("loops", loopBreaker.general),
    ...loopBreaker.named.flatMap(({ name, rules, shadowedBy }) =>
      wordLoops(
        `loops of ${JSON.stringify(name)}`,
        rules,
        shadowedBy === null ? "are not looked for" : `never apply: "${shadowedBy}" stands before it`,
      ),
    ),
    ...(report.lightning ? [["lightning", wordLightning(report.lightning)] as const] : []),
    ...wordOriginQuota(report.originQuota),
    [
      "cannot count",
      `when a consumer's object cannot be asked, keys ${wordMode(whenUnavailable.keys)}, others ${wordMode(whenUnavailable.others)}`,
    ],
  ];
}

const NODES = { lnd: "LND", lnbits: "LNbits", phoenixd: "phoenixd" } as const;

function wordLightning({ kind, host, network, invoiceSeconds, confirmsPayments }: NonNullable<PolicyReport["lightning"]>): string {
  const proof = confirmsPayments ? "a payment counts once the node says that it is settled" : "the preimage is the proof of a payment";
  const play = network === "bc" ? "" : `, on the network ${network}: play money`;
  return `invoices of ${NODES[kind]} at ${host}, payable for ${duration(invoiceSeconds * 1_000)}${play}; ${proof}`;
}

function wordLoops(label: string, rules: readonly LoopReport[], none = "are not looked for"): Line[] {
  if (rules.length === 0) return [[label, none]];
  return rules.map(({ words }, i): Line => [i === 0 ? label : "", words]);
}

function wordOriginQuota({ limit, of, learn, readAnswers }: PolicyReport["originQuota"]): Line[] {
  const whose =
    of === "shared" ? "for all consumers together, but for those who bring a credential of their own" : "for each consumer by itself";
  const learnt = learn
    ? `learned from what the origin answers${readAnswers ? ", inside JSON-RPC answers with status 200 too" : ""}`
    : "nothing is learned from what the origin answers";
  return limit
    ? [
        ["origin's quota", `${limit.words}; ${whose}`],
        ["", learn ? `what it says of limits beside that is ${learnt}` : learnt],
      ]
    : [["origin's quota", learn ? `${learnt}; ${whose}` : learnt]];
}

function wordMode(mode: "open" | "closed"): string {
  return mode === "open" ? "pass at a tenth of their plan" : "are answered 503";
}
