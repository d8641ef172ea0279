/** Requests as bytes: any method, header and body, on sockets that a test can break. */

import { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request as httpRequest } from "node:http";

export interface Sent {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
}

export interface OpenRequest {
  /** Resolves with the head of the answer. */
  readonly answered: Promise<IncomingMessage>;
  /** Breaks the connection with a reset. workerd does not notice a plain close before it writes. */
  hangUp(): void;
}

/** One request on a connection of its own, and the whole answer to it. */
export async function send(url: string, sent: Sent = {}): Promise<Answer> {
  const response = await openRequest(url, sent).answered;
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  return { status: response.statusCode!, headers: response.headers, body, text: body.toString() };
}

export function openRequest(url: string, { method = "GET", headers = {}, body }: Sent): OpenRequest {
  let request: ClientRequest | undefined;
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing: Record<string, string | string[]> = {};
    for (const [name, value] of Object.entries(headers)) outgoing[name] = typeof value === "string" ? value : [...value];
    request = httpRequest(url, { method, headers: outgoing, agent: false });
    request.once("response", resolve);
    request.on("error", reject);
    request.end(body);
  });
  return {
    answered,
    hangUp() {
      answered.catch(() => {});
      request?.socket?.resetAndDestroy();
    },
  };
}

/** A POST as a legacy client sends it. */
export function postMessage(url: string, message: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return send(url, messageRequest(message, headers));
}

export function messageRequest(message: unknown, headers: Readonly<Record<string, string>> = {}): Sent {
  return {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json, text/event-stream", ...headers },
    body: JSON.stringify(message),
  };
}

export function toolCall(name: string, args: Readonly<Record<string, unknown>> = {}, id: number | string = 1) {
  return { jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: args } } as const;
}

export interface JsonRpcError {
  readonly jsonrpc: "2.0";
  readonly id?: number | string;
  readonly error: { readonly code: number; readonly message: string; readonly data: Readonly<Record<string, unknown>> };
}

export function errorIn(answer: Answer): JsonRpcError {
  return JSON.parse(answer.text) as JsonRpcError;
}

/** The kind of a problem document (RFC 9457) of the gate's own. */
export function problemIn(answer: Answer): string {
  return (JSON.parse(answer.text) as { type: string }).type.replace("urn:turnpike:problem:", "");
}
