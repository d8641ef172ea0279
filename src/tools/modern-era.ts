/**
 * MCP 2026-07-28: no handshake; each request says in its `_meta` which revision it speaks and what its client can do. That
 * the headers say the same has been checked where the message was read.
 */

import { FIRST_MODERN_REVISION, revisionIn } from "../mcp/headers.ts";
import { isRecord } from "../mcp/message.ts";
import { callTool, CAPABILITIES, invalidParams, listTools, methodNotFound, type Reply, type RpcRequest, SERVER_INFO } from "./methods.ts";
import type { GateTool } from "./tool.ts";

/** Without the legacy ones: a client may take any of these and send it in `_meta`, where those have no meaning. */
export const MODERN_REVISIONS: readonly string[] = [FIRST_MODERN_REVISION];

const UNSUPPORTED_PROTOCOL_VERSION = -32022;
const CLIENT_CAPABILITIES_META = "io.modelcontextprotocol/clientCapabilities";
const SERVER_INFO_META = "io.modelcontextprotocol/serverInfo";
/** A deploy is noticed within minutes, and the tools are the same for every caller. */
const CACHEABLE = { ttlMs: 300_000, cacheScope: "public" } as const;

/**
 * @param versionHeader `MCP-Protocol-Version`
 * @param instructions for the model, about all the tools
 */
export async function answerModern(
  request: RpcRequest,
  versionHeader: string | null,
  tools: readonly GateTool[],
  instructions: string,
): Promise<Reply> {
  return checkEnvelope(request, versionHeader) ?? complete(await answer(request, tools, instructions));
}

/** What is wrong with the revision or with `_meta`. The revision comes first: another one's `_meta` may look different. */
function checkEnvelope(request: RpcRequest, versionHeader: string | null): Reply | null {
  const requested = revisionIn(request) ?? versionHeader;
  if (requested !== null && !MODERN_REVISIONS.includes(requested)) {
    const message = `This protocol version is not spoken here. Each request may speak ${MODERN_REVISIONS.join(" or ")}; older ones begin with initialize.`;
    return {
      ok: false,
      status: 400,
      error: { code: UNSUPPORTED_PROTOCOL_VERSION, message, data: { supported: MODERN_REVISIONS, requested } },
    };
  }
  const meta = request.params["_meta"];
  if (!isRecord(meta)) return invalidParams('The member "params._meta" is missing. Every request must have it.', 400);
  if (revisionIn(request) === undefined) {
    return invalidParams('The member "io.modelcontextprotocol/protocolVersion" of "params._meta" must be a string.', 400);
  }
  if (!isRecord(meta[CLIENT_CAPABILITIES_META])) {
    return invalidParams(`The member "${CLIENT_CAPABILITIES_META}" of "params._meta" must be an object.`, 400);
  }
  return null;
}

async function answer(request: RpcRequest, tools: readonly GateTool[], instructions: string): Promise<Reply> {
  switch (request.method) {
    case "server/discover":
      return { ok: true, result: { supportedVersions: MODERN_REVISIONS, capabilities: CAPABILITIES, instructions, ...CACHEABLE } };
    case "tools/list": {
      const reply = listTools(request, tools);
      return reply.ok ? { ok: true, result: { ...reply.result, ...CACHEABLE } } : reply;
    }
    case "tools/call":
      return callTool(request, tools);
    default:
      return methodNotFound(request.method, 404);
  }
}

/** What every result of this era carries. */
function complete(reply: Reply): Reply {
  if (!reply.ok) return reply;
  return { ok: true, result: { resultType: "complete", ...reply.result, _meta: { [SERVER_INFO_META]: SERVER_INFO } } };
}
