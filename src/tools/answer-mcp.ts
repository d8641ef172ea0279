/**
 * An MCP server for the gate's own tools, of both protocol eras on one URL. Written by hand: the official SDK's would make
 * the Worker some 85 KB larger for three tools. It keeps nothing between requests, answers with JSON only, and has no
 * streams, since its tools answer at once and have nothing to tell meanwhile.
 *
 * Which era a request is of is told by the request alone: whoever names a revision in the body's `_meta` is modern.
 */

import { type Envelope, INVALID_REQUEST, type Message } from "../mcp/message.ts";
import { readPost } from "../mcp/read-post.ts";
import { revisionIn } from "../mcp/headers.ts";
import { NOBODY, plainProblem, problemAnswer } from "../refusals/answer.ts";
import { badMessageAnswer } from "../refusals/gate-errors.ts";
import { answerLegacy, BATCH_REVISIONS, LEGACY_REVISIONS } from "./legacy-era.ts";
import type { Reply, RpcRequest } from "./methods.ts";
import { answerModern, MODERN_REVISIONS } from "./modern-era.ts";
import type { GateTool } from "./tool.ts";

/** What the server has to offer, and what it says of it as a whole. */
export interface ToolServer {
  readonly tools: readonly GateTool[];
  /** For the model, in the answers to `initialize` and `server/discover`. */
  readonly instructions: string;
}

/**
 * A request to the server's endpoint, of any method. Host, `Origin` and the caller's limits are looked at before.
 * Rejects when a tool does, which is a fault of the gate.
 */
export async function serveTools(request: Request, server: ToolServer): Promise<Response> {
  if (request.method !== "POST") return methodNotAllowed();
  const post = await readPost(request, undefined);
  return post.ok ? answerMcp(post.envelope, request.headers, server) : badMessageAnswer(post.bad, request.headers.get("accept"));
}

/**
 * The answer to a POST that has been read, and whose headers agree with its body (mcp/read-post.ts): JSON-RPC, or 202
 * without a body when there is nothing to answer to.
 */
export async function answerMcp(envelope: Envelope, headers: Headers, server: ToolServer): Promise<Response> {
  const version = headers.get("mcp-protocol-version");
  if (envelope.isBatch) return answerBatch(envelope.messages, version, server);
  const message = envelope.messages[0]!;
  if (message.kind !== "request") return accepted();
  const reply = isModern(message, version)
    ? await answerModern(message, version, server.tools, server.instructions)
    : await answerLegacy(message, server.tools, server.instructions);
  return json(reply.ok ? 200 : reply.status, response(message, reply));
}

/**
 * A header that names no revision of the handshake era is that of a modern request which lacks its `_meta`, and is told so;
 * except on `initialize`, whose revision is in the body, and to which clients add what headers they like.
 */
function isModern(request: RpcRequest, versionHeader: string | null): boolean {
  if (revisionIn(request) !== undefined) return true;
  if (versionHeader === null || LEGACY_REVISIONS.includes(versionHeader)) return false;
  return request.method !== "initialize" || MODERN_REVISIONS.includes(versionHeader);
}

/** One after another, so that what follows a `verify` in the same batch finds its credit. */
async function answerBatch(messages: readonly Message[], version: string | null, server: ToolServer): Promise<Response> {
  if (version !== null && !BATCH_REVISIONS.includes(version)) {
    return badMessageAnswer(
      { status: 400, code: INVALID_REQUEST, message: "Batches ended with MCP 2025-03-26. Send one message in each POST." },
      null,
    );
  }
  const responses: object[] = [];
  for (const message of messages) {
    if (message.kind !== "request") continue;
    const reply = message.method === "initialize" ? INITIALIZE_IN_BATCH : await answerLegacy(message, server.tools, server.instructions);
    responses.push(response(message, reply));
  }
  return responses.length === 0 ? accepted() : json(200, responses);
}

/** 2025-03-26, "Initialization": it must not be part of a batch. */
const INITIALIZE_IN_BATCH: Reply = {
  ok: false,
  status: 200,
  error: { code: INVALID_REQUEST, message: "Send initialize in a POST of its own." },
};

function response({ id }: RpcRequest, reply: Reply): object {
  return reply.ok ? { jsonrpc: "2.0", id, result: reply.result } : { jsonrpc: "2.0", id, error: reply.error };
}

function json(status: number, body: object): Response {
  return Response.json(body, { status, headers: NO_STORE });
}

function accepted(): Response {
  return new Response(null, { status: 202, headers: NO_STORE });
}

/** GET would open a stream and DELETE end a session; there is neither. */
function methodNotAllowed(): Response {
  const detail = "This endpoint takes MCP messages by POST alone.";
  return problemAnswer(405, detail, plainProblem(405, "Method not allowed", detail), { Allow: "POST" }, NOBODY);
}

const NO_STORE = { "Cache-Control": "no-store" } as const;
