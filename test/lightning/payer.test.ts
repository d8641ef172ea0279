import { createHash } from "node:crypto";
import { fetchWithL402 } from "@getalby/lightning-tools";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkCredential, L402_RANDOM_BYTES, type L402Challenge, mintL402 } from "../../src/challenges/l402.ts";
import { looksLikeL402 } from "../../src/challenges/l402-scheme.ts";
import { presentedL402 } from "../../src/challenges/presented-l402.ts";
import { challengeValues } from "../../src/challenges/www-authenticate.ts";
import { type EmbeddedNode, startEmbeddedNode } from "../../src/cli/local/embedded-node.ts";
import { openNode } from "../../src/lightning/open-node.ts";
import { challengeFor, keysOf, SECRET, VERIFY } from "../challenges/keys.ts";
import { type FetchServer, serveFetch } from "../support/serve-fetch.ts";

let node: EmbeddedNode;
let shop: FetchServer;
let invoices = 0;
const ACCOUNT = "ac".repeat(32);

beforeAll(async () => {
  node = await startEmbeddedNode({ store: { load: () => null, save: () => {} }, password: "full", limitedPassword: "limited" });
  const lightning = openNode({ kind: "phoenixd", url: node.url, network: "bcrt" }, "limited");
  const keys = await keysOf(SECRET);
  // A server that sells: the gate's rooms, and nothing of the gate around them.
  shop = await serveFetch(async (request) => {
    const credential = presentedL402(request.headers, []);
    if (credential) {
      const check = await checkCredential(credential, keys, Date.now());
      if (check.ok && check.paid.account === ACCOUNT) return Response.json({ sold: check.paid.calls, hash: check.paid.paymentHash });
    }
    const created = await lightning.createInvoice({ sats: 30, memo: "10 calls", expirySeconds: 600 }, Date.now());
    if (!created.ok) return new Response(created.problem.message, { status: 503 });
    invoices++;
    const { invoice } = created;
    const order = { account: ACCOUNT, isForHolder: true, plan: "anonymous", network: "bcrt", calls: 10, lifeMs: 600_000, invoice };
    const macaroon = await mintL402(order, keys, crypto.getRandomValues(new Uint8Array(L402_RANDOM_BYTES)));
    const expiresAt = new Date(invoice.expiresAt).toISOString();
    const challenge: L402Challenge = {
      type: "l402",
      macaroon,
      invoice: invoice.invoice,
      priceSats: 30,
      calls: 10,
      expiresAt,
      verify: VERIFY,
    };
    const values = challengeValues([await challengeFor({ now: Date.now() }), challenge]);
    return Response.json({ challenges: [challenge] }, { status: 402, headers: { "WWW-Authenticate": values.join(", ") } });
  });
});
afterAll(async () => {
  await shop.stop();
  await node.stop();
});

async function payInvoice({ invoice }: { invoice: string }): Promise<{ preimage: string }> {
  const response = await fetch(`${node.url}/payinvoice`, {
    method: "POST",
    headers: { Authorization: `Basic ${btoa(":full")}` },
    body: new URLSearchParams({ invoice }),
  });
  const { paymentPreimage } = (await response.json()) as { paymentPreimage: string };
  return { preimage: paymentPreimage };
}

describe("a payer that knows L402 and not this gate", () => {
  test("pays the invoice of the embedded node and gets what it paid for, with one payment", async () => {
    const paid: string[] = [];
    const wallet = {
      async payInvoice(args: { invoice: string }) {
        const { preimage } = await payInvoice(args);
        paid.push(preimage);
        return { preimage };
      },
    };
    const response = await fetchWithL402(shop.url, {}, { wallet });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ sold: 10, hash: createHash("sha256").update(Buffer.from(paid[0]!, "hex")).digest("hex") });
    expect(paid).toHaveLength(1);
    expect(invoices).toBe(1);
    const { value } = (response as Response & { payment: { credentials: { value: string } } }).payment.credentials;
    expect(looksLikeL402(value)).toBe(true);
  });
});

describe("the embedded node", () => {
  test("lets nobody pay with the password that makes invoices, or with none", async () => {
    for (const headers of [{ Authorization: `Basic ${btoa(":limited")}` }, { Authorization: `Basic ${btoa("full:")}` }, {}]) {
      const response = await fetch(`${node.url}/payinvoice`, {
        method: "POST",
        headers,
        body: new URLSearchParams({ invoice: "lnbcrt1" }),
      });
      expect(response.status).toBe(401);
      expect(await response.text()).not.toContain("preimage");
    }
  });

  test("pays an invoice once, and none that it has not made", async () => {
    const created = await openNode({ kind: "phoenixd", url: node.url, network: "bcrt" }, "limited").createInvoice(
      { sats: 1, memo: "", expirySeconds: 60 },
      Date.now(),
    );
    if (!created.ok) throw new Error(created.problem.message);
    expect((await payInvoice(created.invoice)).preimage).toMatch(/^[\da-f]{64}$/);
    expect((await payInvoice(created.invoice)).preimage).toBeUndefined();
    expect((await payInvoice({ invoice: "lnbcrt300n1qqqq" })).preimage).toBeUndefined();
  });

  test("knows its invoices and its key again after a restart", async () => {
    let kept = "null";
    const store = { load: () => JSON.parse(kept) as unknown, save: (book: object) => (kept = JSON.stringify(book)) };
    const options = { store, password: "full", limitedPassword: "limited" };
    const first = await startEmbeddedNode(options);
    const created = await openNode({ kind: "phoenixd", url: first.url, network: "bcrt" }, "limited").createInvoice(
      { sats: 30, memo: "x", expirySeconds: 60 },
      Date.now(),
    );
    await first.stop();
    const again = await startEmbeddedNode(options);
    expect(again.nodeId).toBe(first.nodeId);
    const lookedUp = await openNode({ kind: "phoenixd", url: again.url }, "limited").lookupInvoice(
      created.ok ? created.invoice.paymentHash : "",
      Date.now(),
    );
    expect(lookedUp).toEqual({ ok: true, state: "open" });
    await again.stop();
  });

  test.each([
    ["no amount", { description: "x" }],
    ["an amount of nothing", { description: "x", amountSat: "0" }],
    ["a fraction of a satoshi", { description: "x", amountSat: "1.5" }],
    ["more than any channel carries", { description: "x", amountSat: "10000001" }],
    ["no description", { amountSat: "1" }],
    ["a description that is too long", { description: "x".repeat(129), amountSat: "1" }],
    ["an end that is no number", { description: "x", amountSat: "1", expirySeconds: "soon" }],
    ["a body that is too long", { description: "x", amountSat: "1", more: "x".repeat(20_000) }],
  ])("makes no invoice for %s", async (_what, form) => {
    const headers = { Authorization: `Basic ${btoa(":limited")}` };
    const response = await fetch(`${node.url}/createinvoice`, {
      method: "POST",
      headers,
      body: new URLSearchParams(form),
    });
    expect(response.status).toBe(400);
  });
});
