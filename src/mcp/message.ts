/**
 * What a POST to an MCP endpoint says: one JSON-RPC message, or a batch of them (2024-11-05 and 2025-03-26 allow it, and
 * servers of every revision still execute it). Parsed once, here, into exact types.
 */

import { scanEnvelope } from "./scan.ts";

/** The most messages in one batch: what the official SDKs execute. */
export const MAX_BATCH = 100;

export type RequestId = string | number;

export type Message =
  | {
      readonly kind: "request";
      readonly id: RequestId;
      readonly method: string;
      readonly params: Readonly<Record<string, unknown>>;
    }
  | { readonly kind: "notification"; readonly method: string; readonly params: Readonly<Record<string, unknown>> }
  /** The client's answer to a request of the server's own. */
  | { readonly kind: "response" };

export interface Envelope {
  readonly messages: readonly Message[];
  readonly isBatch: boolean;
}

/** JSON-RPC 2.0 error codes, and the one of MCP 2026-07-28 that a gate may have to send. */
export const PARSE_ERROR = -32700;
export const INVALID_REQUEST = -32600;
export const HEADER_MISMATCH = -32020;

export interface BadMessage {
  readonly status: 400 | 413 | 415;
  readonly code: typeof PARSE_ERROR | typeof INVALID_REQUEST | typeof HEADER_MISMATCH;
  readonly message: string;
  /** Set when the body could be read that far. */
  readonly id?: RequestId;
}

export type Parsed = { readonly ok: true; readonly envelope: Envelope } | { readonly ok: false; readonly bad: BadMessage };

/** @param text the body, decoded from UTF-8 */
export function parseMessages(text: string): Parsed {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return refuse(PARSE_ERROR, "The body is not valid JSON. Send one JSON-RPC 2.0 message encoded as UTF-8.");
  }
  const problem = scanEnvelope(text);
  if (problem?.kind === "too-deep") {
    return refuse(INVALID_REQUEST, "The body is nested too deeply. Flatten the arguments to at most 128 levels.");
  }
  if (problem) {
    const key = JSON.stringify(problem.key.slice(0, 64));
    return refuse(
      INVALID_REQUEST,
      `The key ${key} stands twice in the message. Send each key of the message, its params and their _meta once.`,
    );
  }
  if (!Array.isArray(json)) {
    const message = readMessage(json);
    return typeof message === "string" ? refuse(INVALID_REQUEST, message, idOf(json)) : accept([message], false);
  }
  if (json.length === 0) return refuse(INVALID_REQUEST, "The batch is empty. Send at least one message.");
  if (json.length > MAX_BATCH) {
    return refuse(INVALID_REQUEST, `The batch has ${json.length} messages; at most ${MAX_BATCH} are accepted. Send it in parts.`);
  }
  const messages: Message[] = [];
  for (const [i, item] of json.entries()) {
    const message = readMessage(item);
    if (typeof message === "string") return refuse(INVALID_REQUEST, `Message ${i} of the batch: ${message}`);
    messages.push(message);
  }
  return accept(messages, true);
}

/** The message, or what is wrong with it. */
function readMessage(json: unknown): Message | string {
  if (!isRecord(json)) return "A JSON-RPC message must be an object.";
  if (json["jsonrpc"] !== "2.0") return 'The member "jsonrpc" must be "2.0".';
  const method = json["method"];
  if (method === undefined) {
    if ("result" in json || "error" in json) return { kind: "response" };
    return 'A message must have the member "method", or "result" or "error" when it is an answer.';
  }
  if (typeof method !== "string") return 'The member "method" must be a string.';
  const params = json["params"];
  if (params !== undefined && !isRecord(params)) return 'The member "params" must be an object.';
  if (!("id" in json)) return { kind: "notification", method, params: params ?? NO_PARAMS };
  const id = idOf(json);
  if (id === undefined) return 'The member "id" must be a string or a number.';
  return { kind: "request", id, method, params: params ?? NO_PARAMS };
}

const NO_PARAMS: Readonly<Record<string, unknown>> = Object.freeze({});

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function idOf(json: unknown): RequestId | undefined {
  const id = isRecord(json) ? json["id"] : undefined;
  return typeof id === "string" || typeof id === "number" ? id : undefined;
}

function accept(messages: readonly Message[], isBatch: boolean): Parsed {
  return { ok: true, envelope: { messages, isBatch } };
}

function refuse(code: BadMessage["code"], message: string, id?: RequestId): Parsed {
  return { ok: false, bad: { status: 400, code, message, ...(id === undefined ? {} : { id }) } };
}
