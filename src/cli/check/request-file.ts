/**
 * The request of `turnpike check --request`: a file with the body of a POST as it is, or `{headers?, body}`. It is read by
 * the gate's own reader, as if it had been sent.
 */

import { createReadStream } from "node:fs";
import { MAX_BODY_BYTES } from "../../mcp/body.ts";
import { isRecord } from "../../mcp/message.ts";
import { type Post, readPost } from "../../mcp/read-post.ts";
import { CliError } from "../package.ts";

/** A body that stands in a JSON string may need six characters for each of its own. Beyond that, the gate would not read it. */
const MAX_FILE_BYTES = 6 * MAX_BODY_BYTES + 65_536;

export interface RequestRead {
  readonly post: Post;
  readonly headers: Headers;
}

/** @param file a path, or `-` for what comes in on stdin */
export async function readRequestFile(file: string): Promise<RequestRead> {
  const { headers, body } = takeApart(await readBytes(file), file);
  // What a client that sends the bare body would say of it.
  if (!headers.has("content-type")) headers.set("content-type", "application/json");
  const request = new Request("http://gate.invalid/mcp", { method: "POST", headers, body });
  return { post: await readPost(request, undefined), headers };
}

async function readBytes(file: string): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of file === "-" ? process.stdin : createReadStream(file)) {
      chunks.push(chunk as Buffer);
      size += (chunk as Buffer).length;
      if (size > MAX_FILE_BYTES) break;
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CliError(
      code === "ENOENT" ? `the request file ${file} does not exist.` : `the request file ${file} cannot be read: ${message}`,
    );
  }
  if (size > MAX_FILE_BYTES)
    throw new CliError(`the request file ${file} is larger than any body that the gate reads (${MAX_BODY_BYTES} bytes).`);
  return new Uint8Array(Buffer.concat(chunks));
}

interface Parts {
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer> | string;
}

/** A JSON-RPC message has no member `body`, and the file of a request no `jsonrpc`. */
function takeApart(bytes: Uint8Array<ArrayBuffer>, file: string): Parts {
  const json = parseJson(bytes);
  if (!isRecord(json) || "jsonrpc" in json || !("body" in json)) return { headers: new Headers(), body: bytes };
  const unknown = Object.keys(json).find((key) => key !== "headers" && key !== "body");
  if (unknown !== undefined) throw new CliError(`${file}: ${JSON.stringify(unknown)} is unknown: a request is {"headers"?, "body"}.`);
  const { headers = {}, body } = json;
  // A string is sent as it stands: it may hold what is no JSON at all.
  return { headers: readHeaders(headers, file), body: typeof body === "string" ? body : JSON.stringify(body) };
}

function readHeaders(json: unknown, file: string): Headers {
  const headers = new Headers();
  if (!isRecord(json)) throw new CliError(`${file}: "headers" must be an object of strings.`);
  for (const [name, value] of Object.entries(json)) {
    if (typeof value !== "string") throw new CliError(`${file}: the header ${JSON.stringify(name)} must be a string.`);
    try {
      headers.append(name, value);
    } catch {
      throw new CliError(`${file}: ${JSON.stringify(name)} is no header that can be sent with this value.`);
    }
  }
  return headers;
}

/** Undefined for what is no JSON: the gate's reader says what is wrong with it. */
function parseJson(bytes: Uint8Array<ArrayBuffer>): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
