/**
 * JSON-RPC on paths that are not MCP's. An origin may answer MCP on any path it likes, and may be generous about types,
 * charsets and codings; so whatever is POSTed elsewhere and could be a message is looked at, and a body too large to look at
 * is cut off where it turns out to be one.
 */

import { type Body, readBody } from "./body.ts";
import { isRecord } from "./message.ts";

export type Elsewhere =
  /** To be treated as on an MCP path, where what the gate cannot read is refused. */
  { readonly isMcp: true; readonly read?: Body } | { readonly isMcp: false; readonly body: BodyInit | null };

export async function lookElsewhere(request: Request): Promise<Elsewhere> {
  if (request.method !== "POST" || !mayBeJson(request.headers)) return { isMcp: false, body: request.body };
  const coding = (request.headers.get("content-encoding") ?? "identity").toLowerCase();
  const isWide = /charset="?utf-?(16|32)/i.test(request.headers.get("content-type") ?? "");
  if (isWide || !["identity", "gzip", "deflate"].includes(coding)) return { isMcp: true };

  const read = await readBody(request.clone());
  if (coding === "gzip" || coding === "deflate") {
    const inflated = read.ok || read.problem !== "too-large" ? await inflate(read.bytes, coding) : read;
    const isUnread = inflated !== null && !inflated.ok && inflated.problem === "too-large";
    return isUnread || mentions(inflated) ? { isMcp: true } : { isMcp: false, body: read.bytes };
  }
  if (read.ok && isJsonRpc(read.text)) return { isMcp: true, read };
  return { isMcp: false, body: read.ok ? read.bytes : (request.body?.pipeThrough(stopAtJsonRpc()) ?? null) };
}

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
  let carry = "";
  return new TransformStream({
    transform(chunk, controller) {
      const text = carry + new TextDecoder("latin1").decode(chunk);
      if (KEY.test(text)) {
        controller.error(new Error("A JSON-RPC message that the gate cannot read."));
        return;
      }
      carry = text.slice(-CARRY_CHARS);
      controller.enqueue(chunk);
    },
  });
}

/** The key `jsonrpc` as JSON may spell it: each letter as it is, or escaped. */
const KEY = new RegExp(
  Array.from("jsonrpc")
    .map((letter) => `(?:${letter}|\\\\u00${letter.charCodeAt(0).toString(16)})`)
    .join(""),
  "i",
);
/** The longest spelling, less one: what must be carried from one chunk to the next. */
const CARRY_CHARS = 6 * "jsonrpc".length - 1;

/** Types that servers have been seen to read as JSON: any that says so, text, and none at all. */
function mayBeJson(headers: Headers): boolean {
  const type = headers.get("content-type");
  return type === null || /json|^\s*text\//i.test(type);
}

/** Null when it cannot be undone: nor can the origin. */
async function inflate(bytes: Uint8Array<ArrayBuffer>, coding: "gzip" | "deflate"): Promise<Body | null> {
  try {
    const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream(coding));
    return await readBody(new Request("https://gate.invalid/", { method: "POST", body: inflated, duplex: "half" } as RequestInit));
  } catch {
    return null;
  }
}

function mentions(body: Body | null): boolean {
  return body !== null && KEY.test(body.ok ? body.text : new TextDecoder("latin1").decode(body.bytes));
}
