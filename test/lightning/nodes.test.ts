import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { LightningNode } from "../../src/lightning/node.ts";
import { openNode } from "../../src/lightning/open-node.ts";
import { decodeBolt11 } from "../support/bolt11.ts";
import { freePort } from "../support/command.ts";
import { type Clock, NODE_BACKENDS, type NodeBackend } from "../support/lightning-stand-ins.ts";
import { type FetchServer, serveFetch } from "../support/serve-fetch.ts";

const NOW = Date.UTC(2026, 10, 21, 12);
const ORDER = { sats: 30, memo: "10 calls of the free plan", expirySeconds: 600 };

/** What stands between the gate and the node, for a test. */
type Trouble = (request: Request) => Promise<Response>;

describe.each(Object.entries(NODE_BACKENDS))("invoices of %s", (_name, start) => {
  const clock: Clock = { now: NOW };
  let backend: NodeBackend;
  let server: FetchServer;
  let base: string;
  let asked: string[] = [];
  let trouble: Trouble | null = null;

  beforeAll(async () => {
    backend = await start(clock);
    server = await serveFetch((request) => {
      asked.push(request.url);
      return trouble ? trouble(request) : backend.handle(request);
    });
    base = new URL(server.url).origin;
  });
  afterAll(async () => {
    await server.stop();
    await backend.stop();
  });
  afterEach(() => {
    trouble = null;
    asked = [];
    clock.now = NOW;
  });

  function open(changes: { url?: string; secret?: string; network?: "bc" | "bcrt" } = {}): LightningNode {
    const { url = base, secret = backend.secret, network = "bcrt" } = changes;
    return openNode({ kind: backend.kind, url, network }, secret);
  }

  async function problemOf(node: LightningNode): Promise<{ kind: string; message: string }> {
    const created = await node.createInvoice(ORDER, NOW);
    if (created.ok) throw new Error("no problem");
    expect(created.problem.message).not.toContain(backend.secret);
    return created.problem;
  }

  test("are over what was asked for, signed, and told with their payment hash and their end, without the preimage", async () => {
    const created = await open().createInvoice(ORDER, NOW);
    if (!created.ok) throw new Error(created.problem.message);
    const { invoice, paymentHash, expiresAt } = created.invoice;
    const decoded = decodeBolt11(invoice);
    expect(decoded).toMatchObject({ prefix: "lnbcrt300n", amountMsat: 30_000, paymentHash, description: ORDER.memo, expirySeconds: 600 });
    expect(expiresAt).toBe(NOW + 600_000);
    expect((decoded.timestamp + decoded.expirySeconds) * 1_000).toBeGreaterThanOrEqual(expiresAt);
    expect(Object.keys(created.invoice).toSorted()).toEqual(["expiresAt", "invoice", "paymentHash"]);
  });

  test("have a payment hash each", async () => {
    const node = open();
    const hashes = new Set<string>();
    for (let i = 0; i < 5; i++) {
      const created = await node.createInvoice(ORDER, NOW);
      if (created.ok) hashes.add(created.invoice.paymentHash);
    }
    expect(hashes.size).toBe(5);
  });

  test("are open, then settled once paid, and stay so", async () => {
    const node = open();
    const created = await node.createInvoice(ORDER, NOW);
    if (!created.ok) throw new Error(created.problem.message);
    const { invoice, paymentHash } = created.invoice;
    expect(await node.lookupInvoice(paymentHash, NOW)).toEqual({ ok: true, state: "open" });
    await backend.pay(invoice);
    expect(await node.lookupInvoice(paymentHash, NOW)).toEqual({ ok: true, state: "settled" });
    clock.now = NOW + 700_000;
    expect(await node.lookupInvoice(paymentHash, clock.now)).toEqual({ ok: true, state: "settled" });
  });

  test("that nobody paid in time are expired, and others unknown", async () => {
    const node = open();
    const created = await node.createInvoice(ORDER, NOW);
    if (!created.ok) throw new Error(created.problem.message);
    clock.now = NOW + 600_000;
    expect(await node.lookupInvoice(created.invoice.paymentHash, clock.now)).toEqual({ ok: true, state: "expired" });
    expect(await node.lookupInvoice("ab".repeat(32), NOW)).toEqual({ ok: true, state: "unknown" });
  });

  test("may carry the longest memo that every node takes, in any script", async () => {
    const created = await open().createInvoice({ ...ORDER, memo: "ü".repeat(128) }, NOW);
    expect(created.ok && decodeBolt11(created.invoice.invoice).description).toBe("ü".repeat(128));
  });

  test("are asked for below the path of the address, with or without a slash at its end", async () => {
    trouble = (request) => backend.handle(new Request(request.url.replace("/behind/a/proxy", ""), request));
    for (const url of [`${base}/behind/a/proxy`, `${base}/behind/a/proxy/`]) {
      expect(await open({ url }).createInvoice(ORDER, NOW)).toMatchObject({ ok: true });
    }
    expect(asked.every((url) => new URL(url).pathname.startsWith("/behind/a/proxy/"))).toBe(true);
    expect(asked.some((url) => url.includes("proxy//"))).toBe(false);
  });

  test("of play money are not sold for money", async () => {
    expect(await problemOf(open({ network: "bc" }))).toMatchObject({
      kind: "wrong-invoice",
      message: expect.stringContaining("bcrt") as string,
    });
  });

  test("are not had with a wrong credential, and the log says where and which one it takes, without the credential", async () => {
    const problem = await problemOf(open({ secret: "00" }));
    expect(problem.kind).toBe("unauthorized");
    expect(problem.message).toContain(base);
    trouble = async () => new Response("no", { status: 401 });
    expect(await problemOf(open())).toMatchObject({
      kind: "unauthorized",
      message: expect.stringMatching(/must be .*(macaroon|key|password)/) as string,
    });
    trouble = null;
    expect(await open({ secret: "ü\nb" }).createInvoice(ORDER, NOW)).toMatchObject({ ok: false, problem: { kind: "unauthorized" } });
  });

  test.each<[string, Trouble, string]>([
    ["breaks the connection", () => Promise.reject(new Error("broken")), "unreachable"],
    ["answers with a page of HTML", async () => new Response("<html>502</html>", { status: 502 }), "unexpected"],
    ["answers with another object", async () => Response.json({ ok: true }), "unexpected"],
    ["answers with a list", async () => Response.json([1]), "unexpected"],
    [
      "answers with numbers where texts belong",
      async () => Response.json({ r_hash: 1, payment_request: 2, payment_hash: 3, serialized: 4 }),
      "unexpected",
    ],
    ["never ends its answer", async () => new Response("x".repeat(1_000_000)), "unexpected"],
    ["does not know the path", async () => new Response("not found", { status: 404 }), "unexpected"],
  ])("are told as a problem when the node %s", async (_what, answer, kind) => {
    trouble = answer;
    const problem = await problemOf(open());
    expect(problem.kind).toBe(kind);
    expect(problem.message).toContain(base);
    const lookedUp = await open().lookupInvoice("ab".repeat(32), NOW);
    // A node that knows no such path knows no such invoice: phoenixd cannot be told apart there.
    if (!(lookedUp.ok && lookedUp.state === "unknown" && backend.kind === "phoenixd"))
      expect(lookedUp).toMatchObject({ ok: false, problem: { kind } });
  });

  test("are told as a problem when nothing listens there, or it is no address at all", async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    expect(await problemOf(open({ url }))).toMatchObject({ kind: "unreachable", message: expect.stringContaining(url) as string });
    expect(await problemOf(open({ url: "nowhere" }))).toMatchObject({ kind: "unreachable" });
    expect((await problemOf(open({ url: `http://user:hidden@127.0.0.1:${await freePort()}/?key=hidden` }))).message).not.toContain(
      "hidden",
    );
  });

  test("are waited for three seconds and no longer", async () => {
    trouble = (request) => new Promise((_resolve, reject) => request.signal.addEventListener("abort", () => reject(new Error("left"))));
    const startedAt = performance.now();
    expect(await problemOf(open())).toMatchObject({ kind: "timeout" });
    expect(performance.now() - startedAt).toBeLessThan(15_000);
  });

  test("are never asked for where a node redirects to: the credential would go there too", async () => {
    trouble = async (request) =>
      new URL(request.url).pathname === "/elsewhere"
        ? Response.json({})
        : new Response(null, { status: 307, headers: { location: "/elsewhere" } });
    expect(await problemOf(open())).toMatchObject({ kind: "unexpected" });
    expect(asked.some((url) => url.endsWith("/elsewhere"))).toBe(false);
  });

  test("are not asked for any more after three failures, until the node has had time to come back", async () => {
    const node = open();
    trouble = async () => new Response("", { status: 500 });
    for (let i = 0; i < 3; i++) expect(await problemOf(node)).toMatchObject({ kind: "unexpected" });
    const before = asked.length;
    expect(await problemOf(node)).toMatchObject({ kind: "away", message: expect.stringContaining(base) as string });
    expect(await node.lookupInvoice("ab".repeat(32), NOW + 9_999)).toMatchObject({ ok: false, problem: { kind: "away" } });
    expect(asked).toHaveLength(before);
    trouble = null;
    expect(await node.createInvoice(ORDER, NOW + 10_000)).toMatchObject({ ok: true });
    expect(await node.createInvoice(ORDER, NOW + 10_000)).toMatchObject({ ok: true });
  });
});

