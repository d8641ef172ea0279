/**
 * The Lightning node of `turnpike start`, for development and tests: it makes real invoices, signed and of regtest, knows their
 * preimages, and pays them itself when `turnpike pay` asks. It speaks the API of phoenixd, so the gate has no part that
 * is only there for it, and every test of the one is a test of the other.
 *
 * It cannot be deployed by accident. It is an HTTP server on node:http, on 127.0.0.1, in the process of the command: no
 * module of the Worker imports it (the linter and a test hold that), Workers have neither node:http here nor a way to
 * somebody's loopback, and a gate sells invoices of Bitcoin's own network only, unless its policy names another.
 */

import { timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { nodeIdOf } from "./bolt11.ts";
import { type BookStore, InvoiceBook, type KnownInvoice } from "./invoice-book.ts";

const HOST = "127.0.0.1";
const MAX_BODY_BYTES = 16_384;
/** phoenixd's own bounds and defaults. */
const MAX_DESCRIPTION_LENGTH = 128;
const DEFAULT_EXPIRY_SECONDS = 3_600;
const MAX_EXPIRY_SECONDS = 365 * 86_400;
/** 0.1 bitcoin, the most that a channel without wumbo could ever carry. */
const MAX_SATS = 10_000_000;

export interface EmbeddedNodeOptions {
  readonly store: BookStore;
  /** May do everything, as phoenixd's `http-password`. */
  readonly password: string;
  /** May make invoices and read them, as phoenixd's `http-password-limited-access`: for the gate. */
  readonly limitedPassword: string;
  /** 0 for any that is free, which is the default. */
  readonly port?: number;
  /** Epoch milliseconds. */
  readonly clock?: () => number;
}

export interface EmbeddedNode {
  /** The base of its API. */
  readonly url: string;
  /** Its public key, hexadecimal: who has signed the invoices. */
  readonly nodeId: string;
  stop(): Promise<void>;
}

interface Answer {
  readonly status: number;
  /** An object is sent as JSON, a text as it is: phoenixd tells errors so. */
  readonly body: object | string;
}

const UNAUTHORIZED: Answer = { status: 401, body: "Invalid authentication (use basic auth with the http password)" };
const UNKNOWN_ENDPOINT: Answer = { status: 404, body: "Unknown endpoint (check api doc)" };
const WHY_NOT = {
  unknown: "this node pays only invoices of its own, and this is none that it knows",
  expired: "the invoice has expired",
  paid: "the invoice has already been paid",
} as const;

export async function startEmbeddedNode(options: EmbeddedNodeOptions): Promise<EmbeddedNode> {
  const { store, password, limitedPassword, port = 0, clock = Date.now } = options;
  const book = new InvoiceBook(store);
  const nodeId = Buffer.from(nodeIdOf(book.nodeKey)).toString("hex");

  async function answer(request: IncomingMessage): Promise<Answer> {
    const given = passwordIn(request);
    const hasFullAccess = given !== null && isSame(given, password);
    if (!hasFullAccess && !(given !== null && isSame(given, limitedPassword))) return UNAUTHORIZED;
    const { pathname } = new URL(request.url ?? "/", `http://${HOST}`);
    const endpoint = `${request.method} ${pathname}`;
    if (endpoint === "GET /getinfo") return { status: 200, body: { nodeId, channels: [], chain: "regtest", version: "turnpike-embedded" } };
    if (endpoint === "POST /createinvoice") return createInvoice(await readForm(request), book, clock());
    if (endpoint === "POST /payinvoice") return hasFullAccess ? payInvoice(await readForm(request), book, clock()) : UNAUTHORIZED;
    const hash = /^GET \/payments\/incoming\/([\da-f]{64})$/.exec(endpoint)?.[1];
    const known = hash === undefined ? undefined : book.find(hash);
    return known ? { status: 200, body: incomingPayment(known, clock()) } : UNKNOWN_ENDPOINT;
  }

  const server = createServer((request, response) => {
    answer(request)
      .catch((error: unknown): Answer => ({ status: 500, body: String(error) }))
      .then(({ status, body }) => {
        const isJson = typeof body === "object";
        response.writeHead(status, { "Content-Type": isJson ? "application/json" : "text/plain", "Cache-Control": "no-store" });
        response.end(isJson ? JSON.stringify(body) : body);
      })
      .catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, HOST, resolve);
  });
  return {
    url: `http://${HOST}:${(server.address() as AddressInfo).port}`,
    nodeId,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function createInvoice(form: URLSearchParams | null, book: InvoiceBook, now: number): Answer {
  const description = form?.get("description");
  if (!form || description === null || description === undefined) return bad("Must provide a description");
  if (description.length > MAX_DESCRIPTION_LENGTH)
    return bad(`Request parameter description is too long (max ${MAX_DESCRIPTION_LENGTH} characters)`);
  const sats = wholeNumberIn(form, "amountSat", MAX_SATS);
  if (sats === null) return bad("Invalid parameter type (amountSat)");
  const expirySeconds = form.has("expirySeconds") ? wholeNumberIn(form, "expirySeconds", MAX_EXPIRY_SECONDS) : DEFAULT_EXPIRY_SECONDS;
  if (expirySeconds === null) return bad("Invalid parameter type (expirySeconds)");
  const { invoice, paymentHash } = book.create({ sats, description, expirySeconds }, now);
  return { status: 200, body: { amountSat: sats, paymentHash, serialized: invoice } };
}

/** A payment that fails is answered 200 with its reason, as phoenixd does. */
function payInvoice(form: URLSearchParams | null, book: InvoiceBook, now: number): Answer {
  const invoice = form?.get("invoice");
  if (!invoice) return bad("Missing parameter (invoice)");
  const payment = book.pay(invoice.trim().toLowerCase(), now);
  if (!payment.ok) return { status: 200, body: { reason: WHY_NOT[payment.why] } };
  const { sats, paymentHash, preimage } = payment.paid;
  return { status: 200, body: { recipientAmountSat: sats, routingFeeSat: 0, paymentHash, paymentPreimage: preimage } };
}

function incomingPayment({ paidAt, ...known }: KnownInvoice, now: number): object {
  const isPaid = paidAt !== undefined;
  return {
    type: "incoming_payment",
    subType: "lightning",
    paymentHash: known.paymentHash,
    preimage: known.preimage,
    description: known.description,
    invoice: known.invoice,
    isPaid,
    isExpired: !isPaid && known.expiresAt <= now,
    requestedSat: known.sats,
    receivedSat: isPaid ? known.sats : 0,
    fees: 0,
    expiresAt: known.expiresAt,
    createdAt: known.createdAt,
    ...(isPaid ? { completedAt: paidAt } : {}),
  };
}

function passwordIn(request: IncomingMessage): string | null {
  const encoded = /^Basic ([\w+/-]+=*)$/i.exec(request.headers.authorization ?? "")?.[1];
  const pair = encoded === undefined ? "" : Buffer.from(encoded, "base64").toString();
  return pair.includes(":") ? pair.slice(pair.indexOf(":") + 1) : null;
}

function isSame(given: string, password: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(password)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** @returns null when it is longer than any form of this API */
async function readForm(request: IncomingMessage): Promise<URLSearchParams | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > MAX_BODY_BYTES) return null;
    chunks.push(chunk as Buffer);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString());
}

function wholeNumberIn(form: URLSearchParams, name: string, max: number): number | null {
  const text = form.get(name) ?? "";
  const value = /^\d{1,12}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= max ? value : null;
}

function bad(message: string): Answer {
  return { status: 400, body: message };
}
