/**
 * The gate's tools at the end of an origin's `tools/list`. The list may come on several pages, each the answer to a request
 * of its own: the page without a cursor is the last, and there they stand, once.
 *
 * A name that the origin has a tool of is the origin's: the gate takes nothing away from the server behind it. The tool is
 * left out, and `taken` remembers the name, so that calls of it are let through as well.
 */

import { isRecord, type RequestId } from "../mcp/message.ts";
import type { Insertion } from "./insertion.ts";
import { endOfValue, startOfMember, startOfText, startsOfElements } from "./json-place.ts";
import { type GateTool, toolEntry } from "./tool.ts";

export interface OwnTools {
  readonly tools: readonly GateTool[];
  /**
   * Names of these tools that the origin was seen to use. Kept by the caller over many requests, since each page of a list
   * is seen alone; never more than there are tools.
   */
  readonly taken: Set<string>;
}

const NOTHING: readonly Insertion[] = [];

/**
 * What to insert into one JSON-RPC message of the origin's, or into a batch of them. Anything but the good answer to a
 * request that waits is left as it is: other messages, errors, and what is not as MCP has it.
 *
 * @param json of the message or batch
 * @param waiting the ids of the `tools/list` requests without an answer; the answered are taken out
 * @returns ascending by place
 */
export function appendTools(json: string, waiting: Set<RequestId>, own: OwnTools): readonly Insertion[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    return NOTHING;
  }
  const start = startOfText(json);
  if (!Array.isArray(parsed)) return appendToMessage(json, start, parsed, waiting, own);
  const messages: readonly unknown[] = parsed;
  const starts = startsOfElements(json, start);
  return messages.flatMap((message, i) => appendToMessage(json, starts[i]!, message, waiting, own));
}

function appendToMessage(
  json: string,
  start: number,
  message: unknown,
  waiting: Set<RequestId>,
  { tools, taken }: OwnTools,
): readonly Insertion[] {
  // A request of the server's own has an id as well, and it may be the same one.
  if (!isRecord(message) || message["jsonrpc"] !== "2.0" || "method" in message) return NOTHING;
  const { id, result } = message;
  if ((typeof id !== "string" && typeof id !== "number") || !waiting.delete(id)) return NOTHING;
  const names = toolNames(result);
  if (!isRecord(result) || names === null) return NOTHING;
  for (const { name } of tools) if (names.includes(name)) taken.add(name);
  // Null is as good as none, and an empty text is a cursor (MCP, "Pagination").
  if (result["nextCursor"] !== undefined && result["nextCursor"] !== null) return NOTHING;
  const entries = tools.filter(({ name }) => !taken.has(name)).map((tool) => JSON.stringify(toolEntry(tool)));
  if (entries.length === 0) return NOTHING;
  const list = startOfMember(json, startOfMember(json, start, "result"), "tools");
  const comma = names.length === 0 ? "" : ",";
  return [{ at: endOfValue(json, list) - 1, text: comma + entries.join(",") }];
}

/** The names in the result of `tools/list`, or null when it is none: in the modern era another `resultType` asks for something. */
function toolNames(result: unknown): readonly unknown[] | null {
  if (!isRecord(result) || (result["resultType"] ?? "complete") !== "complete") return null;
  const list: unknown = result["tools"];
  return Array.isArray(list) && list.every(isRecord) ? list.map((tool) => tool["name"]) : null;
}
