/** @modelcontextprotocol/server-everything, the reference server of the legacy era, as its users start it. */

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { freePort } from "./command.ts";

const MAIN = fileURLToPath(new URL("../../node_modules/@modelcontextprotocol/server-everything/dist/index.js", import.meta.url));
const READY_WITHIN_MS = 15_000;

export interface Everything {
  readonly url: string;
  /** What it has printed. */
  readonly logs: readonly string[];
  stop(): Promise<void>;
}

/** @param transport Streamable HTTP at /mcp, or the HTTP+SSE of 2024-11-05 at /sse and /message */
export async function startEverything(transport: "streamableHttp" | "sse" = "streamableHttp"): Promise<Everything> {
  const port = await freePort();
  // A clean environment: its tool get-env tells everything.
  const child = spawn(process.execPath, [MAIN, transport], { stdio: ["ignore", "pipe", "pipe"], env: { PORT: String(port) } });
  const logs: string[] = [];
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.stdout.on("data", (chunk: Buffer) => logs.push(chunk.toString()));
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("server-everything was not ready in time")), READY_WITHIN_MS);
    child.once("exit", (code) => reject(new Error(`server-everything ended with ${code}`)));
    child.stderr.on("data", (chunk: Buffer) => {
      if (!/(listening|running) on port/.test(chunk.toString())) return;
      clearTimeout(timer);
      resolve();
    });
  });
  return {
    url: `http://127.0.0.1:${port}/${transport === "sse" ? "sse" : "mcp"}`,
    logs,
    async stop() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
