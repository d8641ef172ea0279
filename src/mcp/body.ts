/** Reading a body with a bound, once. The bytes go to the origin as they came; the text is for the gate. */

/** What the official SDKs accept. */
export const MAX_BODY_BYTES = 4 * 1024 * 1024;

export type Body =
  | { readonly ok: true; readonly bytes: Uint8Array<ArrayBuffer>; readonly text: string }
  | { readonly ok: false; readonly problem: "too-large" | "not-utf8"; readonly bytes: Uint8Array<ArrayBuffer> };

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
const NOTHING = new Uint8Array(0);

/** @returns `too-large` with the bytes read so far, when the body is longer than `maxBytes` */
export async function readBody(message: Request | Response, maxBytes = MAX_BODY_BYTES): Promise<Body> {
  const length = message.headers.get("content-length");
  if (length !== null && Number(length) > maxBytes) return { ok: false, problem: "too-large", bytes: NOTHING };
  // The server holds a body to its Content-Length, so only one without must be counted.
  if (length !== null) return decode(new Uint8Array(await message.arrayBuffer()));
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = message.body?.getReader();
  for (;;) {
    const next = await reader?.read();
    if (!next || next.done) break;
    const chunk = next.value as Uint8Array;
    chunks.push(chunk);
    size += chunk.length;
    if (size > maxBytes) {
      await reader?.cancel();
      return { ok: false, problem: "too-large", bytes: join(chunks, size) };
    }
  }
  return decode(join(chunks, size));
}

function decode(bytes: Uint8Array<ArrayBuffer>): Body {
  try {
    return { ok: true, bytes, text: decoder.decode(bytes) };
  } catch {
    return { ok: false, problem: "not-utf8", bytes };
  }
}

function join(chunks: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
