/**
 * JSON-RPC on paths that are not MCP's. An origin may answer MCP on any path it likes, so a message that is POSTed
 * elsewhere is read all the same, and a body too large to read is cut off where it turns out to be one.
 */

import { isRecord } from "./message.ts";

/** The key `jsonrpc` as JSON may spell it: each letter as it is, or escaped. */
const KEY = new RegExp(
  Array.from("jsonrpc")
    .map((letter) => `(?:${letter}|\\\\u00${letter.charCodeAt(0).toString(16)})`)
    .join(""),
  "i",
);
/** The longest spelling, less one: what must be carried from one chunk to the next. */
const CARRY_CHARS = 6 * "jsonrpc".length - 1;

/** True for a JSON-RPC message or a batch with one in it. Text that is no JSON is none for the origin either. */
export function isJsonRpc(text: string): boolean {
  if (!KEY.test(text)) return false;
  try {
    const json: unknown = JSON.parse(text);
    return (Array.isArray(json) ? json : [json]).some((item) => isRecord(item) && "jsonrpc" in item);
  } catch {
    return false;
  }
}

/** Lets bytes through until they mention `jsonrpc`; then the upload fails, and the origin is left with half a message. */
export function stopAtJsonRpc(): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder("latin1");
  let carry = "";
  return new TransformStream({
    transform(chunk, controller) {
      const text = carry + decoder.decode(chunk);
      if (KEY.test(text)) {
        controller.error(new Error("A JSON-RPC message larger than the gate reads."));
        return;
      }
      carry = text.slice(-CARRY_CHARS);
      controller.enqueue(chunk);
    },
  });
}
