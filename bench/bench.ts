/** What all measurements of one run share. */

import type { BuiltWorkers } from "./build-workers.ts";

export interface Bench {
  readonly tempDir: string;
  readonly workers: BuiltWorkers;
  /** The MCP endpoint behind every gate. */
  readonly originUrl: string;
  /** The Lightning node of the gates that sell, and its credential. */
  readonly node: { readonly url: string; readonly secret: string };
  /** Progress, on stderr. */
  readonly say: (what: string) => void;
}
