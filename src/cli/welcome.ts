/** What a person needs next once the gate runs: where it is, the keys, lines to paste. */

import { DEFAULT_STATE } from "./local/state.ts";

export interface Running {
  readonly url: string;
  readonly keys: Readonly<Record<string, string>>;
  /** Null for the embedded origin. */
  readonly origin: string | null;
  /** Calls are for sale, and `turnpike pay` pays for them. */
  readonly isSellingForPlayMoney: boolean;
  readonly state: string;
}

/** A call that every MCP server of the older era and the embedded origin answer without a session. */
const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"current_time","arguments":{}}}';

export function welcome({ url, keys, origin, isSellingForPlayMoney, state }: Running): string {
  const entries = Object.entries(keys);
  const width = Math.max(0, ...entries.map(([plan]) => plan.length));
  const [firstKey = ""] = entries.map(([, key]) => key);
  const curl = (prefer: string): string =>
    `curl -s${prefer} ${url} -H 'X-API-Key: ${firstKey}' -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' -d '${CALL}'`;
  const config = JSON.stringify({ mcpServers: { turnpike: { type: "http", url, headers: { "X-API-Key": firstKey } } } }, null, 2);
  const buyIt = `
More calls for play money, once a plan is empty: pay the invoice of a refusal, and show what it says.
  npx turnpike pay <invoice>${state === DEFAULT_STATE ? "" : ` --state ${state}`}
`;
  const tryIt = `
A call that is answered:
  ${curl("i")}

The same call again and again: ten are answered, then it is stopped as a loop.
  for i in $(seq 12); do ${curl(" -o /dev/null -w '%{http_code}\\n'")}; done
`;
  return `
Turnpike is running in front of ${origin ?? "the embedded MCP server"}.

  endpoint  ${url}
${entries.map(([plan, key]) => `  ${plan.padEnd(width)}  ${key}`).join("\n")}
  (kept in ${state}; make more with: npx turnpike keys create --consumer <owner> --plan <plan>)
${origin === null ? tryIt : ""}${isSellingForPlayMoney ? buyIt : ""}
For an MCP client:
${config.replace(/^/gm, "  ")}

Refusals are logged here. Ctrl-C stops it.`;
}
