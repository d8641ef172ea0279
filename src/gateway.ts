/**
 * One request to an MCP endpoint from start to end: identify, read, look at what was paid, price and ask, then refuse, or hold, forward,
 * observe and settle.
 * One direction; no step reaches back. The steps decide in their own rooms, this file puts them in order.
 */

import { askForCaller } from "./passage/ask-for-caller.ts";
import { identifyOrTurnAway } from "./consumers/turn-away.ts";
import { answerOwnTool, listOwnTools } from "./endpoints/tools.ts";
import { type Decision, describePassage, type Pass, type Refused } from "./passage/decision.ts";
import type { Gate, GateEnv } from "./gate.ts";
import { holdKey } from "./passage/hold.ts";
import type { Body } from "./mcp/body.ts";
import { readPost } from "./mcp/read-post.ts";
import { consumerHeaders } from "./origin/consumer-headers.ts";
import { forwardedHeaders, originAddress, sendToOrigin } from "./origin/forward.ts";
import { translateChallenge } from "./origin/sign-in.ts";
import { siteNames } from "./origin/site-names.ts";
import { hearAnswer, takeOfOrigin } from "./passage/origin-limits.ts";
import { offersFor } from "./passage/offer.ts";
import type { Passage } from "./passage/passage.ts";
import { NO_PAYMENT } from "./passage/shop.ts";
import { refusalAnswer } from "./refusals/answer.ts";
import { badMessageAnswer, goneAnswer, originUnreachableAnswer } from "./refusals/gate-errors.ts";
import { refusalLine } from "./refusals/log.ts";
import { rateLimitFields } from "./refusals/ratelimit-fields.ts";
import { giveBack, giveUp, learnOfBearer, settleAtEnd } from "./passage/settle.ts";

/** @param read the body, when it has already been read to find out that this is MCP */
export async function passMcp(request: Request, url: URL, env: GateEnv, ctx: ExecutionContext, gate: Gate, read?: Body): Promise<Response> {
  const accept = request.headers.get("accept");

  const identified = await identifyOrTurnAway(request, env, gate);
  if (!identified.ok) return identified.response;

  const post = request.method === "POST" ? await readPost(request, read) : NO_POST;
  if (!post.ok) return badMessageAnswer(post.bad, accept);

  const requestId = crypto.randomUUID();
  const { messages, isBatch } = post.envelope;
  const shown = gate.shop ? await gate.shop.look(request, messages, gate, env) : NO_PAYMENT;
  if (shown.kind === "pending") return shown.answer({ messages, isBatch, accept });
  const payment = shown.kind === "paid" ? shown.paid : null;
  const passage: Passage = { request, url, env, ctx, gate, requestId, messages, isBatch, payment, accept, body: post.body };
  const own = answerOwnTool(passage);
  if (own) return own;
  const asked = await askForCaller(passage, identified.caller, Date.now());
  if (asked.kind !== "pass") return turnBack(passage, asked);
  const ended = await hold(passage, asked);
  if (ended) return ended;
  const shared = await takeOfOrigin(passage, asked);
  return shared.kind === "pass" ? forward(passage, shared) : turnBack(passage, shared);
}

const NO_POST = { ok: true, envelope: { messages: [], isBatch: false }, body: null } as const;

function turnBack(passage: Passage, decision: Exclude<Decision, Pass>): Response | Promise<Response> {
  return decision.kind === "answer" ? decision.response : say(passage, decision);
}

/** The refusal, said so that it helps, with a way on where there is one, and logged. */
async function say(passage: Passage, refused: Refused): Promise<Response> {
  const { caller, terms, isRemembered, payable } = refused;
  const refusal = payable ? { ...refused.refusal, ...(await offersFor(passage, refused)) } : refused.refusal;
  passage.gate.log(refusalLine(refusal, caller.id, describePassage(passage), isRemembered));
  return refusalAnswer(refusal, passage, terms.refuse === "result", Date.now());
}

/** @returns null when the call may go on, or the answer to one that ended while it was held */
async function hold(passage: Passage, pass: Pass): Promise<Response | null> {
  const { gate, request, messages, body } = passage;
  const sessionId = request.headers.get("mcp-session-id");
  gate.holds.cancelNamedIn(messages, pass.caller.id, sessionId);
  if (pass.waitMs === 0) return null;
  const [first] = messages;
  const key = messages.length === 1 && first?.kind === "request" ? holdKey(pass.caller.id, sessionId, first.id) : null;
  const end = await gate.holds.hold(pass.waitMs, body?.length ?? 0, key, request.signal);
  if (end === "over") return null;
  giveBack(passage, pass);
  return goneAnswer(passage);
}

/** On to the origin, and its answer back as it streams. What the origin did not get is given back. */
async function forward(passage: Passage, pass: Pass): Promise<Response> {
  const { request, url, env, gate, requestId } = passage;
  const { method, signal } = request;
  const address = originAddress(gate.policy.origin, url, gate.policy.mcpPaths[0]!);
  const told = await consumerHeaders(pass, requestId, env.ORIGIN_SIGNING_SECRET, { method, path: address.path }, Date.now());
  const headers = forwardedHeaders(request.headers, pass.caller.consumedHeader, gate.shop !== null, told);
  // What is no POST has not been read, and is the origin's to make sense of.
  const body = passage.body ?? request.body;
  let response: Response;
  try {
    response = await sendToOrigin(gate.policy.origin, address.url, { method, headers, body, signal }, env);
  } catch (error) {
    if (signal.aborted) {
      giveUp(passage, pass);
      return goneAnswer(passage);
    }
    giveBack(passage, pass);
    gate.log({ event: "origin-unreachable", consumer: pass.caller.id, problem: String(error), requestId });
    return originUnreachableAnswer(requestId, passage);
  }
  const heard = await hearAnswer(passage, pass, response);
  if ("refusal" in heard) return say(passage, heard);
  if (response.status === 502 || response.status === 503) giveBack(passage, pass);
  learnOfBearer(passage, pass, response.status, Date.now());
  const answer = withLimits(await listOwnTools(passage, heard), pass);
  if (answer.status >= 400) nameGateInChallenge(answer.headers, passage);
  return settleAtEnd(passage, pass, answer);
}

/** Where a client that must sign in is told to look is said by the gate's name, the one that the client has. */
function nameGateInChallenge(headers: Headers, { gate, url }: Passage): void {
  const challenge = headers.get("www-authenticate");
  if (challenge === null) return;
  const names = siteNames(gate.policy.origin, url, gate.policy.mcpPaths[0]!);
  const translated = names ? translateChallenge(challenge, names) : challenge;
  if (translated !== challenge) headers.set("WWW-Authenticate", translated);
}

/** The origin's answer, its body untouched, with what remains of the caller's limits. */
function withLimits(response: Response, pass: Pass): Response {
  const answer = new Response(response.body, response);
  answer.headers.delete("keep-alive");
  const fields = rateLimitFields(pass.metered, Date.now());
  if (fields) {
    answer.headers.set("RateLimit-Policy", fields.policy);
    answer.headers.set("RateLimit", fields.remaining);
  }
  return answer;
}
