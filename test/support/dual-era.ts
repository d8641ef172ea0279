/**
 * An MCP server of both eras on one URL, on @modelcontextprotocol/server: sessions for the handshake revisions, with
 * resumable streams, and 2026-07-28 beside them.
 */

import { randomUUID } from "node:crypto";
import {
  createMcpHandler,
  type EventStore,
  hostHeaderValidationResponse,
  isInitializeRequest,
  isLegacyRequest,
  type JSONRPCMessage,
  localhostAllowedHostnames,
  localhostAllowedOrigins,
  type McpServer,
  originValidationResponse,
  type ServerNotifier,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/server";
import { type FetchServer, serveFetch } from "./serve-fetch.ts";

/** How soon a client is asked to come back to a stream that the server has closed. */
const RETRY_MS = 50;
/** Comments on quiet streams: without them workerd would not notice a client that closes its side. */
const KEEP_ALIVE_MS = 250;

export interface DualEraServer extends FetchServer {
  /** Publishes changes to the subscriptions of the modern era. */
  readonly notify: ServerNotifier;
}

/** @param create makes the server of one session, or of one request */
export async function serveDualEra(create: (notify: ServerNotifier) => McpServer): Promise<DualEraServer> {
  const modern = createMcpHandler((): McpServer => create(modern.notify), { legacy: "reject", keepAliveMs: KEEP_ALIVE_MS });
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();

  const answerSession = async (request: Request): Promise<Response> => {
    const id = request.headers.get("mcp-session-id");
    const known = id === null ? undefined : sessions.get(id);
    if (known) return known.handleRequest(request);
    if (id !== null) return Response.json({ jsonrpc: "2.0", error: { code: -32_001, message: "Session not found" } }, { status: 404 });
    const parsedBody: unknown = request.method === "POST" ? await request.clone().json() : undefined;
    if (!isInitializeRequest(parsedBody)) {
      return Response.json({ jsonrpc: "2.0", error: { code: -32_000, message: "Bad Request: no session" } }, { status: 400 });
    }
    const transport: WebStandardStreamableHTTPServerTransport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      eventStore: new MemoryEventStore(),
      retryInterval: RETRY_MS,
      onsessioninitialized: (sessionId) => void sessions.set(sessionId, transport),
      onsessionclosed: (sessionId) => void sessions.delete(sessionId),
    });
    await create(modern.notify).connect(transport);
    return transport.handleRequest(request, { parsedBody });
  };

  const server = await serveFetch(async (request) => {
    const foreign =
      hostHeaderValidationResponse(request, localhostAllowedHostnames()) ?? originValidationResponse(request, localhostAllowedOrigins());
    if (foreign) return foreign;
    return (await isLegacyRequest(request)) ? answerSession(request) : modern.fetch(request);
  });
  return { ...server, notify: modern.notify };
}

/** What lets a client resume a stream: every event, in the order it was sent. */
class MemoryEventStore implements EventStore {
  readonly #events: { readonly id: string; readonly streamId: string; readonly message: JSONRPCMessage }[] = [];

  storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    const id = `${streamId}/${this.#events.length}`;
    this.#events.push({ id, streamId, message });
    return Promise.resolve(id);
  }

  getStreamIdForEventId(eventId: string): Promise<string | undefined> {
    return Promise.resolve(this.#events.find((event) => event.id === eventId)?.streamId);
  }

  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: JSONRPCMessage) => Promise<void> },
  ): Promise<string> {
    const at = this.#events.findIndex((event) => event.id === lastEventId);
    const streamId = this.#events[at]?.streamId ?? "";
    for (const event of this.#events.slice(at + 1)) {
      // A priming event has nothing to be sent again.
      if (event.streamId === streamId && Object.keys(event.message).length > 0) await send(event.id, event.message);
    }
    return streamId;
  }
}
