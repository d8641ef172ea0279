/** Bearers that only the origin can check: what the address pays for them, and who remembers that they are good. */

import {
  createExecutionContext,
  evictDurableObject,
  runDurableObjectAlarm,
  runInDurableObject,
  waitOnExecutionContext,
} from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ConsumerNamespace } from "../../durable-objects/ask-consumer.ts";
import { createGateway, definePolicy, type GateEnv, type Policy } from "../../src/index.ts";
import { askFor, type ConsumerStub } from "./asking.ts";

/** Far ahead: an alarm in the real past would go off by itself. */
const NOW = Date.UTC(2060, 0, 1);
const HOUR_MS = 3_600_000;
const POLICY = definePolicy({
  origin: "https://origin.example/mcp",
  plans: { anonymous: { rate: 10, maxWaitSeconds: 0 }, signedIn: { rate: 30, maxWaitSeconds: 0 } },
  identity: { bearer: { plan: "signedIn" } },
});

/** Tokens that the origin takes. */
let good: Set<string>;
/** What it answers to a call with a good token. */
let status: number;
let reached: number;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: NOW });
  good = new Set();
  status = 200;
  reached = 0;
  vi.spyOn(console, "log").mockImplementation(() => {});
  vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
    reached++;
    const token = new Request(input, init).headers.get("authorization")?.slice("Bearer ".length) ?? "";
    if (!good.has(token)) return Promise.resolve(new Response(null, { status: 401, headers: { "WWW-Authenticate": "Bearer" } }));
    return Promise.resolve(Response.json({ jsonrpc: "2.0", id: 1, result: {} }, { status }));
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

let addresses = 0;
function newAddress(): string {
  return `203.0.113.${++addresses}`;
}

function newToken(isGood: boolean): string {
  const token = crypto.randomUUID();
  if (isGood) good.add(token);
  return token;
}

interface Sent {
  readonly token: string;
  readonly address: string;
  readonly method?: string;
  /** The tool's argument: another for each call when left out. */
  readonly argument?: string;
}

