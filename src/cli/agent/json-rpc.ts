/** The little of JSON-RPC that the bridge looks at. Messages pass as they are; these only look. */

import type { JSONRPCMessage } from "@modelcontextprotocol/client";
import { TurnpikeError } from "../../client/index.ts";

export type Message = JSONRPCMessage;
export type RequestId = string | number;

/** For what has no code of the gate's or the server's own (JSON-RPC 2.0, 5.1: implementation-defined). */
const BRIDGE_ERROR = -32_000;
const PROTOCOL_VERSION = "io.modelcontextprotocol/protocolVersion";

export function requestIdOf(message: Message): RequestId | null {
  return "method" in message && "id" in message && message.id !== undefined ? message.id : null;
}

export function responseIdOf(message: Message): RequestId | null {
  return !("method" in message) && message.id !== undefined ? message.id : null;
}

/** The request that a notification cancels. */
export function cancelledIdOf(message: Message): RequestId | null {
  if (!("method" in message) || message.method !== "notifications/cancelled") return null;
  const id = message.params?.["requestId"];
  return typeof id === "string" || typeof id === "number" ? id : null;
}

export function progressTokenOf(message: Message): RequestId | null {
  const token = metaOf(message)["progressToken"];
  return typeof token === "string" || typeof token === "number" ? token : null;
}

/** MCP 2026-07-28 and later name their revision in every message. */
export function isModern(message: Message): boolean {
  return typeof metaOf(message)[PROTOCOL_VERSION] === "string";
}

/** What the request is called where people read it: its method, and the tool of a call. */
export function nameOf(message: Message): string {
  if (!("method" in message)) return "a response";
  const name = message.params?.["name"];
  return typeof name === "string" ? `${message.method} ${name}` : message.method;
}

/**
 * The error to answer a request with that could not be sent, or was refused: the gate's or the server's own where there is one,
 * which the SDK has made into the text of an exception.
 */
export function errorAnswer(id: RequestId, error: unknown): Message {
  return { jsonrpc: "2.0", id, error: ownError(error) ?? { code: BRIDGE_ERROR, message: messageOf(error) } };
}

export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return error.message + cause;
}

interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

function ownError(error: unknown): RpcError | null {
  if (error instanceof TurnpikeError) return { code: error.code, message: error.message, data: error.data };
  const { status, text } = record(record(error)["data"]);
  if (typeof text !== "string") return null;
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return null;
  }
  const answer = record(Array.isArray(body) ? body[0] : body);
  const { code, message, data } = record(answer["error"]);
  if (Number.isInteger(code) && typeof message === "string")
    return { code: code as number, message, ...(data === undefined ? {} : { data }) };
  // Problem Details (RFC 9457), as to callers that the gate does not know.
  const { title, detail } = answer;
  if (typeof status !== "number" || typeof title !== "string") return null;
  return { code: status, message: typeof detail === "string" ? detail : title, data: answer };
}

function metaOf(message: Message): Readonly<Record<string, unknown>> {
  return record("method" in message ? message.params?.["_meta"] : undefined);
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
