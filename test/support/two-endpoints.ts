/**
 * One gate with two MCP endpoints: one leads to an origin that answers as the test tells it, the other to a real MCP server with
 * tools for agents to call. To start a second gate for that would take longer than most tests do.
 */

import embeddedOrigin from "../../src/cli/local/embedded-origin.ts";
import { policyText } from "./admin.ts";
import { type RunningGate, startGate } from "./gate.ts";
import { type Origin, type Respond, startOrigin } from "./origin.ts";

export interface TwoEndpoints {
  /** Its URL leads to `origin`. */
  readonly gate: RunningGate;
  readonly origin: Origin;
  /** The gate's endpoint that leads to the tools of the embedded origin. */
  readonly toolsUrl: string;
  stop(): Promise<void>;
}

const TOOLS_PATH = "/tools/mcp";

export interface TwoEndpointsOptions {
  /** As for `policyText`. */
  readonly code?: string;
  /** How the origin answers. */
  readonly respond?: Respond;
  /** As for `startGate`. */
  readonly state?: string;
}

/** @param policy of the gate, but for its origin and paths */
export async function startTwoEndpoints(policy: object, options: TwoEndpointsOptions = {}): Promise<TwoEndpoints> {
  const origin = await startOrigin(options.respond, { [TOOLS_PATH]: serveTools });
  const { code, state } = options;
  const text = policyText({ ...policy, mcpPaths: ["/mcp", TOOLS_PATH] }, code);
  const gate = await startGate({ origin: origin.url, policy: text, ...(state === undefined ? {} : { state }) });
  return {
    gate,
    origin,
    toolsUrl: new URL(TOOLS_PATH, gate.url).href,
    async stop() {
      await gate.stop();
      await origin.stop();
    },
  };
}

async function serveTools(request: Request): Promise<Response> {
  return embeddedOrigin.fetch(new Request(new URL("/mcp", request.url), request));
}