/** An isolate of its own: it knows nothing of what others have learned. */
function openGate(policy: Policy = POLICY, consumers: ConsumerNamespace = env.CONSUMERS) {
  const gate = createGateway(policy);
  const bindings: GateEnv = { KEYS: env.KEYS, CONSUMERS: consumers };
  let id = 0;
  return async ({ token, address, method = "tools/call", argument }: Sent): Promise<Response> => {
    const ctx = createExecutionContext();
    const isRequest = !method.startsWith("notifications/");
    const message = {
      jsonrpc: "2.0",
      ...(isRequest ? { id: ++id } : {}),
      method,
      params: { name: "echo", arguments: { text: argument ?? `call ${id}` } },
    };
    const request = new Request("https://gate.example/mcp", {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}`, "CF-Connecting-IP": address },
      body: JSON.stringify(message),
    });
    const response = await gate.fetch(request, bindings, ctx);
    await waitOnExecutionContext(ctx);
    return response;
  };
}

async function statusesOf(times: number, send: () => Promise<Response>): Promise<number[]> {
  const statuses: number[] = [];
  for (let i = 0; i < times; i++) statuses.push((await send()).status);
  return statuses;
}

function times(statuses: readonly number[], wanted: number): number {
  return statuses.filter((status) => status === wanted).length;
}

describe("made-up tokens", () => {
  test("share the limit of their address, and the refusal says that it is the address's", async () => {
    const post = openGate();
    const address = newAddress();
    const statuses = await statusesOf(40, () => post({ token: newToken(false), address }));
    expect(times(statuses, 401)).toBe(10);
    expect(times(statuses, 429)).toBe(30);
    expect(reached).toBe(10);
    const refused = await post({ token: newToken(false), address });
    expect(refused.headers.get("RateLimit-Policy")).toBe('"anonymous";q=10;w=60');
    expect(await refused.json()).toMatchObject({ error: { code: 429, data: { plan: "anonymous", "violated-policies": ["anonymous"] } } });
  });

  test("leave nothing behind in the objects of their names once the address is empty", async () => {
    const getByName = vi.fn(env.CONSUMERS.getByName.bind(env.CONSUMERS));
    const post = openGate(POLICY, { getByName } as unknown as ConsumerNamespace);
    const address = newAddress();
    await statusesOf(10, () => post({ token: newToken(false), address }));
    getByName.mockClear();
    expect((await post({ token: newToken(false), address })).status).toBe(429);
    const bearers = getByName.mock.calls.map(([name]) => name).filter((name) => name.startsWith("bearer:"));
    expect(bearers.length).toBeGreaterThan(0);
    for (const name of bearers) expect(await storedRows(env.CONSUMERS.getByName(name))).toBe(0);
  });

  test("have ten calls a minute together where the policy has no plan for addresses", async () => {
    const post = openGate({ ...POLICY, identity: { ...POLICY.identity, addresses: { plan: null } } });
    const address = newAddress();
    const statuses = await statusesOf(40, () => post({ token: newToken(false), address }));
    expect(times(statuses, 401)).toBe(10);
    expect((await post({ token: newToken(false), address: newAddress() })).status).toBe(401);
    expect(await (await post({ token: newToken(false), address })).json()).toMatchObject({ error: { data: { plan: "new-tokens" } } });
  });

  test("share the handshakes of their address, and what no object counts as well", async () => {
    const post = openGate({ ...POLICY, handshake: { address: 5 } });
    const address = newAddress();
    const handshakes = await statusesOf(5, () => post({ token: newToken(false), address, method: "initialize" }));
    expect(handshakes).toEqual([401, 401, 401, 401, 401]);
    expect((await post({ token: newToken(false), address })).status).toBe(401);
    // Two tokens: each alone would be within its own bound.
    const tokens = [newToken(false), newToken(false)];
    let sent = 0;
    const notified = await statusesOf(605, () => post({ token: tokens[sent++ % 2]!, address, method: "notifications/initialized" }));
    expect(times(notified, 401)).toBe(600);
    expect(times(notified, 503)).toBe(5);
  }, 30_000);
});

describe("a token that the origin accepts", () => {
  test("is no loop of its address's, when many begin with the same call", async () => {
    const post = openGate({ ...POLICY, plans: { ...POLICY.plans, anonymous: { rate: 100 } } });
    const address = newAddress();
    const statuses = await statusesOf(15, () => post({ token: newToken(true), address, argument: "the same" }));
    expect(times(statuses, 200)).toBe(15);
  });

  test("costs no question more than any other caller once the isolate knows it", async () => {
    const getByName = vi.fn(env.CONSUMERS.getByName.bind(env.CONSUMERS));
    const post = openGate(POLICY, { getByName } as unknown as ConsumerNamespace);
    const sent = { token: newToken(true), address: newAddress() };
    await post(sent);
    getByName.mockClear();
    await statusesOf(5, () => post(sent));
    expect(getByName).toHaveBeenCalledTimes(5);
  });

  test("is charged to its address once, and to itself from then on", async () => {
    const post = openGate();
    const address = newAddress();
    const token = newToken(true);
    expect(times(await statusesOf(31, () => post({ token, address })), 200)).toBe(30);
    // Of the address's ten calls nine are left.
    const others = await statusesOf(12, () => post({ token: newToken(false), address }));
    expect(times(others, 401)).toBe(9);
  });

  test("does not need its address any more, not even in another isolate", async () => {
    const address = newAddress();
    const token = newToken(true);
    expect((await openGate()({ token, address })).status).toBe(200);
    const elsewhere = openGate();
    await statusesOf(12, () => elsewhere({ token: newToken(false), address }));
    expect((await elsewhere({ token, address })).status).toBe(200);
  });

  test.each([400, 403, 404, 405, 429, 500])(
    "is not shown to be good by an answer %i, which servers give before they look",
    async (code) => {
      const post = openGate();
      const address = newAddress();
      const token = newToken(true);
      status = code;
      const statuses = await statusesOf(12, () => post({ token, address }));
      expect(times(statuses, 429) - (code === 429 ? 10 : 0)).toBe(2);
    },
  );

  test("is not shown to be good by the answer to a notification", async () => {
    const post = openGate();
    const address = newAddress();
    const token = newToken(true);
    status = 202;
    await post({ token, address, method: "notifications/initialized" });
    expect(times(await statusesOf(10, () => post({ token: newToken(false), address })), 401)).toBe(10);
    expect((await post({ token, address })).status).toBe(429);
  });

  test("and later no longer, is charged to its address again", async () => {
    const post = openGate();
    const address = newAddress();
    const token = newToken(true);
    await post({ token, address });
    good.delete(token);
    const statuses = await statusesOf(12, () => post({ token, address }));
    // The first told that it is not good any more; nine of the address's ten were left.
    expect(times(statuses, 401)).toBe(10);
    expect(times(statuses, 429)).toBe(2);
    expect((await openGate()({ token, address })).status).toBe(429);
  });

  test("and then refuses for a scope stays accepted", async () => {
    const post = openGate();
    const address = newAddress();
    const token = newToken(true);
    await post({ token, address });
    status = 403;
    expect(times(await statusesOf(12, () => post({ token, address })), 403)).toBe(12);
  });

  test("but that has used up its own plan costs its address nothing", async () => {
    const policy = { ...POLICY, plans: { ...POLICY.plans, signedIn: { rate: 1, maxWaitSeconds: 0 } } };
    const address = newAddress();
    const token = newToken(false);
    const post = openGate(policy);
    expect((await post({ token, address })).status).toBe(401);
    for (let i = 0; i < 9; i++) {
      const refused = await post({ token, address });
      expect(await refused.json()).toMatchObject({ error: { data: { plan: "signedIn" } } });
      // Past what the isolate remembers of refusals.
      vi.setSystemTime(Date.now() + 300);
    }
    expect(times(await statusesOf(12, () => post({ token: newToken(false), address })), 401)).toBe(9);
  });

  test("is given back, with what its address was charged, when the origin was away", async () => {
    const post = openGate();
    const address = newAddress();
    const token = newToken(true);
    status = 503;
    expect(times(await statusesOf(5, () => post({ token, address })), 503)).toBe(5);
    status = 200;
    const answer = await post({ token, address });
    expect(answer.headers.get("RateLimit")).toBe('"signedIn";r=29;t=2');
    expect(times(await statusesOf(12, () => post({ token: newToken(false), address })), 401)).toBe(9);
  });

  test("passes by the policy when no object can be asked", async () => {
    const broken = { getByName: () => ({ ask: () => Promise.reject(new Error("overloaded")) }) } as unknown as ConsumerNamespace;
    const refused = await openGate(POLICY, broken)({ token: newToken(true), address: newAddress() });
    expect(refused.status).toBe(503);
    const open = openGate({ ...POLICY, whenUnavailable: { others: "open" } }, broken);
    expect((await open({ token: newToken(true), address: newAddress() })).status).toBe(200);
  });
});

function fresh(): ConsumerStub {
  return env.CONSUMERS.getByName(`bearer:${crypto.randomUUID()}`);
}

describe("the object of a bearer", () => {
  test("remembers over an eviction that the origin has accepted it", async () => {
    const stub = fresh();
    expect(await stub.isAccepted()).toBe(false);
    await stub.accept();
    await evictDurableObject(stub);
    expect(await stub.isAccepted()).toBe(true);
    await stub.unaccept();
    await evictDurableObject(stub);
    expect(await stub.isAccepted()).toBe(false);
    await silence(stub);
  });

  test("remembers for an hour at least, wakes up no more than it must, and then forgets everything", async () => {
    const stub = fresh();
    await askFor(stub);
    await stub.accept();
    vi.setSystemTime(Date.now() + 120_000);
    await runDurableObjectAlarm(stub);
    const next = await runInDurableObject(stub, (_object, state) => state.storage.getAlarm());
    expect(next! - Date.now()).toBe(HOUR_MS - 120_000);
    expect(await stub.isAccepted()).toBe(true);
    vi.setSystemTime(next!);
    await runDurableObjectAlarm(stub);
    expect(await storedRows(stub)).toBe(0);
    expect(await stub.isAccepted()).toBe(false);
    await silence(stub);
  });

  test("writes nothing when it is told again soon, and remembers anew when it is told later", async () => {
    const stub = fresh();
    await stub.accept();
    const puts = await runInDurableObject(stub, (_object, state) => vi.spyOn(state.storage.kv, "put"));
    await stub.accept();
    await stub.unaccept();
    await stub.unaccept();
    expect(puts).not.toHaveBeenCalled();
    await stub.accept();
    expect(puts).toHaveBeenCalled();
    puts.mockClear();
    vi.setSystemTime(Date.now() + HOUR_MS / 2);
    await stub.accept();
    expect(puts).toHaveBeenCalled();
    await silence(stub);
  });
});

/** Alarms outlive a test otherwise. */
async function silence(stub: ConsumerStub): Promise<void> {
  await runInDurableObject(stub, (_object, state) => state.storage.deleteAlarm());
}

async function storedRows(stub: ConsumerStub): Promise<number> {
  return runInDurableObject(stub, (_object, state) => [...state.storage.kv.list()].length);
}
