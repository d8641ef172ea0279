/**
 * One request to a node's HTTP API. Whatever goes wrong is told with the node's name, its origin and what to do, for an
 * operator's log; neither the credential nor what the node has written is ever in it.
 */

import { readBody } from "../mcp/body.ts";
import { isRecord } from "../mcp/message.ts";
import type { NodeProblem } from "./node.ts";

/** A refusal waits for an invoice: an offer that comes later than this helps nobody. */
const TIMEOUT_MS = 3_000;
/** An invoice with all its parts is some kilobytes. */
const MAX_ANSWER_BYTES = 256 * 1024;

export interface NodeAddress {
  /** As operators know it: "LND". */
  readonly name: string;
  /** The base of the API, with a path or without one. */
  readonly url: string;
  /** Headers that carry the credential. */
  readonly credential: Readonly<Record<string, string>>;
  /** Which credential it must be, for the log: "an invoice macaroon in hex". */
  readonly credentialIs: string;
}

export interface NodeRequest {
  readonly path: string;
  /** POST with this body; GET without one. */
  readonly json?: unknown;
  readonly form?: Readonly<Record<string, string>>;
}

export type NodeAnswer =
  /** Any status but 401, 403 and redirects. */
  | { readonly ok: true; readonly status: number; readonly body: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly problem: NodeProblem };

export async function askNode(node: NodeAddress, { path, json, form }: NodeRequest): Promise<NodeAnswer> {
  const headers = headersOf(node);
  if (!headers) return fail(node, "unauthorized", `has a credential that no header can carry: it must be ${node.credentialIs}`);
  let body: string | undefined;
  if (json !== undefined) {
    headers.set("Content-Type", "application/json");
    body = JSON.stringify(json);
  } else if (form) {
    headers.set("Content-Type", "application/x-www-form-urlencoded");
    body = new URLSearchParams(form).toString();
  }
  const url = node.url.replace(/\/+$/, "") + path;
  try {
    const response = await fetch(url, {
      method: body === undefined ? "GET" : "POST",
      headers,
      // A redirect would take the credential to wherever it points.
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body === undefined ? {} : { body }),
    });
    const { status } = response;
    if (status === 401 || status === 403) {
      await response.body?.cancel();
      return unauthorized(node, status);
    }
    if (status >= 300 && status < 400) {
      await response.body?.cancel();
      return fail(node, "unexpected", `redirects (${status}): set its url to where it really is`);
    }
    const read = await readBody(response, MAX_ANSWER_BYTES);
    return { ok: true, status, body: read.ok ? recordIn(read.text) : {} };
  } catch (error) {
    if (error instanceof Error && error.name === "TimeoutError")
      return fail(node, "timeout", `did not answer within ${TIMEOUT_MS / 1_000} s: is it overloaded, or still starting?`);
    return fail(node, "unreachable", "cannot be reached: is it running, with a public address and a certificate that browsers accept?");
  }
}

function headersOf({ credential }: NodeAddress): Headers | null {
  try {
    return new Headers({ ...credential, Accept: "application/json" });
  } catch {
    return null;
  }
}

/** An answer to a credential that is none here. */
export function unauthorized(node: NodeAddress, status: number): { readonly ok: false; readonly problem: NodeProblem } {
  return fail(node, "unauthorized", `turned the credential away (${status}): it must be ${node.credentialIs}`);
}

/** An answer that makes no sense from such a node. */
export function unexpected(node: NodeAddress, status: number, wanted: string): { readonly ok: false; readonly problem: NodeProblem } {
  return fail(node, "unexpected", `answered ${status} without ${wanted}: is it a node of this kind, and a version that this gate knows?`);
}

function fail(node: NodeAddress, kind: NodeProblem["kind"], what: string): { readonly ok: false; readonly problem: NodeProblem } {
  return { ok: false, problem: { kind, message: `${node.name} at ${placeOf(node.url)} ${what}` } };
}

/** Without user, path and query, any of which could hold a secret. */
function placeOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : "an address that is no URL";
}

function recordIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(text);
    return isRecord(json) ? json : {};
  } catch {
    return {};
  }
}
