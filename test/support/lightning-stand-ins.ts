/**
 * Stand-ins for Lightning nodes: small real HTTP servers on 127.0.0.1 that speak the published API of LND, LNbits and phoenixd, as
 * far as the gate uses it, and take nothing that those would not take. Their invoices are real ones of regtest. The
 * embedded node of `turnpike start` stands among them as it is.
 */

import { startEmbeddedNode } from "../../src/cli/local/embedded-node.ts";
import { InvoiceBook, type KnownInvoice } from "../../src/cli/local/invoice-book.ts";
import type { NodeConfig } from "../../src/lightning/open-node.ts";

export interface Clock {
  /** Epoch milliseconds. */
  now: number;
}

export interface NodeBackend {
  readonly kind: NodeConfig["kind"];
  /** What the gate is given. */
  readonly secret: string;
  readonly handle: (request: Request) => Promise<Response>;
  /** Somebody pays, somewhere in the network. */
  readonly pay: (invoice: string) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export const NODE_BACKENDS: Readonly<Record<string, (clock: Clock) => Promise<NodeBackend>>> = {
  LND: (clock) => standIn("lnd", "0201036c6e64", clock, answerAsLnd),
  LNbits: (clock) => standIn("lnbits", "invoice-key-of-the-wallet", clock, answerAsLnbits),
  phoenixd: (clock) => standIn("phoenixd", "limited-access-password", clock, answerAsPhoenixd),
  "the embedded node": embedded,
};

type AnswerAs = (request: Request, secret: string, book: InvoiceBook, now: number) => Promise<Response>;

async function standIn(kind: NodeConfig["kind"], secret: string, clock: Clock, answerAs: AnswerAs): Promise<NodeBackend> {
  const book = new InvoiceBook({ load: () => null, save: () => {} });
  return {
    kind,
    secret,
    handle: (request) => answerAs(request, secret, book, clock.now),
    async pay(invoice) {
      const payment = book.pay(invoice, clock.now);
      if (!payment.ok) throw new Error(payment.why);
    },
    stop: async () => {},
  };
}

async function embedded(clock: Clock): Promise<NodeBackend> {
  const password = "full-access-password";
  const limitedPassword = "limited-access-password";
  const store = { load: () => null, save: () => {} };
  const node = await startEmbeddedNode({ store, password, limitedPassword, clock: () => clock.now });
  return {
    kind: "phoenixd",
    secret: limitedPassword,
    async handle(request) {
      const { pathname } = new URL(request.url);
      const { method, headers } = request;
      const sent = new Headers({ authorization: headers.get("authorization")!, "content-type": headers.get("content-type") ?? "" });
      const response = await fetch(node.url + pathname, {
        method,
        headers: sent,
        ...(method === "POST" ? { body: await request.text() } : {}),
      });
      return new Response(await response.text(), response);
    },
    async pay(invoice) {
      const body = new URLSearchParams({ invoice });
      const response = await fetch(`${node.url}/payinvoice`, { method: "POST", headers: basic(password), body });
      const { paymentPreimage } = (await response.json()) as { paymentPreimage?: string };
      if (paymentPreimage === undefined) throw new Error("not paid");
    },
    stop: () => node.stop(),
  };
}

/** lnrpc.AddInvoice and LookupInvoice: unknown members are errors of the JSON of protocol buffers, 64-bit numbers are strings. */
async function answerAsLnd(request: Request, secret: string, book: InvoiceBook, now: number): Promise<Response> {
  if (request.headers.get("grpc-metadata-macaroon") !== secret)
    return Response.json(
      { code: 2, message: "verification failed: signature mismatch after caveat verification", details: [] },
      { status: 500 },
    );
  const endpoint = endpointOf(request);
  if (endpoint === "POST /v1/invoices") {
    const { value, memo, expiry, ...more } = await jsonOf(request);
    if (Object.keys(more).length > 0 || !isInt64(value) || !isInt64(expiry) || typeof memo !== "string")
      return Response.json({ code: 3, message: "proto: syntax error", details: [] }, { status: 400 });
    const known = book.create({ sats: Number(value), description: memo, expirySeconds: Number(expiry) }, now);
    const r_hash = Buffer.from(known.paymentHash, "hex").toString("base64");
    return Response.json({ r_hash, payment_request: known.invoice, add_index: "1", payment_addr: "" });
  }
  const hash = /^GET \/v1\/invoice\/([\da-f]{64})$/.exec(endpoint)?.[1];
  if (hash === undefined) return Response.json({ code: 5, message: "Not Found", details: [] }, { status: 404 });
  const known = book.find(hash);
  if (!known) return Response.json({ code: 5, message: "unable to locate invoice", details: [] }, { status: 404 });
  const state = { open: "OPEN", settled: "SETTLED", expired: "CANCELED" }[stateOf(known, now)];
  const r_preimage = Buffer.from(known.preimage, "hex").toString("base64");
  return Response.json({ memo: known.description, r_preimage, value: String(known.sats), settled: state === "SETTLED", state });
}

async function answerAsLnbits(request: Request, secret: string, book: InvoiceBook, now: number): Promise<Response> {
  if (request.headers.get("x-api-key") !== secret) return Response.json({ detail: "Invalid key." }, { status: 401 });
  const endpoint = endpointOf(request);
  if (endpoint === "POST /api/v1/payments") {
    const { out, unit, amount, memo, expiry } = await jsonOf(request);
    if (out !== false || unit !== "sat" || typeof amount !== "number" || typeof memo !== "string" || typeof expiry !== "number")
      return Response.json({ detail: "field required" }, { status: 400 });
    const known = book.create({ sats: amount, description: memo, expirySeconds: expiry }, now);
    const { invoice: bolt11, paymentHash: payment_hash } = known;
    return Response.json({ checking_id: payment_hash, payment_hash, bolt11, amount: amount * 1_000, status: "pending" }, { status: 201 });
  }
  const hash = /^GET \/api\/v1\/payments\/([\da-f]{64})$/.exec(endpoint)?.[1];
  const known = hash === undefined ? undefined : book.find(hash);
  if (!known) return Response.json({ detail: "Payment does not exist." }, { status: 404 });
  const { preimage, expiresAt } = known;
  const details = { payment_hash: hash, expiry: new Date(expiresAt).toISOString() };
  if (stateOf(known, now) === "settled") return Response.json({ paid: true, preimage, details });
  return Response.json({ paid: false, status: "pending", preimage, details });
}

async function answerAsPhoenixd(request: Request, secret: string, book: InvoiceBook, now: number): Promise<Response> {
  if (request.headers.get("authorization") !== basic(secret)["Authorization"])
    return new Response("Invalid authentication", { status: 401 });
  const endpoint = endpointOf(request);
  if (endpoint === "POST /createinvoice") {
    const form = new URLSearchParams(await request.text());
    const isForm = request.headers.get("content-type")?.startsWith("application/x-www-form-urlencoded");
    const description = form.get("description");
    if (
      !isForm ||
      description === null ||
      description.length > 128 ||
      !isInt64(form.get("amountSat")) ||
      !isInt64(form.get("expirySeconds"))
    )
      return new Response("Invalid parameter type", { status: 400 });
    const sats = Number(form.get("amountSat"));
    const known = book.create({ sats, description, expirySeconds: Number(form.get("expirySeconds")) }, now);
    return Response.json({ amountSat: sats, paymentHash: known.paymentHash, serialized: known.invoice });
  }
  const hash = /^GET \/payments\/incoming\/([\da-f]{64})$/.exec(endpoint)?.[1];
  const known = hash === undefined ? undefined : book.find(hash);
  if (!known) return new Response("Unknown endpoint (check api doc)", { status: 404 });
  const state = stateOf(known, now);
  const { paymentHash, preimage, invoice } = known;
  return Response.json({ paymentHash, preimage, invoice, isPaid: state === "settled", isExpired: state === "expired", fees: 0 });
}

function stateOf({ paidAt, expiresAt }: KnownInvoice, now: number): "open" | "settled" | "expired" {
  if (paidAt !== undefined) return "settled";
  return expiresAt <= now ? "expired" : "open";
}

function endpointOf(request: Request): string {
  return `${request.method} ${new URL(request.url).pathname}`;
}

async function jsonOf(request: Request): Promise<Record<string, unknown>> {
  if (request.headers.get("content-type") !== "application/json") return {};
  return (await request.json()) as Record<string, unknown>;
}

function isInt64(value: unknown): boolean {
  return typeof value === "string" && /^\d+$/.test(value);
}

function basic(password: string): { readonly Authorization: string } {
  return { Authorization: `Basic ${Buffer.from(`:${password}`).toString("base64")}` };
}
