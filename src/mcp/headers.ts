/**
 * MCP 2026-07-28 mirrors parts of the body in headers and obliges whoever reads the body to reject a request whose
 * headers say something else (Streamable HTTP, "Server Validation"; SEP-2243). The gate acts on the body alone. Older
 * revisions have no such rule, and clients of theirs do send the headers, so there nothing is checked.
 */

import { type BadMessage, type Envelope, HEADER_MISMATCH, INVALID_REQUEST, isRecord, type Message } from "./message.ts";

/** The first revision of the stateless era. Revisions are dates, so they compare as strings. */
export const FIRST_MODERN_REVISION = "2026-07-28";
const REVISION = /^\d{4}-\d{2}-\d{2}$/;
const VERSION_META = "io.modelcontextprotocol/protocolVersion";

/** Which member of `params` the header `Mcp-Name` mirrors. */
const NAME_SOURCE = new Map([
  ["tools/call", "name"],
  ["prompts/get", "name"],
  ["resources/read", "uri"],
  ["tasks/get", "taskId"],
  ["tasks/update", "taskId"],
  ["tasks/cancel", "taskId"],
]);

/** The revision that a message names in its own `_meta`. */
export function revisionIn(message: Message): string | undefined {
  if (message.kind === "response") return undefined;
  const meta = message.params["_meta"];
  const revision = isRecord(meta) ? meta[VERSION_META] : undefined;
  return typeof revision === "string" ? revision : undefined;
}

function isModern(revision: string | null | undefined): boolean {
  return typeof revision === "string" && REVISION.test(revision) && revision >= FIRST_MODERN_REVISION;
}

/** @returns what is wrong, or null when the headers agree with the body or no rule applies */
export function checkHeaders(envelope: Envelope, headers: Headers): BadMessage | null {
  const versionHeader = headers.get("mcp-protocol-version");
  const message = envelope.messages[0]!;
  const revision = revisionIn(message);
  if (!isModern(versionHeader) && !isModern(revision)) return null;
  if (envelope.isBatch) {
    return { status: 400, code: INVALID_REQUEST, message: "Batches ended with MCP 2025-03-26. Send one message in each POST." };
  }
  if (message.kind !== "request") return null;
  const bad = (what: string): BadMessage => ({ status: 400, code: HEADER_MISMATCH, message: what, id: message.id });

  if (versionHeader === null)
    return bad("The header MCP-Protocol-Version is missing. It must repeat the protocol version of the body's _meta.");
  if (revision !== undefined && versionHeader !== revision) {
    return bad("The header MCP-Protocol-Version and the protocol version in the body's _meta differ. Send the same in both.");
  }
  const methodHeader = headers.get("mcp-method");
  if (methodHeader === null) return bad("The header Mcp-Method is missing. It must repeat the body's method.");
  if (methodHeader !== message.method) return bad("The header Mcp-Method and the body's method differ. Send the same in both.");

  const source = NAME_SOURCE.get(message.method);
  const name = source === undefined ? undefined : message.params[source];
  if (source === undefined || typeof name !== "string") return null;
  const nameHeader = headers.get("mcp-name");
  if (nameHeader === null) return bad(`The header Mcp-Name is missing. It must repeat the body's params.${source}.`);
  const decoded = decodeHeaderValue(nameHeader);
  if (decoded === null) return bad("The header Mcp-Name is not valid: its base64 form cannot be decoded to UTF-8.");
  if (decoded !== name) return bad(`The header Mcp-Name and the body's params.${source} differ. Send the same in both.`);
  return null;
}

const ENCODED = /^=\?base64\?(.*)\?=$/s;

/** Undoes `=?base64?…?=`, the form of values that a header cannot carry as they are. */
function decodeHeaderValue(value: string): string | null {
  const encoded = ENCODED.exec(value)?.[1];
  if (encoded === undefined) return value;
  try {
    const bytes = Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
