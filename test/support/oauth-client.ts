/**
 * The official clients with their own OAuth, and the person who signs in: both see every request that they send, and may reach
 * only the hosts that the test names.
 */

import {
  Client as Client2,
  StreamableHTTPClientTransport as Transport2,
  UnauthorizedError as Unauthorized2,
} from "@modelcontextprotocol/client";
import { type OAuthDiscoveryState, UnauthorizedError as Unauthorized1 } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as Transport1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { OAuthClientInformationMixed, OAuthTokens } from "@modelcontextprotocol/sdk/shared/auth.js";

export const OAUTH_CLIENTS = ["sdk-1", "client-2-legacy", "client-2-auto"] as const;
export type OAuthClientName = (typeof OAUTH_CLIENTS)[number];

const CLIENT_INFO = { name: "turnpike-test", version: "1.0.0" };
/** Nobody listens there: the person's browser is sent to it, and the test reads the address bar. */
const REDIRECT_URL = "http://127.0.0.1:9/callback";
const MAX_PAGES = 20;

export interface SignedIn {
  listTools(): Promise<string[]>;
  echo(text: string): Promise<string>;
  close(): Promise<void>;
}

export interface OAuthSession {
  /** Connects and is sent to sign in; signs in; connects again. */
  signIn(): Promise<SignedIn>;
  readonly accessToken: string | undefined;
  /** Method, host and path of every request so far. */
  readonly requests: readonly { readonly method: string; readonly host: string; readonly path: string }[];
}

/** @param hosts all that may be reached, as `URL.host` */
export function oauthSession(
  client: OAuthClientName,
  url: string,
  hosts: ReadonlySet<string>,
  headers: Record<string, string>,
): OAuthSession {
  const requests: { method: string; host: string; path: string }[] = [];
  const watched = (async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const { host, pathname } = new URL(input instanceof Request ? input.url : input);
    requests.push({ method: init?.method ?? "GET", host, path: pathname });
    if (!hosts.has(host)) throw new Error(`${host} is not to be reached from here`);
    return fetch(input, init);
  }) as typeof fetch;
  const memory = new OAuthMemory();
  const connect = client === "sdk-1" ? connectSdk1 : connectClient2.bind(null, client === "client-2-auto" ? "auto" : "legacy");
  const open = () => connect(url, memory, watched, headers);
  return {
    requests,
    get accessToken() {
      return memory.tokens()?.access_token;
    },
    async signIn() {
      const first = await open();
      if (!("finish" in first)) throw new Error("connected without a token");
      const callback = await signInAsAPerson(memory.authorizationUrl!, watched);
      if (callback.get("state") !== memory.state()) throw new Error("the state of another sign-in came back");
      await first.finish(callback);
      const second = await open();
      if ("finish" in second) throw new Error("not connected after the sign-in");
      return second;
    },
  };
}

type Opened = SignedIn | { finish(callback: URLSearchParams): Promise<void> };

async function connectSdk1(
  url: string,
  authProvider: OAuthMemory,
  fetch: typeof globalThis.fetch,
  headers: Record<string, string>,
): Promise<Opened> {
  const client = new Client1(CLIENT_INFO);
  const transport = new Transport1(new URL(url), { authProvider, fetch, requestInit: { headers } });
  try {
    await client.connect(transport);
  } catch (error) {
    if (error instanceof Unauthorized1) return { finish: (callback) => transport.finishAuth(callback.get("code")!) };
    throw error;
  }
  return {
    listTools: async () => (await client.listTools()).tools.map((tool) => tool.name),
    echo: async (text) => textOf(await client.callTool({ name: "echo", arguments: { text } })),
    close: () => client.close(),
  };
}

