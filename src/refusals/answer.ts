/** A refusal, or any other answer of the gate's own, in the form that the request can read. */

import { challengeValues } from "../challenges/www-authenticate.ts";
import type { Message, RequestId } from "../mcp/message.ts";
import type { Problem } from "./problem.ts";
import { problemOf } from "./problem.ts";
import { type MeteredLimit, rateLimitFields } from "./ratelimit-fields.ts";
import type { Refusal } from "./refusal.ts";
import { wordRefusal } from "./wording.ts";

/** What the answer depends on: the messages of the POST (none for other requests), and what the client accepts. */
export interface Asked {
  readonly messages: readonly Message[];
  readonly isBatch: boolean;
  readonly accept: string | null;
}

/** For an answer to a request that is no JSON-RPC, or whose sender is not known. */
export const NOBODY: Asked = { messages: [], isBatch: false, accept: null };

/** Plain: a `Headers` is made once, by the response. */
type AnswerHeaders = Readonly<Record<string, string>>;

const REFUSAL_META = "turnpike/refusal";

/**
 * @param asResult answer a tools/call with a tool result that says `isError`, status 200: the one shape that every client
 * hands to the model as the tool's answer
 */
export function refusalAnswer(refusal: Refusal, asked: Asked, asResult: boolean, now: number): Response {
  const isAllToolCalls = asked.messages.every((message) => message.kind === "request" && message.method === "tools/call");
  const isResult = asResult && asked.messages.length > 0 && isAllToolCalls;
  const text = isResult ? wordRefusal(refusal, `this result's _meta, "${REFUSAL_META}"`) : wordRefusal(refusal);
  const problem = problemOf(refusal, text);
  const headers: Record<string, string> = { "Retry-After": String(Math.ceil(refusal.retryAfterMs / 1_000)) };
  const fields = rateLimitFields(
    refusal.meters.map((metered) => withoutLaterReset(metered, refusal)),
    now,
  );
  if (fields) {
    headers["RateLimit-Policy"] = fields.policy;
    headers["RateLimit"] = fields.remaining;
  }
  const ways = challengeValues(refusal.challenges ?? []);
  if (ways.length > 0) headers["WWW-Authenticate"] = ways.join(", ");
  if (isResult) {
    // No structuredContent: SDK 1.x checks it against the tool's schema and throws the whole answer away.
    const result = {
      resultType: "complete",
      isError: true,
      content: [{ type: "text", text }],
      _meta: { [REFUSAL_META]: problem },
    };
    return jsonRpcAnswer(200, headers, asked, (id) => ({ jsonrpc: "2.0", id, result }));
  }
  return problemAnswer(problem.status, text, problem, headers, asked);
}

/**
 * An error of the gate's own, as JSON-RPC to a JSON-RPC request and as Problem Details to anything else. The status is the
 * problem's.
 * @param code the JSON-RPC error code: the HTTP status, where the specification has none of its own
 */
export function problemAnswer(code: number, message: string, problem: Problem, headers: AnswerHeaders, asked: Asked): Response {
  const { status } = problem;
  if (asked.messages.length === 0 || prefersProblem(asked.accept)) {
    return ownAnswer(status, "application/problem+json", problem, headers);
  }
  const error = { code, message, data: problem };
  return jsonRpcAnswer(status, headers, asked, (id) => ({ jsonrpc: "2.0", ...(id === undefined ? {} : { id }), error }));
}

/** A problem that has no type of its own: the status says it all (RFC 9457, "about:blank"). */
export function plainProblem(status: number, title: string, detail: string, extensions: Readonly<Record<string, unknown>> = {}): Problem {
  return { type: "about:blank", title, status, detail, ...extensions };
}

/**
 * `Retry-After` should not name an earlier time than any `t`: only limits that refuse keep theirs, and where a credit will pay
 * before the limit itself has more, it is that time.
 */
function withoutLaterReset({ limit, meter }: MeteredLimit, { violated, retryAfterMs }: Refusal): MeteredLimit {
  return { limit, meter: { ...meter, resetMs: violated.includes(limit) ? Math.min(meter.resetMs, retryAfterMs) : 0 } };
}

function jsonRpcAnswer(status: number, headers: AnswerHeaders, asked: Asked, answer: (id: RequestId | undefined) => unknown): Response {
  const ids = asked.messages.flatMap((message) => (message.kind === "request" ? [message.id] : []));
  // Nothing in the POST has an id to answer to: an error without one, as for a message that could not be read.
  const body = asked.isBatch && ids.length > 0 ? ids.map(answer) : answer(ids[0]);
  return ownAnswer(status, "application/json", body, headers);
}

function ownAnswer(status: number, type: string, body: unknown, headers: AnswerHeaders): Response {
  const all = { "Content-Type": type, "Cache-Control": "no-store", ...headers };
  return new Response(JSON.stringify(body), { status, headers: all });
}

function prefersProblem(accept: string | null): boolean {
  return accept !== null && accept.includes("application/problem+json") && !/application\/json|\*\/\*/.test(accept);
}
