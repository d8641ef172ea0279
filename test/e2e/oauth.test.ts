/** Servers that ask for a sign-in, behind the gate: real clients, a real authorization server, and a person who signs in. */

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { policyText } from "../support/admin.ts";
import { type ServedAuthorizationServer, serveAuthorizationServer } from "../support/authorization-server.ts";
import { freePort } from "../support/command.ts";
import { type RunningGate, startGate } from "../support/gate.ts";
import { postMessage, toolCall } from "../support/http.ts";
import { OAUTH_CLIENTS, oauthSession } from "../support/oauth-client.ts";
import { type OAuthOrigin, startOAuthOrigin } from "../support/oauth-origin.ts";

const PLANS = { anonymous: { rate: 10, maxWaitSeconds: 0 }, signedIn: { rate: 1_000 } };
const POLICY = policyText({ plans: PLANS, identity: { bearer: { plan: "signedIn" } } });
const PLANLESS = policyText({ plans: PLANS, identity: { bearer: { plan: "signedIn" }, addresses: { plan: null } } });

const EXPIRED = { timeout: 15_000, interval: 100 };
/** Ten at once, and what a slow machine refills meanwhile. */
const MOST_GUESSES = 20;

let count = 0;
function nextAddress(): Record<string, string> {
  return { "CF-Connecting-IP": `198.51.100.${++count}` };
}

function hostOf(url: string): string {
  return new URL(url).host;
}

describe("an MCP server with its authorization server on its own host", () => {
  let origin: OAuthOrigin;
  let gate: RunningGate;
  beforeAll(async () => {
    origin = await startOAuthOrigin();
    gate = await startGate({ origin: origin.url, policy: POLICY });
  });
  afterAll(async () => {
    await gate.stop();
    await origin.stop();
  });

  it.for(OAUTH_CLIENTS)("lets %s sign in, call and sign in anew by itself, when only the gate can be reached", async (client) => {
    const onlyGate = new Set([hostOf(gate.url)]);
    const session = oauthSession(client, gate.url, onlyGate, nextAddress());
    origin.authorizationServer.accessTokenSeconds = 3;
    const signedIn = await session.signIn();
    const first = session.accessToken;
    try {
      expect(await signedIn.listTools()).toEqual(["echo"]);
      expect(await signedIn.echo("through the gate")).toBe("through the gate");
      await vi.waitFor(async () => expect(await origin.authorizationServer.isGoodFor(first!, origin.url)).toBe(false), EXPIRED);
      expect(await signedIn.echo("with a fresh token")).toBe("with a fresh token");
    } finally {
      await signedIn.close();
    }
    expect(session.accessToken).not.toBe(first);
    const steps = session.requests.map(({ method, path }) => `${method} ${path}`);
    expect(steps).toContain("GET /.well-known/oauth-protected-resource/mcp");
    for (const step of ["POST /reg", "GET /auth", "POST /token"]) expect(steps).toContain(step);
    expect(new Set(session.requests.map(({ host }) => host))).toEqual(onlyGate);
    // The server was asked for its own resource, by its own name.
    expect(new Set(origin.authorizationServer.resources)).toEqual(new Set([origin.url]));
  });

  it("lets a client sign in where calls without a key or a token are turned away at the gate", async () => {
    const strict = await startGate({ origin: origin.url, policy: PLANLESS });
    try {
      const session = oauthSession("client-2-legacy", strict.url, new Set([hostOf(strict.url)]), nextAddress());
      const signedIn = await session.signIn();
      expect(await signedIn.echo("hello")).toBe("hello");
      await signedIn.close();
    } finally {
      await strict.stop();
    }
  });

  it("does not let 40 made-up tokens from one address be 40 fresh buckets, and lets a good one through beside them", async () => {
    const address = nextAddress();
    const session = oauthSession("sdk-1", gate.url, new Set([hostOf(gate.url)]), address);
    origin.authorizationServer.accessTokenSeconds = 600;
    const signedIn = await session.signIn();
    try {
      const before = origin.counts.refused;
      const guesses = Array.from({ length: 40 }, (_, i) =>
        postMessage(gate.url, toolCall("echo", { text: String(i) }), { ...address, Authorization: `Bearer made-up-${i}` }),
      );
      const statuses = (await Promise.all(guesses)).map(({ status }) => status);
      expect(origin.counts.refused - before).toBeLessThanOrEqual(MOST_GUESSES);
      expect(statuses.filter((status) => status === 401)).toHaveLength(origin.counts.refused - before);
      expect(statuses.filter((status) => status === 429)).toHaveLength(40 - (origin.counts.refused - before));
      for (let i = 0; i < 15; i++) expect(await signedIn.echo(`call ${i}`)).toBe(`call ${i}`);
    } finally {
      await signedIn.close();
    }
  });

  it("charges a token to its address again once the server no longer takes it", async () => {
    const address = nextAddress();
    const session = oauthSession("sdk-1", gate.url, new Set([hostOf(gate.url)]), address);
    const signedIn = await session.signIn();
    await signedIn.close();
    const headers = { ...address, Authorization: `Bearer ${session.accessToken}` };
    const call = async (i: number): Promise<number> =>
      (await postMessage(gate.url, toolCall("echo", { text: `revoked ${i}` }), headers)).status;
    for (let i = 0; i < 15; i++) expect(await call(i)).toBe(200);
    origin.revoked.add(session.accessToken!);
    const statuses: number[] = [];
    for (let i = 0; i < 15; i++) statuses.push(await call(100 + i));
    expect(statuses[0]).toBe(401);
    expect(statuses.at(-1)).toBe(429);
  });
});

describe("an MCP server with its authorization server on a host of its own", () => {
  let authorizationServer: ServedAuthorizationServer;
  let origin: OAuthOrigin;
  let gate: RunningGate;
  beforeAll(async () => {
    authorizationServer = await serveAuthorizationServer(await freePort(), () => gate.url);
    origin = await startOAuthOrigin(authorizationServer, () => gate.url);
    gate = await startGate({ origin: origin.url, policy: POLICY });
  });
  afterAll(async () => {
    await gate.stop();
    await origin.stop();
    await authorizationServer.stop();
  });

  it.for(OAUTH_CLIENTS)("lets %s sign in there for the gate's name, and never asks it to reach the server", async (client) => {
    const hosts = new Set([hostOf(gate.url), hostOf(authorizationServer.issuer)]);
    const session = oauthSession(client, gate.url, hosts, nextAddress());
    const signedIn = await session.signIn();
    expect(await signedIn.listTools()).toEqual(["echo"]);
    expect(await signedIn.echo("from afar")).toBe("from afar");
    await signedIn.close();
    expect(session.requests.some(({ host, path }) => host === hostOf(authorizationServer.issuer) && path === "/token")).toBe(true);
    expect(new Set(authorizationServer.resources)).toEqual(new Set([gate.url]));
  });
});
