/** What the gate itself has to say beside refusals: a message that cannot be read, a caller it does not know, an origin away. */

import type { Stranger } from "../consumers/identify.ts";
import { type AnyLimit, loopsIn } from "../limits/limit.ts";
import { limitsIn, type LimitSet } from "../limits/terms.ts";
import { type BadMessage, INVALID_REQUEST } from "../mcp/message.ts";
import { type Asked, NOBODY, plainProblem, problemAnswer } from "./answer.ts";
import { duration, wordLimit } from "./wording.ts";

export const UNAVAILABLE_RETRY_S = 5;
/** Whose 503 it is: a client may come again after one of the gate's, for nothing has run. */
export const EDGE_CAPACITY = { cause: "capacity", limiter: "edge" } as const;
/** nginx's code for a request whose client closed it; nobody is there to read it. */
const CLIENT_CLOSED_REQUEST = 499;

export function badMessageAnswer(bad: BadMessage, accept: string | null): Response {
  const title = bad.status === 413 ? "Body too large" : bad.status === 415 ? "Not JSON" : "Bad message";
  const problem = plainProblem(bad.status, title, bad.message);
  // An id that could not be read is left out: MCP 2026-07-28 allows no null.
  const message = bad.id === undefined ? { kind: "response" as const } : { kind: "request" as const, id: bad.id, method: "", params: {} };
  return problemAnswer(bad.code, bad.message, problem, {}, { messages: [message], isBatch: false, accept });
}

/** Why a request can never pass: more than some limits can give at once, a loop in itself, or too many names in one batch. */
export type Impossible = { readonly limits: readonly AnyLimit[] } | "loop" | "too-many-names";

export function impossibleAnswer(plan: string, why: Impossible, asked: Asked): Response {
  const remedy = asked.isBatch ? "send it in smaller parts" : "ask for less in one call";
  const detail = `This request asks for more than can ever pass at once (${wordImpossible(why)}). Waiting will not help: ${remedy}.`;
  return problemAnswer(INVALID_REQUEST, detail, plainProblem(400, "More than the plan can give at once", detail, { plan }), {}, asked);
}

/** @param violated the bits of a verdict that it is impossible */
export function whyImpossible(set: LimitSet, violated: number): Impossible {
  return loopsIn(violated).length > 0 ? "loop" : { limits: limitsIn(set, violated) };
}

function wordImpossible(why: Impossible): string {
  if (why === "loop") return "more calls of one kind than the loop breaker lets pass";
  if (why === "too-many-names") return "calls of too many tools with limits of their own";
  return why.limits.map(wordLimit).join("; ");
}

export function unknownPlanAnswer(plan: string, asked: Asked): Response {
  const detail = `The operator of this gate has put you on the plan "${plan}", which is not defined. Nothing was charged. Please tell the operator.`;
  return problemAnswer(503, detail, plainProblem(503, "Plan not defined", detail, EDGE_CAPACITY), {}, asked);
}

export function originUnreachableAnswer(requestId: string, asked: Asked): Response {
  const detail = "The MCP server behind this gate cannot be reached. The gate itself works, and nothing was charged; try again later.";
  const extensions = { cause: "origin", limiter: "origin", instance: `urn:uuid:${requestId}` };
  return problemAnswer(502, detail, plainProblem(502, "Origin unreachable", detail, extensions), {}, asked);
}

/** To a client that has left nobody listens; one that has cancelled ignores the answer, which must be one all the same. */
export function goneAnswer(asked: Asked): Response {
  const detail = "Cancelled while it was held at the gate: the origin never had it, and nothing was charged.";
  return problemAnswer(CLIENT_CLOSED_REQUEST, detail, plainProblem(CLIENT_CLOSED_REQUEST, "Cancelled", detail), {}, asked);
}

/** The caller's object cannot be asked: nothing is known to have happened. */
export function unavailableAnswer(): Response {
  const detail = "Your account cannot be reached at the moment. Try again in a few seconds.";
  const headers = { "Retry-After": String(UNAVAILABLE_RETRY_S) };
  return problemAnswer(503, detail, plainProblem(503, "Account cannot be reached", detail, EDGE_CAPACITY), headers, NOBODY);
}

