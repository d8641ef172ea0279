/**
 * The official MCP clients behind one small face, so that a test says once what must hold with each of them. `sdk-1` is
 * @modelcontextprotocol/sdk 1.32.2, the others are @modelcontextprotocol/client 2.4.0: as it comes, probing for
 * the era, and pinned to 2026-07-28.
 */

import { Client as Client2, StreamableHTTPClientTransport as Transport2 } from "@modelcontextprotocol/client";
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as Transport1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";

export const LEGACY_DIALECTS = ["sdk-1", "client-2-legacy"] as const;
export const DIALECTS = [...LEGACY_DIALECTS, "client-2-auto", "client-2-modern"] as const;
export type Dialect = (typeof DIALECTS)[number];

export const MODERN_REVISION = "2026-07-28";

export interface AgentOptions {
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sees every request of the transport. */
  readonly fetch?: typeof fetch;
  /** What the client answers when the server asks for a completion by its model. */
  readonly onSampling?: () => string;
  /** What the client answers when the server asks its user. */
  readonly onElicitation?: () => Readonly<Record<string, string | number | boolean>>;
  readonly onLog?: (data: unknown) => void;
  readonly onToolsChanged?: () => void;
}

export interface CallOptions {
  readonly onProgress?: (progress: number) => void;
  readonly signal?: AbortSignal;
}

export interface ToolAnswer {
  readonly isError: boolean;
  readonly text: string;
  readonly meta: Readonly<Record<string, unknown>>;
}

export interface Agent {
  readonly dialect: Dialect;
  /** The revision that the connection came to speak. */
  readonly revision: string | undefined;
  readonly sessionId: string | undefined;
  listTools(): Promise<string[]>;
  listPrompts(): Promise<string[]>;
  listResources(): Promise<string[]>;
  call(tool: string, args?: Readonly<Record<string, unknown>>, options?: CallOptions): Promise<ToolAnswer>;
  getPrompt(name: string, args: Readonly<Record<string, string>>): Promise<string>;
  readResource(uri: string): Promise<string>;
  ping(): Promise<void>;
  /** Asks to be told of changes of the tool list, where the revision has a request for it. Resolves with how to stop. */
  listen(): Promise<() => Promise<void>>;
  /** DELETE, as the clients of a session send it. */
  endSession(): Promise<void>;
  close(): Promise<void>;
}

const CLIENT_INFO = { name: "turnpike-test", version: "1.0.0" };

export async function connectAgent(dialect: Dialect, url: string, options: AgentOptions = {}): Promise<Agent> {
  return dialect === "sdk-1" ? connectSdk1(url, options) : connectClient2(dialect, url, options);
}

/** Connects, runs, and closes whatever happens. */
export async function withAgent<T>(dialect: Dialect, url: string, options: AgentOptions, run: (agent: Agent) => Promise<T>): Promise<T> {
  const agent = await connectAgent(dialect, url, options);
  try {
    return await run(agent);
  } finally {
    await agent.close();
  }
}

function requestInit({ key, headers }: AgentOptions): RequestInit {
  return { headers: { ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }), ...headers } };
}

function capabilities({ onSampling, onElicitation }: AgentOptions) {
  return { ...(onSampling ? { sampling: {} } : {}), ...(onElicitation ? { elicitation: {} } : {}) };
}

