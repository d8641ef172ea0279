/**
 * The gate's tools among the origin's own, where the policy wants them there: they stand at the end of its `tools/list`
 * under a prefix, and calls of them are answered at the gate. An agent then needs no second connection to get past a refusal.
 *
 * Lists are read in the answers to POSTs. A stream that is opened by GET (HTTP+SSE of 2024-11-05, or one that is resumed)
 * passes as it is: nothing tells which request its answers are to, and a list without these tools is a good list.
 */

import type { Message, RequestId } from "../mcp/message.ts";
import { appendTools, type OwnTools } from "./append-tools.ts";
import { TOOL_NAMES } from "./definitions.ts";
import { editEvents } from "./event-stream.ts";
import { insertAll } from "./insertion.ts";

/** A list of a thousand well described tools has about one; what is larger passes without ours. */
export const MAX_LIST_BYTES = 4 * 1024 * 1024;

/** Codings that the platform undoes when a body is read. In another one there is nothing to be read. */
const READABLE_CODINGS = new Set(["identity", "gzip", "br"]);
/** They are of the body as it came. */
const BODY_HEADERS = ["content-length", "transfer-encoding", "content-encoding", "content-digest", "repr-digest", "etag"];

/**
 * Whether a message calls a tool of the gate's own.
 * @param prefix as the tools were named with
 * @param taken names that are the origin's (`OwnTools`). One that no list has shown yet in this isolate is taken for the
 * gate's: the operator of an origin with such a name should choose another prefix.
 */
export function isOwnToolCall(message: Message, prefix: string, taken: ReadonlySet<string>): boolean {
  if (message.kind !== "request" || message.method !== "tools/call") return false;
  const { name } = message.params;
  return typeof name === "string" && !taken.has(name) && TOOL_NAMES.some((own) => name === prefix + own);
}

/**
 * The origin's answer to a POST, with the gate's tools where it answers `tools/list`. Everything else in it is as it came,
 * and when it came, in a stream; an answer that cannot be added to is the very same response.
 * @param messages what was asked
 * @param maxBytes of a JSON answer, or of one event
 */
export async function addOwnTools(
  response: Response,
  messages: readonly Message[],
  own: OwnTools,
  maxBytes = MAX_LIST_BYTES,
): Promise<Response> {
  const waiting = idsOfLists(messages);
  if (waiting.size === 0 || response.status !== 200 || response.body === null) return response;
  if (!READABLE_CODINGS.has((response.headers.get("content-encoding") ?? "identity").toLowerCase())) return response;
  switch (mediaType(response.headers)) {
    case "application/json":
      return addToJson(response, waiting, own, maxBytes);
    case "text/event-stream": {
      const edit = { edit: (data: string) => appendTools(data, waiting, own), isDone: () => waiting.size === 0 };
      return withBody(response, response.body.pipeThrough(editEvents(edit, maxBytes)));
    }
    default:
      return response;
  }
}

async function addToJson(response: Response, waiting: Set<RequestId>, own: OwnTools, maxBytes: number): Promise<Response> {
  if (Number(response.headers.get("content-length") ?? 0) > maxBytes) return response;
  // A copy is read, so that the answer itself can still be passed on when there is nothing to add.
  const json = await readText(response.clone(), maxBytes);
  const insertions = json === null ? [] : appendTools(json, waiting, own);
  if (json === null || insertions.length === 0) return response;
  leave(response.body);
  const bytes = new TextEncoder().encode(insertAll(json, insertions));
  const added = withBody(response, bytes);
  added.headers.set("Content-Length", String(bytes.length));
  return added;
}

/** Null when it is too long, breaks off or is not UTF-8. */
async function readText(response: Response, maxBytes: number): Promise<string | null> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let text = "";
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text + decoder.decode();
      size += value.length;
      text += decoder.decode(value, { stream: true });
      if (size > maxBytes) break;
    }
  } catch {
    // It broke off, and so will the answer that is passed on; or it is not text.
  }
  leave(reader);
  return null;
}

/** Not waited for: the copy of a body is let go of only when the other one is as well. */
function leave(body: { cancel(): Promise<void> } | null): void {
  body?.cancel().catch(() => {});
}

function withBody(response: Response, body: BodyInit): Response {
  const changed = new Response(body, response);
  for (const name of BODY_HEADERS) changed.headers.delete(name);
  return changed;
}

function idsOfLists(messages: readonly Message[]): Set<RequestId> {
  return new Set(messages.flatMap((message) => (message.kind === "request" && message.method === "tools/list" ? [message.id] : [])));
}

function mediaType(headers: Headers): string {
  return (headers.get("content-type") ?? "").split(";", 1)[0]!.trim().toLowerCase();
}
