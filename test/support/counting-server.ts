/** A real MCP server of both eras that counts how often each of its calls has run. */

import { McpServer } from "@modelcontextprotocol/server";
import * as z from "zod";
import { serveDualEra } from "./dual-era.ts";
import type { FetchServer } from "./serve-fetch.ts";

export interface CountingServer extends FetchServer {
  /** How often `count` ran with this text. */
  ran(text: string): number;
}

export async function startCountingServer(): Promise<CountingServer> {
  const runs = new Map<string, number>();
  const server = await serveDualEra(() => {
    const mcp = new McpServer({ name: "counting", version: "1.0.0" });
    mcp.registerTool("count", { inputSchema: z.object({ text: z.string() }) }, ({ text }) => {
      runs.set(text, (runs.get(text) ?? 0) + 1);
      return { content: [{ type: "text", text: `${text} has run ${runs.get(text)} times` }] };
    });
    mcp.registerTool("steps", { inputSchema: z.object({ stepMs: z.number() }) }, async ({ stepMs }, context) => {
      const { _meta, notify } = context.mcpReq;
      for (let step = 1; step <= 3; step++) {
        await new Promise((resolve) => setTimeout(resolve, stepMs));
        const progressToken = _meta?.progressToken;
        if (progressToken === undefined) continue;
        await notify({ method: "notifications/progress", params: { progressToken, progress: step, total: 3 } });
      }
      // SDK clients drop the progress that arrives in one piece with the answer.
      await new Promise((resolve) => setTimeout(resolve, stepMs));
      return { content: [{ type: "text", text: "three steps" }] };
    });
    return mcp;
  });
  return { ...server, ran: (text) => runs.get(text) ?? 0 };
}
