/** A POST to an MCP endpoint, read once: what it says, and the bytes that say it. */

import { type Body, MAX_BODY_BYTES, readBody } from "./body.ts";
import { checkHeaders } from "./headers.ts";
import { type BadMessage, type Envelope, INVALID_REQUEST, PARSE_ERROR, parseMessages } from "./message.ts";

export type Post =
  | { readonly ok: true; readonly envelope: Envelope; readonly body: Uint8Array<ArrayBuffer> }
  | { readonly ok: false; readonly bad: BadMessage };

/** @param read the body, when it has already been read to find out that this is MCP */
export async function readPost(request: Request, read: Body | undefined): Promise<Post> {
  if (!isPlainJson(request.headers)) return bad(415, INVALID_REQUEST, "Send the message as application/json, in UTF-8 and uncompressed.");
  const body = read ?? (await readBody(request));
  if (!body.ok) {
    return body.problem === "too-large"
      ? bad(413, INVALID_REQUEST, `The body is larger than ${MAX_BODY_BYTES} bytes. Send less, or in parts.`)
      : bad(400, PARSE_ERROR, "The body is not valid UTF-8.");
  }
  const parsed = parseMessages(body.text);
  if (!parsed.ok) return parsed;
  const mismatch = checkHeaders(parsed.envelope, request.headers);
  return mismatch ? { ok: false, bad: mismatch } : { ok: true, envelope: parsed.envelope, body: body.bytes };
}

/** JSON that the gate reads as every origin does: no other type, charset or coding in which it could be something else. */
function isPlainJson(headers: Headers): boolean {
  if ((headers.get("content-encoding") ?? "identity").toLowerCase() !== "identity") return false;
  const contentType = (headers.get("content-type") ?? "").toLowerCase();
  if (contentType === "application/json") return true;
  const [type = "", ...parameters] = contentType.split(";");
  const charset = parameters.map((parameter) => parameter.trim()).find((parameter) => parameter.startsWith("charset="));
  const isUtf8 = charset === undefined || /^charset="?utf-?8"?$/.test(charset);
  return type.trim() === "application/json" && isUtf8;
}

function bad(status: BadMessage["status"], code: BadMessage["code"], message: string): Post {
  return { ok: false, bad: { status, code, message } };
}