export function tooManyRequestsAnswer(retryAfterMs: number): Response {
  const detail = `Too many requests to the gate itself: wait ${duration(retryAfterMs)}.`;
  const headers = { "Retry-After": String(Math.ceil(retryAfterMs / 1_000)) };
  return problemAnswer(
    429,
    detail,
    plainProblem(429, "Too many requests", detail, { retryAfterMs: Math.ceil(retryAfterMs) }),
    headers,
    NOBODY,
  );
}

/** @param allowed methods, as in `Allow` */
export function methodNotAllowedAnswer(allowed: string): Response {
  const detail = `This endpoint takes ${allowed}.`;
  return problemAnswer(405, detail, plainProblem(405, "Method not allowed", detail), { Allow: allowed }, NOBODY);
}

export function notFoundAnswer(path: string): Response {
  const detail = `The gate has no endpoint ${path}.`;
  return problemAnswer(404, detail, plainProblem(404, "No such endpoint", detail), {}, NOBODY);
}

/** A fault of the gate's own says nothing of what it was: that is in the log. */
export function faultAnswer(): Response {
  const detail = "The gate in front of this server has failed. The operator's log says more; try again later.";
  return problemAnswer(500, detail, plainProblem(500, "The gate failed", detail), {}, NOBODY);
}

export function foreignAnswer(what: "host" | "origin"): Response {
  const [title, detail] =
    what === "host"
      ? ["Foreign host", "Requests for this host name are not served here. The operator can list it under `allowedHosts`."]
      : ["Foreign origin", "Pages of this site may not call this server. The operator can list it under `allowedOrigins`."];
  return problemAnswer(403, detail, plainProblem(403, title, detail), {}, NOBODY);
}

const STRANGERS: Readonly<Record<Exclude<Stranger, "issuer-unavailable" | "keys-unavailable">, readonly [title: string, detail: string]>> =
  {
    "unknown-key": ["Unknown API key", "This API key is not known here. Check it for typing errors, or ask the operator for one."],
    "disabled-key": ["API key disabled", "This API key has been disabled. Ask the operator for another."],
    "expired-key": ["API key expired", "This API key has expired. Ask the operator for another."],
    "invalid-token": [
      "Token not valid",
      "This bearer token could not be verified: it may have expired, or be meant for another server. Get a new one.",
    ],
    "key-required": [
      "API key required",
      "This MCP server takes calls with an API key only: send it as `X-API-Key: <key>` or `Authorization: Bearer <key>`.",
    ],
    "key-or-bearer-required": [
      "API key or token required",
      "This MCP server takes calls with an API key or a bearer token only: sign in to get a token, or send a key as `X-API-Key: <key>`.",
    ],
  };

/**
 * To a caller that could not be identified: 401, and never a hint at what would be right.
 * @param retryAfterMs set when its address has made too many such attempts
 */
export function strangerAnswer(why: Stranger, retryAfterMs: number | null): Response {
  if (why === "issuer-unavailable" || why === "keys-unavailable") {
    const what = why === "keys-unavailable" ? "API key" : "bearer token";
    const detail = `Your ${what} cannot be checked at the moment. Nothing is known to be wrong with it: try again in a few seconds.`;
    const headers = { "Retry-After": String(UNAVAILABLE_RETRY_S) };
    return problemAnswer(503, detail, plainProblem(503, "Caller cannot be checked", detail, EDGE_CAPACITY), headers, NOBODY);
  }
  const [title, detail] = STRANGERS[why];
  if (retryAfterMs !== null) {
    const slow = `${detail} There were too many such attempts from your address: wait ${duration(retryAfterMs)} before the next.`;
    const headers = { "Retry-After": String(Math.ceil(retryAfterMs / 1_000)) };
    return problemAnswer(429, slow, plainProblem(429, "Too many attempts", slow, { retryAfterMs }), headers, NOBODY);
  }
  const challenge = why === "invalid-token" ? 'Bearer error="invalid_token"' : "Bearer";
  return problemAnswer(401, detail, plainProblem(401, title, detail), { "WWW-Authenticate": challenge }, NOBODY);
}
