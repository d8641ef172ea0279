/**
 * A host that starts its MCP servers as commands, on the official clients: it spawns `turnpike connect` as Claude Code, Cursor or
 * Claude Desktop would.
 */

import { Client as Client2 } from "@modelcontextprotocol/client";
import { StdioClientTransport as Stdio2 } from "@modelcontextprotocol/client/stdio";
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as Stdio1 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { join } from "node:path";
import type { Stream } from "node:stream";
import { type Dialect, MODERN_REVISION } from "./agents.ts";
import { REPO } from "./command.ts";

export interface HostOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The script of the command: that of the checkout when left out. */
  readonly command?: string;
  /** What runs it: the Node of the test when left out. */
  readonly node?: string;
}

export interface ToolResult {
  readonly isError?: boolean;
  readonly content: readonly { readonly text?: string }[];
}

export interface CallOptions {
  readonly onProgress?: (progress: { readonly progress: number; readonly message?: string | undefined }) => void;
  readonly signal?: AbortSignal;
}

export interface StdioHost {
  readonly revision: string | undefined;
  readonly pid: number | null;
  /** What the bridge has said on stderr so far. */
  readonly said: () => string;
  listTools(): Promise<string[]>;
  call(tool: string, args?: Readonly<Record<string, unknown>>, options?: CallOptions): Promise<ToolResult>;
  close(): Promise<void>;
}

const MAIN = join(REPO, "src/cli/main.ts");
const CLIENT_INFO = { name: "turnpike-test-host", version: "1.0.0" };

export async function startHost(
  dialect: Dialect,
  url: string,
  { args = [], env = {}, command: script = MAIN, node = process.execPath }: HostOptions = {},
): Promise<StdioHost> {
  const command = {
    command: node,
    args: [script, "connect", url, ...args],
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stderr: "pipe" as const,
  };
  let said = "";
  const hear = (stderr: Stream | null): void => void stderr?.on("data", (chunk: Buffer) => (said += chunk.toString()));
  if (dialect === "sdk-1") {
    const client = new Client1(CLIENT_INFO);
    const transport = new Stdio1(command);
    hear(transport.stderr);
    await client.connect(transport);
    return {
      revision: undefined,
      pid: transport.pid,
      said: () => said,
      listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
      call: (name, input = {}, { onProgress, signal } = {}) =>
        client.callTool({ name, arguments: { ...input } }, undefined, {
          ...(onProgress ? { onprogress: onProgress, resetTimeoutOnProgress: true } : {}),
          ...(signal ? { signal } : {}),
        }) as Promise<ToolResult>,
      close: () => client.close(),
    };
  }
  const mode = dialect === "client-2-legacy" ? "legacy" : dialect === "client-2-auto" ? "auto" : { pin: MODERN_REVISION };
  const client = new Client2(CLIENT_INFO, { versionNegotiation: { mode } });
  const transport = new Stdio2(command);
  hear(transport.stderr);
  await client.connect(transport);
  return {
    get revision() {
      return client.getNegotiatedProtocolVersion();
    },
    pid: transport.pid,
    said: () => said,
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: (name, input = {}, { onProgress, signal } = {}) =>
      client.callTool(
        { name, arguments: { ...input } },
        { ...(onProgress ? { onprogress: onProgress } : {}), ...(signal ? { signal } : {}) },
      ) as Promise<ToolResult>,
    close: () => client.close(),
  };
}
