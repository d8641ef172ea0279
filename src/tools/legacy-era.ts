/**
 * MCP up to 2025-11-25: a handshake, then requests. Nothing is kept of the handshake, so there is no session id, and
 * requests are answered with or without it.
 */

import { callTool, CAPABILITIES, invalidParams, listTools, methodNotFound, type Reply, type RpcRequest, SERVER_INFO } from "./methods.ts";
import type { GateTool } from "./tool.ts";

/** The latest last. */
export const LEGACY_REVISIONS: readonly string[] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
/** 2025-06-18 and later want a single message in each POST. */
export const BATCH_REVISIONS: readonly string[] = ["2024-11-05", "2025-03-26"];

/** @param instructions for the model, about all the tools */
export async function answerLegacy(request: RpcRequest, tools: readonly GateTool[], instructions: string): Promise<Reply> {
  switch (request.method) {
    case "initialize": {
      const asked = request.params["protocolVersion"];
      if (typeof asked !== "string") return invalidParams('The member "params.protocolVersion" must be a string.');
      // A revision that is not spoken here is answered with the latest that is (2025-11-25, "Version Negotiation").
      const protocolVersion = LEGACY_REVISIONS.includes(asked) ? asked : LEGACY_REVISIONS.at(-1);
      return { ok: true, result: { protocolVersion, capabilities: CAPABILITIES, serverInfo: SERVER_INFO, instructions } };
    }
    case "ping":
      return { ok: true, result: {} };
    case "tools/list":
      return listTools(request, tools);
    case "tools/call":
      return callTool(request, tools);
    default:
      return methodNotFound(request.method, 200);
  }
}
