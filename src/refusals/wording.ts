/**
 * What a model reads. Most SDKs hand on nothing but this text, so it stands alone: what was hit, how long to wait, what
 * else can be done. It never contains `Unauthorized`, and for the handshake also none of the substrings that mcp-remote
 * takes for something else (`404`, `405`, `Not Found`, `Method Not Allowed`).
 */

import { isoTime } from "../iso-time.ts";
import type { AnyLimit } from "../limits/limit.ts";
import type { Challenge } from "../challenges/challenge.ts";
import type { Loop, OriginLimit, Refusal } from "./refusal.ts";

/** Longer than this, an agent should not sleep: SDKs time out around a tool call after a minute. */
export const LONG_WAIT_MS = 60_000;
/** Of what an origin said: enough for a sentence, too little to drown ours. */
const MAX_QUOTED_CHARS = 300;

/** @param place where the reader finds what is not in the text */
export function wordRefusal(refusal: Refusal, place = "this error's data"): string {
  return `${wordCause(refusal)} ${wordWayOn(refusal)}${wordOffers(refusal, place)}`;
}

/** Said to whoever reads the text alone; a client of ours has acted on the challenges before anybody reads it. */
function wordOffers({ challenges = [], isPaymentAway }: Refusal, place: string): string {
  const away = isPaymentAway ? " Paying is not possible at the moment." : "";
  if (challenges.length === 0) return away;
  const ways = challenges.map((challenge, i) => wordOffer(challenge, i === 0 ? `under "challenges" in ${place}` : "there"));
  return `${away} Or go on at once: ${ways.join("; or ")}.`;
}

function wordOffer(challenge: Challenge, where: string): string {
  return challenge.type === "pow"
    ? `solve the proof of work ${where}, POST the solution to its "verify" URL, and send the same call again`
    : `pay the Lightning invoice ${where} (${challenge.priceSats} sats for ${calls(challenge.calls)}), and send the same call again with the header "Authorization: L402 <macaroon>:<preimage>"`;
}

function wordCause(refusal: Refusal): string {
  switch (refusal.cause) {
    case "repeat":
      return wordLoop(refusal.loop!);
    case "concurrency":
      return refusal.lane === "stream"
        ? `Too many streams are open at once on plan "${refusal.plan}": ${refusal.violated.map(wordLimit).join("; ")}. Close one first.`
        : `Too many calls at once on plan "${refusal.plan}": ${refusal.violated.map(wordLimit).join("; ")}. Send fewer in parallel.`;
    case "origin":
      return wordOrigin(refusal.origin!);
    case "capacity":
      if (refusal.lane === "unmetered") return "Too many notifications and connection requests at once.";
      return "The gate in front of this MCP server cannot check your limits at the moment, so it let nothing through and charged nothing.";
    case "quota":
      return `Quota used up: ${refusal.violated.map(wordLimit).join("; ")}.${wordCost(refusal)}`;
    case "rate":
      return refusal.lane === "work"
        ? `Rate limit reached on plan "${refusal.plan}": ${refusal.violated.map(wordLimit).join("; ")}.${wordCost(refusal)}`
        : `Too many connection requests: ${refusal.violated.map(wordLimit).join("; ")}.`;
  }
}

function wordLoop({ kind, calls, windowMs }: Loop): string {
  const within = duration(windowMs);
  switch (kind) {
    case "identical":
      return `Loop stopped: this exact call was already let through ${calls} times within ${within}. Sending it again will not help: use the answer you have, change the arguments, or take another step.`;
    case "same-tool":
      return `Loop stopped: this tool was already called ${calls} times within ${within}, with whatever arguments. More of the same will not help: work with the answers you have, or take another step.`;
    case "in-a-row":
      return `Loop stopped: this exact call was let through ${calls} times in a row within ${within}, with no other in between. Sending it again will not help: use the answer you have, or take another step.`;
    case "taking-turns":
      return `Loop stopped: your last ${calls} calls within ${within} were this one and one other, taking turns. Going on like this will not help: use the answers you have, or take another step.`;
  }
}

function wordOrigin({ why, answer }: OriginLimit): string {
  const said = answer?.body.trim();
  const quoted = said ? ` It said: ${JSON.stringify(said.slice(0, MAX_QUOTED_CHARS))}.` : "";
  switch (why) {
    case "closed":
      return `The MCP server behind this gate has reached a limit of its own, which is not your plan's, and takes no more calls for now.${quoted}`;
    case "quota":
      return "The quota of the MCP server behind this gate, which all its callers share, is used up. It is not your plan's limit.";
    case "share":
      return "You have had your share of the quota of the MCP server behind this gate; the rest of it is for its other callers. It is not your plan's limit.";
  }
}

function wordCost({ cost }: Refusal): string {
  return cost === undefined ? "" : ` This one counts as ${cost}.`;
}

function wordWayOn(refusal: Refusal): string {
  const { retryAfterMs, passesAt, cause } = refusal;
  const about = refusal.isEstimated ? "about " : "";
  if (retryAfterMs > LONG_WAIT_MS) {
    const until = isoTime(Math.ceil(passesAt / 1_000) * 1_000);
    return `Do not wait for it: stop here and say that the limit holds until ${about}${until}.`;
  }
  const wait = `${about}${duration(retryAfterMs)}`;
  if (cause === "repeat") return `${refusal.loop?.kind === "same-tool" ? "Such a" : "The same"} call is possible again in ${wait}.`;
  return `Wait ${wait}, then send the same call again; sooner, it will be refused again.`;
}

export function wordLimit(limit: AnyLimit): string {
  const number = wordNumber(limit);
  return limit.scope === undefined ? number : `${number} for ${limit.scope}`;
}

function wordNumber(limit: AnyLimit): string {
  if (limit.kind === "concurrency") return `${limit.slot === "streams" ? `${limit.calls} open` : calls(limit.calls)} at once`;
  if (limit.kind === "rate") {
    return limit.burst === limit.perMinute
      ? `${calls(limit.burst)} a minute`
      : `${calls(limit.burst)} at once, refilled at ${limit.perMinute} a minute`;
  }
  return typeof limit.per === "number"
    ? `${calls(limit.calls)} in any ${duration(limit.per)}`
    : `${calls(limit.calls)} a ${limit.per} (UTC)`;
}

function calls(count: number): string {
  return count === 1 ? "1 call" : `${count} calls`;
}

/** Whole units, rounded up: "1 second", "90 seconds", "15 minutes", "2 hours", "7 days". */
export function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1_000);
  for (const [unit, size] of [
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
  ] as const) {
    if (seconds >= 2 * size && seconds % size === 0) return `${seconds / size} ${unit}s`;
  }
  return seconds === 1 ? "1 second" : `${seconds} seconds`;
}