async function connectSdk1(url: string, options: AgentOptions): Promise<Agent> {
  const client = new Client1(CLIENT_INFO, { capabilities: capabilities(options) });
  const { onSampling, onElicitation, onLog, onToolsChanged } = options;
  if (onSampling) client.setRequestHandler(CreateMessageRequestSchema, () => sampled(onSampling()));
  if (onElicitation) client.setRequestHandler(ElicitRequestSchema, () => ({ action: "accept" as const, content: { ...onElicitation() } }));
  if (onLog) client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => onLog(params.data));
  if (onToolsChanged) client.setNotificationHandler(ToolListChangedNotificationSchema, () => onToolsChanged());
  const transport = new Transport1(new URL(url), {
    requestInit: requestInit(options),
    ...(options.fetch ? { fetch: options.fetch } : {}),
  });
  await client.connect(transport);
  return {
    dialect: "sdk-1",
    get revision() {
      return transport.protocolVersion;
    },
    get sessionId() {
      return transport.sessionId;
    },
    listTools: async () => (await client.listTools()).tools.map((tool) => tool.name),
    listPrompts: async () => (await client.listPrompts()).prompts.map((prompt) => prompt.name),
    listResources: async () => (await client.listResources()).resources.map((resource) => resource.uri),
    async call(tool, args = {}, { onProgress, signal } = {}) {
      return toolAnswer(
        await client.callTool({ name: tool, arguments: { ...args } }, undefined, {
          ...(onProgress ? { onprogress: ({ progress }) => onProgress(progress) } : {}),
          ...(signal ? { signal } : {}),
        }),
      );
    },
    getPrompt: async (name, args) => promptText(await client.getPrompt({ name, arguments: { ...args } })),
    readResource: async (uri) => resourceText(await client.readResource({ uri })),
    ping: async () => void (await client.ping()),
    listen: () => Promise.reject(new Error("subscriptions/listen came with 2026-07-28")),
    endSession: () => transport.terminateSession(),
    close: () => client.close(),
  };
}

async function connectClient2(dialect: Exclude<Dialect, "sdk-1">, url: string, options: AgentOptions): Promise<Agent> {
  const mode = dialect === "client-2-legacy" ? "legacy" : dialect === "client-2-auto" ? "auto" : { pin: MODERN_REVISION };
  const client = new Client2(CLIENT_INFO, { capabilities: capabilities(options), versionNegotiation: { mode } });
  const { onSampling, onElicitation, onLog, onToolsChanged } = options;
  if (onSampling) client.setRequestHandler("sampling/createMessage", () => sampled(onSampling()));
  if (onElicitation) client.setRequestHandler("elicitation/create", () => ({ action: "accept" as const, content: { ...onElicitation() } }));
  if (onLog) client.setNotificationHandler("notifications/message", ({ params }) => onLog(params.data));
  if (onToolsChanged) client.setNotificationHandler("notifications/tools/list_changed", () => onToolsChanged());
  const transport = new Transport2(new URL(url), {
    requestInit: requestInit(options),
    ...(options.fetch ? { fetch: options.fetch } : {}),
  });
  await client.connect(transport);
  return {
    dialect,
    get revision() {
      return client.getNegotiatedProtocolVersion();
    },
    get sessionId() {
      return transport.sessionId;
    },
    listTools: async () => (await client.listTools()).tools.map((tool) => tool.name),
    listPrompts: async () => (await client.listPrompts()).prompts.map((prompt) => prompt.name),
    listResources: async () => (await client.listResources()).resources.map((resource) => resource.uri),
    async call(tool, args = {}, { onProgress, signal } = {}) {
      return toolAnswer(
        await client.callTool(
          { name: tool, arguments: { ...args } },
          { ...(onProgress ? { onprogress: ({ progress }) => onProgress(progress) } : {}), ...(signal ? { signal } : {}) },
        ),
      );
    },
    getPrompt: async (name, args) => promptText(await client.getPrompt({ name, arguments: { ...args } })),
    readResource: async (uri) => resourceText(await client.readResource({ uri })),
    ping: async () => void (await client.ping()),
    async listen() {
      const subscription = await client.listen({ toolsListChanged: true });
      return () => subscription.close();
    },
    endSession: () => transport.terminateSession(),
    close: () => client.close(),
  };
}

function sampled(text: string) {
  return { model: "a-model-of-the-test", role: "assistant" as const, content: { type: "text" as const, text } };
}

function toolAnswer(result: { [member: string]: unknown }): ToolAnswer {
  const content = (result["content"] ?? []) as { type: string; text?: string }[];
  return {
    isError: result["isError"] === true,
    text: content.map((block) => block.text ?? `(${block.type})`).join("\n"),
    meta: (result["_meta"] ?? {}) as Record<string, unknown>,
  };
}

function promptText({ messages }: { messages: readonly { content: unknown }[] }): string {
  return messages.map(({ content }) => (content as { text?: string }).text ?? "").join("\n");
}

function resourceText({ contents }: { contents: readonly object[] }): string {
  return contents.map((content) => ("text" in content ? String(content.text) : "")).join("\n");
}
