/**
 * A real authorization server: oidc-provider, with dynamic registration, PKCE, resource indicators and refresh tokens, and two
 * pages for the person who signs in. Its pages link relatively; its redirects name its own host in full, as most servers' do.
 */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createLocalJWKSet, exportJWK, generateKeyPair, type JWTVerifyGetKey, jwtVerify } from "jose";
import { errors, Provider } from "oidc-provider";

export const SCOPE = "mcp";
const SIGN_IN_S = 600;

export interface AuthorizationServer {
  readonly issuer: string;
  /** Life of the access tokens that are issued from now on. */
  accessTokenSeconds: number;
  /** Every answer of the token endpoint so far has been for one of these resources, as the server knew them. */
  readonly resources: readonly string[];
  handle(incoming: IncomingMessage, outgoing: ServerResponse): void;
  /** Whether a token is one of its own, alive, and for this resource: checked as a resource server does. */
  isGoodFor(token: string, resource: string): Promise<boolean>;
}

/**
 * @param issuer where it is going to be reached
 * @param resource the one resource for which it gives tokens
 */
export async function createAuthorizationServer(issuer: string, resource: () => string): Promise<AuthorizationServer> {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const named = { kid: "test", alg: "ES256", use: "sig" };
  const publicKeys: JWTVerifyGetKey = createLocalJWKSet({ keys: [{ ...(await exportJWK(publicKey)), ...named }] });
  const resources: string[] = [];
  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...(await exportJWK(privateKey)), ...named }] },
    ttl: {
      Interaction: SIGN_IN_S,
      Session: SIGN_IN_S,
      Grant: SIGN_IN_S,
      RefreshToken: SIGN_IN_S,
      AuthorizationCode: SIGN_IN_S,
      AccessToken: (_context, { resourceServer }) => resourceServer?.accessTokenTTL ?? SIGN_IN_S,
    },
    cookies: { keys: ["a key of the test's"] },
    scopes: [SCOPE, "offline_access"],
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    issueRefreshToken: () => true,
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo(_context, indicator) {
          resources.push(indicator);
          if (indicator !== resource()) throw new errors.InvalidTarget(`no resource of this server's: ${indicator}`);
          return {
            scope: SCOPE,
            audience: indicator,
            accessTokenTTL: server.accessTokenSeconds,
            accessTokenFormat: "jwt",
            jwt: { sign: { alg: "ES256" } },
          };
        },
      },
    },
  });
  const callback = provider.callback();
  const server: AuthorizationServer = {
    issuer,
    accessTokenSeconds: 600,
    resources,
    handle(incoming, outgoing) {
      if (!incoming.url?.startsWith("/interaction/")) return void callback(incoming, outgoing);
      interact(provider, resource(), incoming, outgoing).catch((error: unknown) => outgoing.writeHead(500).end(String(error)));
    },
    async isGoodFor(token, audience) {
      return jwtVerify(token, publicKeys, { issuer, audience }).then(
        () => true,
        () => false,
      );
    },
  };
  return server;
}

export interface ServedAuthorizationServer extends AuthorizationServer {
  stop(): Promise<void>;
}

/** An authorization server on a host of its own. */
export async function serveAuthorizationServer(port: number, resource: () => string): Promise<ServedAuthorizationServer> {
  const authorizationServer = await createAuthorizationServer(`http://127.0.0.1:${port}`, resource);
  const server = createServer((incoming, outgoing) => authorizationServer.handle(incoming, outgoing));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return Object.assign(authorizationServer, {
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

/** A page that asks who it is, one that asks for consent, and what becomes of their forms. */
async function interact(provider: Provider, resource: string, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const { prompt, params, session } = await provider.interactionDetails(incoming, outgoing);
  if (incoming.method !== "POST") {
    const page = `<form method="post" action="${incoming.url}"><input name="login"><button>${prompt.name}</button></form>`;
    outgoing.writeHead(200, { "Content-Type": "text/html" }).end(page);
    return;
  }
  const site = incoming.headers.origin;
  if (site !== undefined && site !== new URL(`http://${incoming.headers.host}`).origin) {
    outgoing.writeHead(403).end("A form of another site.");
    return;
  }
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const form = new URLSearchParams(Buffer.concat(chunks).toString());
  if (prompt.name === "login") {
    await provider.interactionFinished(incoming, outgoing, { login: { accountId: form.get("login") ?? "" } });
    return;
  }
  const grant = new provider.Grant({ accountId: session!.accountId, clientId: String(params["client_id"]) });
  grant.addOIDCScope(`${SCOPE} offline_access`);
  grant.addResourceScope(resource, SCOPE);
  await provider.interactionFinished(incoming, outgoing, { consent: { grantId: await grant.save() } });
}
