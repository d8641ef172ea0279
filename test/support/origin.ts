/** An origin of the test's own: plain node:http, which answers as told and remembers what it got, byte for byte. */

import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { answerFetch } from "./serve-fetch.ts";

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** How the exchange ended: answered in full, or broken off by the other side. */
  readonly ended: Promise<"answered" | "broken off">;
}

export type Respond = (seen: Seen, response: ServerResponse) => void;

export interface Origin {
  /** Its MCP endpoint. */
  readonly url: string;
  readonly seen: readonly Seen[];
  /** How it answers from now on. */
  respond: Respond;
  /** Resolves with the next request that it gets. */
  next(): Promise<Seen>;
  stop(): Promise<void>;
}

/** Answers each JSON-RPC request with a tool result, other messages with 202, and whatever is no JSON-RPC with 200. */
export const answerTools: Respond = (seen, response) => {
  const message = parse(seen.body);
  const requests = (Array.isArray(message) ? message : [message]).filter((item) => item?.id !== undefined);
  if (requests.length === 0) {
    response.writeHead(message === null ? 200 : 202).end();
    return;
  }
  const answers = requests.map((item) => ({
    jsonrpc: "2.0",
    id: item!.id,
    result: { resultType: "complete", content: [{ type: "text", text: "done" }] },
  }));
  response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(Array.isArray(message) ? answers : answers[0]));
};

type Parsed = { readonly id?: number | string } | null;

function parse(body: Buffer): Parsed | Parsed[] {
  try {
    return JSON.parse(body.toString()) as Parsed | Parsed[];
  } catch {
    return null;
  }
}

/** @param beside what serves other paths of the same host, unseen */
export async function startOrigin(
  respond: Respond = answerTools,
  beside: Readonly<Record<string, (request: Request) => Promise<Response>>> = {},
): Promise<Origin> {
  const seen: Seen[] = [];
  const waiting: ((seen: Seen) => void)[] = [];
  const origin = { respond };
  const server = createServer((request, response) => {
    const handle = beside[request.url!];
    if (handle) return answerFetch(request, response, handle);
    void read(request, response).then((got) => {
      seen.push(got);
      for (const tell of waiting.splice(0)) tell(got);
      origin.respond(got, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(origin, {
    url: `http://127.0.0.1:${port}/mcp`,
    seen,
    next: () => new Promise<Seen>((resolve) => waiting.push(resolve)),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

async function read(request: IncomingMessage, response: ServerResponse): Promise<Seen> {
  const ended = new Promise<"answered" | "broken off">((resolve) => {
    response.once("close", () => resolve(response.writableFinished ? "answered" : "broken off"));
  });
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return { method: request.method!, path: request.url!, headers: request.headers, body: Buffer.concat(chunks), ended };
}
