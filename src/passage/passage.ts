/** One request to an MCP endpoint on its way through the gate: what every step may look at, and none changes. */

import type { Paid } from "../challenges/l402.ts";
import type { Gate, GateEnv } from "../gate.ts";
import type { Message } from "../mcp/message.ts";

export interface Passage {
  readonly request: Request;
  readonly url: URL;
  readonly env: GateEnv;
  readonly ctx: ExecutionContext;
  readonly gate: Gate;
  /** Told to the origin, written to the log, and the `instance` of a refusal. */
  readonly requestId: string;
  /** Empty for requests without a message: GET, DELETE. */
  readonly messages: readonly Message[];
  readonly isBatch: boolean;
  readonly accept: string | null;
  /** The payment that the request shows, on its account by now; null for none that counts. */
  readonly payment: Paid | null;
  /** The bytes of a POST, as they came. */
  readonly body: Uint8Array<ArrayBuffer> | null;
}
