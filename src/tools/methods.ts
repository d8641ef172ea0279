/** `tools/list` and `tools/call`, which are the same in every revision, and what the answers to all methods are made of. */

import { isRecord, type Message } from "../mcp/message.ts";
import { callResult, type GateTool, toolEntry } from "./tool.ts";

export type RpcRequest = Message & { readonly kind: "request" };

export type Reply =
  | { readonly ok: true; readonly result: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly status: 200 | 400 | 404; readonly error: RpcError };

export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: object;
}

/** JSON-RPC 2.0. */
export const METHOD_NOT_FOUND = -32601;
export const INVALID_PARAMS = -32602;

export const SERVER_INFO = { name: "turnpike", title: "Turnpike", version: "0.1.0" } as const;
/** No `listChanged`: the tools change with a deploy only. */
export const CAPABILITIES = { tools: {} } as const;
/** How much of a name that is not ours is repeated in an answer. */
const MAX_ECHO_CHARS = 128;

export function listTools({ params }: RpcRequest, tools: readonly GateTool[]): Reply {
  // All on one page: no cursor has ever been given out. Null and none are the same (MCP, "Pagination").
  if (params["cursor"] !== undefined && params["cursor"] !== null) return invalidParams("This cursor is not one of this server's.");
  return { ok: true, result: { tools: tools.map(toolEntry) } };
}

/** An unknown tool is an error of the protocol; wrong arguments are the tool's own to explain (MCP, "Error Handling" of tools). */
export async function callTool({ params }: RpcRequest, tools: readonly GateTool[]): Promise<Reply> {
  const { name, arguments: args = {} } = params;
  if (typeof name !== "string") return invalidParams('The member "params.name" must be a string.');
  if (!isRecord(args)) return invalidParams('The member "params.arguments" must be an object.');
  const tool = tools.find((tool) => tool.name === name);
  if (!tool) {
    const known = tools.map((tool) => tool.name).join(", ");
    return invalidParams(`Unknown tool: ${name.slice(0, MAX_ECHO_CHARS)}. There are: ${known}.`);
  }
  return { ok: true, result: callResult(await tool.call(args)) };
}

export function invalidParams(message: string, status: 200 | 400 = 200): Reply {
  return { ok: false, status, error: { code: INVALID_PARAMS, message } };
}

/** @param status 404 in the modern era alone: for older clients it would mean that their session has ended */
export function methodNotFound(method: string, status: 200 | 404): Reply {
  return { ok: false, status, error: { code: METHOD_NOT_FOUND, message: `Method not found: ${method.slice(0, MAX_ECHO_CHARS)}` } };
}
