/** One call as an SDK client of the handshake era sends it: a tools/call of some 300 bytes, and the headers around it. */

/** A fixed width, so that every body has the same length. */
const NUMBER_WIDTH = 9;
const TOOL = "search_issues";

export interface CallOptions {
  /** Every call asks for something else; otherwise all are the same call, as in a loop. */
  readonly isDistinct: boolean;
  /** The calls go round among so many tools, whose names are all of one length: at most 100. */
  readonly toolCount: number;
  /** Every call has an API key of its own. */
  readonly hasOwnKey: boolean;
  /** `Prefer: wait=0`: refuse at once instead of holding. */
  readonly refusesToWait: boolean;
}

/** @returns the bytes of call number `n`, as Latin-1 text */
export function callWriter(port: number, options: CallOptions): (n: number) => string {
  const length = body(pad(0), TOOL, pad(0)).length;
  const head = (key: string): string =>
    [
      "POST /mcp HTTP/1.1",
      `host: 127.0.0.1:${port}`,
      "connection: keep-alive",
      "content-type: application/json",
      "accept: application/json, text/event-stream",
      "mcp-session-id: 5f0c3c0e-8f1b-4a50-9d0a-7a5d4d3c2b1a",
      "mcp-protocol-version: 2025-11-25",
      `x-api-key: tp_bench${key}AAAAAAAAAAAAAAAAAAAAAAAAAAAAA`,
      "user-agent: node",
      "accept-language: *",
      "sec-fetch-mode: cors",
      "accept-encoding: gzip, deflate",
      ...(options.refusesToWait ? ["prefer: wait=0"] : []),
      `content-length: ${length}`,
    ].join("\r\n") + "\r\n\r\n";
  const sharedHead = head(pad(0));
  return (n) => {
    const number = pad(n);
    return (
      (options.hasOwnKey ? head(number) : sharedHead) + body(number, toolOf(n, options.toolCount), options.isDistinct ? number : pad(0))
    );
  };
}

function toolOf(n: number, toolCount: number): string {
  return toolCount === 1 ? TOOL : TOOL.slice(0, -2) + String(n % toolCount).padStart(2, "0");
}

function body(id: string, tool: string, page: string): string {
  // A JSON number has no leading zeros.
  return `{"jsonrpc":"2.0","id":1${id},"method":"tools/call","params":{"name":"${tool}","arguments":{"repository":"turnpike/turnpike","query":"is:open label:bug rate limit","sort":"updated","order":"desc","perPage":20,"page":1${page},"fields":["title","labels","assignee"]},"_meta":{"progressToken":1${id}}}}`;
}

function pad(n: number): string {
  return String(n).padStart(NUMBER_WIDTH, "0");
}
