/** The JSON object in the body of a request to one of the gate's own endpoints. */

import { readBody } from "../mcp/body.ts";
import { isRecord } from "../mcp/message.ts";
import { endpointProblem } from "./problems.ts";

/** A pass is some 300 bytes, a consumer id at most 20 KB. */
const MAX_BYTES = 32 * 1024;

export type SmallBody =
  | { readonly ok: true; readonly body: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly response: Response };

/** @param whenEmpty whether nothing at all is as good as `{}` */
export async function readSmallBody(request: Request, whenEmpty: "may be empty" | "must be there" = "must be there"): Promise<SmallBody> {
  const read = await readBody(request, MAX_BYTES);
  if (read.ok && read.text.trim() === "" && whenEmpty === "may be empty") return { ok: true, body: {} };
  if (!read.ok) return { ok: false, response: endpointProblem(read.problem === "too-large" ? "body-too-large" : "malformed-body") };
  try {
    const body: unknown = JSON.parse(read.text);
    if (isRecord(body)) return { ok: true, body };
  } catch {
    // Told below.
  }
  return { ok: false, response: endpointProblem("malformed-body") };
}

export function ownJson(body: object): Response {
  return Response.json(body, { headers: { "Cache-Control": "no-store" } });
}
