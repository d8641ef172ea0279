/** The whole gate on plans with offers, its origin and its log at hand, and all that a caller does to get past a refusal. */

import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, vi } from "vitest";
import type { PowChallenge, Solution } from "../../src/challenges/proof-of-work.ts";
import { createKey, hashKey } from "../../src/consumers/api-keys.ts";
import { createGateway, definePolicy, type GateEnv } from "../../src/index.ts";
import { answerAsNode, NODE_URL } from "./node-stand-in.ts";

export const CALLS = 5;
const offers = { pow: { difficulty: 1, maxDifficulty: 2, calls: CALLS, seconds: 60 } };
const slow = { rate: { perMinute: 1, burst: 1 }, maxWaitSeconds: 0 };
const policy = {
  origin: "https://origin.example/mcp",
  prefix: "/gate",
  plans: {
    anonymous: { ...slow, rate: { perMinute: 1, burst: 2 }, offers },
    small: { ...slow, offers },
    firm: slow,
    spoken: { ...slow, offers, refuse: "result" as const },
    dear: { rate: { perMinute: 1, burst: 8 }, maxWaitSeconds: 0, offers, tools: { dear: { cost: 6 } } },
    members: { rate: 60, maxWaitSeconds: 0, offers },
  },
  identity: { bearer: { plan: "members" } },
  ownTools: { prefix: "gate_" },
  handshake: { key: 2, address: 2 },
  allowedOrigins: ["https://app.example"],
} as const;
export const SECRET = "s".repeat(32);

/** What the origin got, what the gate has logged, and what the origin answers from now on. */
export const wire: { forwarded: Request[]; logged: string[]; originStatus: number } = { forwarded: [], logged: [], originStatus: 200 };

/** For each test of the file: what passes is kept in `wire`, which is empty at first, and the origin and the node answer. */
export function watchWire(): void {
  beforeEach(() => {
    Object.assign(wire, { forwarded: [], logged: [], originStatus: 200 });
    vi.spyOn(console, "log").mockImplementation((line: string) => void wire.logged.push(line));
    vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
      const request = new Request(input, init);
      if (request.url.startsWith(NODE_URL)) return answerAsNode(request);
      wire.forwarded.push(request);
      return Promise.resolve(Response.json({ jsonrpc: "2.0", id: 1, result: {} }, { status: wire.originStatus }));
    });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });
}

export type Secrets = Pick<GateEnv, "CHALLENGE_SECRET" | "CHALLENGE_SECRET_PREVIOUS" | "LIGHTNING_SECRET">;

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export function open(secrets: Secrets = { CHALLENGE_SECRET: SECRET }, changes: Partial<Parameters<typeof definePolicy>[0]> = {}) {
  const gate = createGateway(definePolicy({ ...policy, ...changes }));
  const bindings: GateEnv = { KEYS: env.KEYS, CONSUMERS: env.CONSUMERS, ...secrets };
  return async ({ method = "POST", path = "/mcp", headers = {}, body }: Sent = {}): Promise<Response> => {
    const ctx = createExecutionContext();
    const text = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) };
    const request = new Request(`https://gate.example${path}`, {
      method,
      headers: { "Content-Type": "application/json", ...headers },
      ...text,
    });
    const response = await gate.fetch(request, bindings, ctx);
    // A paid answer is followed to its end: what is left to do then waits for somebody who reads it. One that is cut off is empty here.
    const [whole] = await Promise.all([response.arrayBuffer().catch(() => null), waitOnExecutionContext(ctx)]);
    return new Response(response.body ? whole : null, response);
  };
}

export type Send = ReturnType<typeof open>;

export async function aKey(plan: string, more: object = {}): Promise<Record<string, string>> {
  const key = createKey();
  const record = { consumer: `owner-${crypto.randomUUID()}`, plan, version: 1, createdAt: "2026-11-21T12:00:00Z", ...more };
  await env.KEYS.put(`key:${await hashKey(key)}`, JSON.stringify(record));
  return { "X-API-Key": key };
}

let addresses = 0;
export const anAddress = (): Record<string, string> => ({ "CF-Connecting-IP": `198.51.100.${++addresses}` });

export const call = (name: string, args: object = {}, id: number | string = 1): object => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name, arguments: args },
});

export interface Refused {
  readonly id: number;
  readonly error: { readonly code: number; readonly message: string; readonly data: Record<string, unknown> };
}

export async function challengeIn(response: Response): Promise<PowChallenge> {
  const { error } = await response.json<Refused>();
  return (error.data["challenges"] as PowChallenge[])[0]!;
}

export async function solve({ id, salt, difficulty, signature }: PowChallenge): Promise<Solution> {
  for (let nonce = 0; ; nonce++) {
    const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`${salt}${nonce}`));
    if (new DataView(hash).getUint32(0) >>> (32 - difficulty) === 0) return { id, salt, nonce: String(nonce), signature };
  }
}

/** Calls until one is refused, and returns that answer. */
export async function exhaust(send: Send, headers: Record<string, string>): Promise<Response> {
  for (let i = 0; i < 100; i++) {
    const response = await send({ headers, body: call("spend", { i }) });
    if (response.status !== 200) return response;
    await response.arrayBuffer();
  }
  throw new Error("was never refused");
}

export const verify = async (send: Send, solution: Solution, headers: Record<string, string>): Promise<Response> =>
  send({ path: "/gate/verify", headers, body: solution });

export async function aPass(send: Send): Promise<{ token: string; owner: Record<string, string> }> {
  const owner = await aKey("small");
  const verified = await verify(send, await solve(await challengeIn(await exhaust(send, owner))), owner);
  return { token: (await verified.json<{ token: string }>()).token, owner };
}
