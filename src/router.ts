/** Which door a request came to: the gate's own endpoints, an MCP path, or anything else, which is the origin's business. */

import { IttyRouter, type IRequest } from "itty-router";
import { adminKeys } from "./admin/keys.ts";
import type { Gate, GateEnv } from "./gate.ts";
import { type Visit } from "./endpoints/caller.ts";
import { limits } from "./endpoints/limits.ts";
import { challenge, status, verify, verifyToken } from "./endpoints/own.ts";
import { ownJson } from "./endpoints/small-body.ts";
import { toolsServer } from "./endpoints/tools.ts";
import { passMcp } from "./gateway.ts";
import { lookElsewhere } from "./mcp/elsewhere.ts";
import { passThrough } from "./origin/pass-through.ts";
import { NOBODY } from "./refusals/answer.ts";
import { faultAnswer, foreignAnswer, methodNotAllowedAnswer, notFoundAnswer, originUnreachableAnswer } from "./refusals/gate-errors.ts";
import { checkPage, isOwnHost, preflightAnswer, withCors, withCorsIfNone } from "./site-check.ts";

type Handler = (request: Request, url: URL, env: GateEnv, ctx: ExecutionContext) => Response | Promise<Response>;

export function createRouter(gate: Gate): (request: Request, env: GateEnv, ctx: ExecutionContext) => Promise<Response> {
  const { policy } = gate;
  const router = IttyRouter<IRequest, [URL, GateEnv, ExecutionContext]>();
  /** @param methods those that are taken; null leaves it to the endpoint */
  const own = (methods: readonly string[] | null, endpoint: (visit: Visit) => Promise<Response>): Handler =>
    forOwnPages(gate, (request, url, env, ctx) =>
      methods === null || methods.includes(request.method)
        ? endpoint({ request, url, env, ctx, gate })
        : methodNotAllowedAnswer(methods.join(", ")),
    );
  router
    .all(`${policy.prefix}/admin/keys/:id?`, (request, url, env, ctx) =>
      forOwnPages(gate, () => adminKeys(request, request.params["id"], env, gate))(request, url, env, ctx),
    )
    .all(`${policy.prefix}/health`, own(READ, health))
    .all(`${policy.prefix}/limits`, own(READ, limits))
    .all(`${policy.prefix}/status`, own(READ, status))
    .all(`${policy.prefix}/challenge`, own(["POST"], challenge))
    .all(`${policy.prefix}/verify`, own(["POST"], verify))
    .all(`${policy.prefix}/token/verify`, own(["POST"], verifyToken))
    .all(`${policy.prefix}/mcp`, own(null, toolsServer))
    .all(`${policy.prefix}/*`, (_request, url) => notFoundAnswer(url.pathname));
  const mcp = forOwnPages(gate, (request, url, env, ctx) => passMcp(request, url, env, ctx, gate));
  for (const path of policy.mcpPaths) router.all(path, mcp);
  router.all("*", (request, url, env, ctx) => passOther(request, url, env, ctx, gate));

  const mcpPaths = new Set(policy.mcpPaths);
  return async (request, env, ctx) => {
    const url = new URL(request.url);
    if (!isOwnHost(url, policy)) return foreignAnswer("host");
    try {
      // Nearly every request is one of these: they need no pattern matched.
      if (mcpPaths.has(url.pathname)) return await mcp(request, url, env, ctx);
      return await router.fetch(request, url, env, ctx);
    } catch (error) {
      // A fault of the gate's own. The log says what it was; the answer does not.
      gate.log({ event: "fault", problem: error instanceof Error ? (error.stack ?? error.message) : String(error) });
      return faultAnswer();
    }
  };
}

/** What can be read can be asked about without its body (RFC 9110, 9.1): monitors like to. The runtime leaves the body out. */
const READ = ["GET", "HEAD"];

async function health(): Promise<Response> {
  return ownJson({ status: "ok" });
}

/** Only pages of the gate's own site and of `allowedOrigins` may call; every answer to them carries CORS headers. */
function forOwnPages(gate: Gate, handler: Handler): Handler {
  return async (request, url, env, ctx) => {
    const page = checkPage(request, url, gate.policy);
    if (page.kind === "foreign") return foreignAnswer("origin");
    if (page.kind === "none") return handler(request, url, env, ctx);
    return withCors(preflightAnswer(request) ?? (await handler(request, url, env, ctx)), page.origin);
  };
}

/**
 * Not an MCP path. A JSON-RPC message that is POSTed here all the same is MCP, so that no path is a way around the gate;
 * everything else goes to the origin as it is. There the origin decides which pages may read its answers; pages that may call
 * the gate may read them all, as they must to sign in.
 */
async function passOther(request: Request, url: URL, env: GateEnv, ctx: ExecutionContext, gate: Gate): Promise<Response> {
  const look = await lookElsewhere(request);
  if (look.isMcp) return forOwnPages(gate, () => passMcp(request, url, env, ctx, gate, look.read))(request, url, env, ctx);
  try {
    const answer = await passThrough(request, url, look.body, gate, env);
    return withCorsIfNone(answer, request, checkPage(request, url, gate.policy), url);
  } catch (error) {
    const requestId = crypto.randomUUID();
    gate.log({ event: "origin-unreachable", problem: String(error), requestId });
    return originUnreachableAnswer(requestId, NOBODY);
  }
}