async function connectClient2(
  mode: "auto" | "legacy",
  url: string,
  authProvider: OAuthMemory,
  fetch: typeof globalThis.fetch,
  headers: Record<string, string>,
): Promise<Opened> {
  const client = new Client2(CLIENT_INFO, { versionNegotiation: { mode } });
  const transport = new Transport2(new URL(url), { authProvider, fetch, requestInit: { headers } });
  try {
    await client.connect(transport);
  } catch (error) {
    if (isUnauthorized2(error)) return { finish: (callback) => transport.finishAuth(callback) };
    throw error;
  }
  return {
    listTools: async () => (await client.listTools()).tools.map((tool) => tool.name),
    echo: async (text) => textOf(await client.callTool({ name: "echo", arguments: { text } })),
    close: () => client.close(),
  };
}

function isUnauthorized2(error: unknown): boolean {
  return error instanceof Unauthorized2 || (error instanceof Error && error.cause !== undefined && isUnauthorized2(error.cause));
}

function textOf(result: { [member: string]: unknown }): string {
  return ((result["content"] ?? []) as { text?: string }[]).map(({ text }) => text ?? "").join("\n");
}

/** What a client keeps of its registration, its tokens and a sign-in under way. */
class OAuthMemory {
  authorizationUrl: URL | undefined;
  readonly redirectUrl = REDIRECT_URL;
  readonly clientMetadata = {
    client_name: "turnpike-test",
    redirect_uris: [REDIRECT_URL],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
    application_type: "native",
  };
  readonly #state = crypto.randomUUID();
  #client: OAuthClientInformationMixed | undefined;
  #tokens: OAuthTokens | undefined;
  #verifier = "";
  #discovered: OAuthDiscoveryState | undefined;

  state = (): string => this.#state;
  clientInformation = (): OAuthClientInformationMixed | undefined => this.#client;
  saveClientInformation = (client: OAuthClientInformationMixed): void => void (this.#client = client);
  tokens = (): OAuthTokens | undefined => this.#tokens;
  saveTokens = (tokens: OAuthTokens): void => void (this.#tokens = tokens);
  redirectToAuthorization = (url: URL): void => void (this.authorizationUrl = url);
  saveCodeVerifier = (verifier: string): void => void (this.#verifier = verifier);
  codeVerifier = (): string => this.#verifier;
  discoveryState = (): OAuthDiscoveryState | undefined => this.#discovered;
  saveDiscoveryState = (discovered: OAuthDiscoveryState): void => void (this.#discovered = discovered);
}

/** Follows redirects and sends forms, as a browser does, until it is sent back to the client. */
async function signInAsAPerson(start: URL, send: typeof fetch): Promise<URLSearchParams> {
  const jar = new Map<string, string>();
  let next: { url: URL; form?: URLSearchParams } = { url: start };
  for (let page = 0; page < MAX_PAGES; page++) {
    const { url, form } = next;
    const response = await send(url, {
      redirect: "manual",
      headers: {
        Cookie: [...jar].map(([name, value]) => `${name}=${value}`).join("; "),
        ...(form ? { Origin: url.origin } : {}),
      },
      ...(form ? { method: "POST", body: form } : {}),
    });
    for (const cookie of response.headers.getSetCookie()) keep(jar, cookie);
    const location = response.headers.get("location");
    const text = await response.text();
    if (location !== null) {
      const to = new URL(location, url);
      if (to.href.startsWith(REDIRECT_URL)) return to.searchParams;
      next = { url: to };
      continue;
    }
    const action = /<form method="post" action="([^"]+)"/.exec(text)?.[1];
    if (!response.ok || action === undefined)
      throw new Error(`the person is stuck at ${url.href} (${response.status}): ${text.slice(0, 500)}`);
    next = { url: new URL(action, url), form: new URLSearchParams({ login: "alice" }) };
  }
  throw new Error("the person goes in circles");
}

function keep(jar: Map<string, string>, cookie: string): void {
  const [pair = "", ...attributes] = cookie.split(";");
  const at = pair.indexOf("=");
  const isGone = attributes.some((attribute) => /^\s*expires=.*1970/i.test(attribute));
  if (isGone) jar.delete(pair.slice(0, at));
  else jar.set(pair.slice(0, at), pair.slice(at + 1));
}
