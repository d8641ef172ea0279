/** Where the proof for a challenge is handed in, by the name under which the caller knows the gate. */

import type { Gate } from "../gate.ts";

export function verifyUrl(url: URL, gate: Gate): string {
  return `${url.origin}${gate.policy.prefix}/verify`;
}
