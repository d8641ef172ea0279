/** Where a caller may show a pass: a header of its own, as a bearer, or in the `_meta` of a message. */

import { isRecord, type Message } from "../mcp/message.ts";
import { looksLikePass } from "./pass.ts";

export const PASS_HEADER = "turnpike-pass";
const PASS_META = "turnpike/pass";
const BEARER = /^Bearer +(\S+) *$/i;

/** The first that is there, good or not; null when there is none. */
export function presentedPass(headers: Headers, messages: readonly Message[]): string | null {
  const own = headers.get(PASS_HEADER);
  if (own !== null) return own.trim();
  const authorization = headers.get("authorization");
  if (authorization !== null) {
    const bearer = passInBearer(authorization);
    if (bearer !== null) return bearer;
  }
  return passInMeta(messages);
}

/** What stands under `turnpike/pass` in the `_meta` of the first message that has it; null where none has. */
export function passInMeta(messages: readonly Message[]): string | null {
  for (const message of messages) {
    if (message.kind === "response") continue;
    const meta = message.params["_meta"];
    const pass = isRecord(meta) ? meta[PASS_META] : undefined;
    if (typeof pass === "string") return pass;
  }
  return null;
}

/** The pass in an `Authorization` header; null when something else is in it. */
export function passInBearer(authorization: string): string | null {
  const token = BEARER.exec(authorization)?.[1];
  return token !== undefined && looksLikePass(token) ? token : null;
}