describe("LNbits after a payment", () => {
  test("is settled as soon as its node says so, also where its database does not yet", async () => {
    const answers = [
      { paid: false, status: "success" },
      { paid: false, status: "failed" },
      { paid: false, status: "pending", details: { expiry: NOW / 1_000 - 1 } },
      { paid: false },
    ];
    const states = ["settled", "expired", "expired", "open"];
    const server = await serveFetch(async () => Response.json(answers.shift()));
    const node = openNode({ kind: "lnbits", url: new URL(server.url).origin }, "key");
    for (const state of states) expect(await node.lookupInvoice("ab".repeat(32), NOW)).toEqual({ ok: true, state });
    await server.stop();
  });
});

describe("LND of before 0.15", () => {
  test("says by an error of its own that there is no such invoice", async () => {
    const answers = ["unable to locate invoice", "there are no existing invoices", "wallet locked"];
    const server = await serveFetch(async () => {
      const message = answers.shift()!;
      return Response.json({ error: message, message, code: 2 }, { status: 500 });
    });
    const node = openNode({ kind: "lnd", url: new URL(server.url).origin }, "00");
    for (let i = 0; i < 2; i++) expect(await node.lookupInvoice("ab".repeat(32), NOW)).toEqual({ ok: true, state: "unknown" });
    expect(await node.lookupInvoice("ab".repeat(32), NOW)).toMatchObject({ ok: false });
    await server.stop();
  });
});
