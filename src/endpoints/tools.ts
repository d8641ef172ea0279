/** The gate's MCP tools for the caller at hand: at an endpoint of their own, and among the origin's tools where the policy wants it. */

import { type GateActions, gateToolServer, gateTools, type Outcome } from "../tools/definitions.ts";
import { answerMcp, serveTools } from "../tools/answer-mcp.ts";
import { addOwnTools, isOwnToolCall } from "../tools/in-origin-list.ts";
import { type BadMessage, INVALID_REQUEST, type Message } from "../mcp/message.ts";
import type { Passage } from "../passage/passage.ts";
import { badMessageAnswer } from "../refusals/gate-errors.ts";
import { type Visit, type Visitor, visitorOf } from "./caller.ts";
import type { Done } from "./done.ts";
import { makeChallenge } from "./make-challenge.ts";
import { readStatus } from "./read-status.ts";
import { redeemProof } from "./redeem.ts";

/** `/mcp` under the prefix: an MCP server of both eras. */
export function toolsServer(visit: Visit): Promise<Response> {
  return serveTools(visit.request, gateToolServer(actionsFor(visit)));
}

/** The answer to a call of one of the gate's tools by their prefixed name; null for everything else. */
export function answerOwnTool(passage: Passage): Promise<Response> | Response | null {
  const { gate, messages, isBatch, accept, request } = passage;
  const { ownTools } = gate.policy;
  if (ownTools === null || messages.length === 0) return null;
  const isOwn = (message: Message): boolean => isOwnToolCall(message, ownTools.prefix, gate.takenNames);
  if (!messages.some(isOwn)) return null;
  if (!messages.every(isOwn)) return badMessageAnswer(MIXED, accept);
  const tools = gateTools(actionsFor(passage), ownTools.prefix);
  return answerMcp({ messages, isBatch }, request.headers, { tools, instructions: "" });
}

const MIXED: BadMessage = {
  status: 400,
  code: INVALID_REQUEST,
  message: "The batch calls tools of the gate and of the server behind it. Send these in POSTs of their own.",
};

/** The origin's answer, with the gate's tools where it lists its own. */
export function listOwnTools(passage: Passage, response: Response): Response | Promise<Response> {
  const { gate, messages } = passage;
  const { ownTools } = gate.policy;
  if (ownTools === null || !messages.some((message) => message.kind === "request" && message.method === "tools/list")) return response;
  return addToList(passage, response, ownTools.prefix);
}

async function addToList(passage: Passage, response: Response, prefix: string): Promise<Response> {
  const { gate, messages } = passage;
  const known = gate.takenNames.size;
  const added = await addOwnTools(response, messages, { tools: gateTools(actionsFor(passage), prefix), taken: gate.takenNames });
  if (gate.takenNames.size > known) {
    const problem = `the origin has tools of these names itself: ${[...gate.takenNames].join(", ")}. Choose another prefix.`;
    gate.logOnce({ event: "policy-error", where: "ownTools.prefix", problem });
  }
  return added;
}

function actionsFor(visit: Visit): GateActions {
  // Asked for each call: a batch of a hundred is a hundred visits.
  const who = (): Promise<Visitor> => visitorOf(visit);
  const asKnown = async <T>(act: (known: Visitor & { ok: true }) => Promise<Done<T>>): Promise<Outcome<T>> => {
    const known = await who();
    return known.ok ? outcomeOf(await act(known)) : outcomeOf(known);
  };
  return {
    challenge: (type) => asKnown((known) => makeChallenge(visit, known, type)),
    status: () => asKnown((known) => readStatus(visit, known)),
    payments: visit.gate.shop?.texts ?? null,
    verify: async (proof) => outcomeOf(await redeemProof(visit, proof, who)),
  };
}

/** A problem is told to the model in its own words. */
async function outcomeOf<T>(done: Done<T>): Promise<Outcome<T>> {
  if (done.ok) return done;
  const { detail } = await done.response.json<{ detail: string }>();
  return { ok: false, detail };
}
