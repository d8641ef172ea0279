/**
 * An MCP server that takes calls with an access token only, as MCP's authorization asks (RFC 9728, RFC 6750): of both eras,
 * at a path of its own. Its authorization server is on its own host, or elsewhere.
 */

import { createServer } from "node:http";
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import * as z from "zod";
import { type AuthorizationServer, createAuthorizationServer, SCOPE } from "./authorization-server.ts";
import { freePort } from "./command.ts";
import { answerFetch } from "./serve-fetch.ts";

export const ORIGIN_PATH = "/api/mcp";

export interface OAuthOrigin {
  /** Its MCP endpoint, which is also the resource that tokens must be for. */
  readonly url: string;
  readonly authorizationServer: AuthorizationServer;
  /** How many JSON-RPC POSTs it has answered well, and how many with 401. */
  readonly counts: { good: number; refused: number };
  /** Tokens that were good once. */
  readonly revoked: Set<string>;
  stop(): Promise<void>;
}

/**
 * @param elsewhere an authorization server on a host of its own
 * @param audience what tokens must be for, and what the server calls itself; its own URL when left out
 */
export async function startOAuthOrigin(elsewhere?: AuthorizationServer, audience?: () => string): Promise<OAuthOrigin> {
  const port = await freePort();
  const host = `http://127.0.0.1:${port}`;
  const url = host + ORIGIN_PATH;
  const resource = audience ?? (() => url);
  const authorizationServer = elsewhere ?? (await createAuthorizationServer(host, resource));
  const counts = { good: 0, refused: 0 };
  const revoked = new Set<string>();
  const mcp = createMcpHandler(createServerOfOneTool);
  const documentPath = `/.well-known/oauth-protected-resource${ORIGIN_PATH}`;
  const challenge = `Bearer resource_metadata="${host}${documentPath}", scope="${SCOPE}"`;

  const answer = async (request: Request): Promise<Response> => {
    if (new URL(request.url).pathname === documentPath) {
      return Response.json({
        resource: url,
        authorization_servers: [authorizationServer.issuer],
        scopes_supported: [SCOPE],
        bearer_methods_supported: ["header"],
      });
    }
    const [, token = ""] = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "") ?? [];
    if (revoked.has(token) || !(await authorizationServer.isGoodFor(token, resource()))) {
      counts.refused++;
      const why = token === "" ? "" : ', error="invalid_token"';
      return new Response("no good token", { status: 401, headers: { "WWW-Authenticate": challenge + why } });
    }
    if (request.method === "POST") counts.good++;
    return mcp.fetch(request);
  };

  const server = createServer((incoming, outgoing) => {
    const { pathname } = new URL(incoming.url ?? "/", host);
    if (pathname === ORIGIN_PATH || pathname === documentPath) answerFetch(incoming, outgoing, answer);
    else if (elsewhere) outgoing.writeHead(404).end();
    else authorizationServer.handle(incoming, outgoing);
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url,
    authorizationServer,
    counts,
    revoked,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function createServerOfOneTool(): McpServer {
  const server = new McpServer({ name: "oauth-origin", version: "1.0.0" });
  server.registerTool("echo", { inputSchema: z.object({ text: z.string() }) }, ({ text }) => ({ content: [{ type: "text", text }] }));
  return server;
}
