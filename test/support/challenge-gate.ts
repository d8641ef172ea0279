/**
 * A stand-in for the gate, for tests of the agent's side: a small real HTTP server on 127.0.0.1 that speaks the gate's wire
 * formats, and those of other servers, in front of an MCP server. It counts with a token bucket for each key, offers signed proofs of work and sells calls,
 * verifies what comes back, and notes whatever a well-behaved agent would not send. A test that wants the gate itself starts that
 * instead, with a policy of the same numbers, and leaves out what only a stand-in can tell.
 */

import { createHash, createHmac, randomBytes } from "node:crypto";
import { L402Seller, type Wares } from "./l402-seller.ts";
import { type FetchServer, serveFetch } from "./serve-fetch.ts";

export interface ChallengeGateOptions {
  /** The MCP server behind it. */
  readonly origin: string;
  readonly burst: number;
  readonly perMinute: number;
  /** Zero bits of the proofs that refusals offer; none are offered when it is left out. */
  readonly difficulty?: number;
  /** The form of refusals, an error of JSON-RPC when left out. `headers`: only in `WWW-Authenticate`, with a body that nobody can read. */
  readonly form?: "problem" | "headers";
  /** Sells calls as well. */
  readonly sells?: Wares & {
    /** It takes a payment with the call only, as other L402 servers do. */
    readonly isWithoutVerify?: boolean;
    /** It fails whenever it is shown a payment. */
    readonly isBroken?: boolean;
  };
}

export interface SeenCall {
  readonly body: string;
  readonly headers: Headers;
  readonly at: number;
  readonly verdict: "forwarded" | "refused";
}

export interface ChallengeGate extends FetchServer {
  /** Metered calls, in the order they came. */
  readonly calls: readonly SeenCall[];
  /** Solutions that were taken. */
  readonly solved: readonly { readonly nonce: string; readonly difficulty: number }[];
  /** What a well-behaved agent would not have sent. */
  readonly offences: readonly string[];
}

const METERED = /^(tools\/call|resources\/read|prompts\/get)$/;
const SECRET = randomBytes(32);
const CHALLENGE_LIFE_MS = 300_000;
const CALLS_PER_PROOF = 10;

interface Account {
  fullAt: number;
  credits: number;
}

interface Message {
  readonly id?: number | string;
  readonly method?: string;
}

export async function startChallengeGate(options: ChallengeGateOptions): Promise<ChallengeGate> {
  const { burst, perMinute, difficulty, form } = options;
  const msPerToken = 60_000 / perMinute;
  const accounts = new Map<string, Account>();
  const spent = new Set<string>();
  const tokens = new Set<string>();
  const calls: SeenCall[] = [];
  const solved: { nonce: string; difficulty: number }[] = [];
  const offences: string[] = [];
  const seller = options.sells && new L402Seller(options.sells);
  /** When a refused body may come again. */
  const toldTimes = new Map<string, number>();

  const accountOf = (consumer: string): Account => {
    const account = accounts.get(consumer) ?? { fullAt: 0, credits: 0 };
    accounts.set(consumer, account);
    return account;
  };

  /** @returns how long until there are so many tokens; 0 when they are taken now */
  const take = (account: Account, count: number, now: number): number => {
    const from = Math.max(now, account.fullAt);
    const missingMs = from + count * msPerToken - (now + burst * msPerToken);
    if (missingMs <= 0) {
      account.fullAt = from + count * msPerToken;
      return 0;
    }
    if (account.credits < count) return missingMs;
    account.credits -= count;
    return 0;
  };

  const passFor = (consumer: string, count: number): Response => {
    accountOf(consumer).credits += count;
    const token = `tpass_${randomBytes(24).toString("base64url")}`;
    tokens.add(token);
    return Response.json({ token, calls: count, expiresAt: new Date(Date.now() + CHALLENGE_LIFE_MS).toISOString() });
  };

  const verifyPayment = async (request: Request, { macaroon, preimage }: Record<string, string>): Promise<Response> => {
    if (!seller || options.sells?.isWithoutVerify) return problem(404, "Not here.");
    if (options.sells?.isBroken) return problem(500, "Broken.");
    const sold = await seller.redeem(consumerOf(request), macaroon!, preimage!);
    if (typeof sold === "string") {
      offences.push(`a credential that is ${sold}`);
      return problem(400, sold);
    }
    return passFor(consumerOf(request), sold);
  };

  /** A credential that comes with the call. */
  const redeemHeader = async (request: Request, account: Account): Promise<void> => {
    const { headers } = request;
    const credential = headers.get("authorization") ?? headers.get("turnpike-pass");
    const [, macaroon, preimage] = /^L402 ([^:]+):([0-9a-f]{64})$/.exec(credential ?? "") ?? [];
    if (!seller || macaroon === undefined || options.sells?.isBroken) return;
    const sold = await seller.redeem(consumerOf(request), macaroon, preimage!);
    if (typeof sold === "string") return;
    account.credits += sold;
  };

  const verify = async (request: Request): Promise<Response> => {
    const text = await request.text();
    const body = JSON.parse(text) as Record<string, string>;
    const { id, salt, nonce, signature, ...more } = body;
    const [bits = "", expiresAt = ""] = (id ?? "").split(".");
    for (const name of ["prefer", "mcp-session-id", "mcp-protocol-version", "mcp-method"])
      if (request.headers.has(name)) offences.push(`a solution with the header ${name}`);
    if ("macaroon" in body) return verifyPayment(request, body);
    if (Object.keys(more).length > 0) offences.push(`a solution with ${Object.keys(more).join()}`);
    if (signature !== sign(id!, salt!, consumerOf(request))) return problem(403, "This challenge was not issued to you.");
    if (!/^[\x20-\x7e]{1,64}$/.test(nonce ?? "")) return problem(400, "This is no nonce.");
    if (zeroBits(salt! + nonce!) < Number(bits) || Number(expiresAt) < Date.now() || spent.has(id!)) {
      offences.push("a solution that is wrong, late or spent");
      return problem(400, "This solution is wrong, late or spent.");
    }
    spent.add(id!);
    solved.push({ nonce: nonce!, difficulty: Number(bits) });
    return passFor(consumerOf(request), CALLS_PER_PROOF);
  };

  const refuse = async (request: Request, messages: readonly Message[], isBatch: boolean, retryAfterMs: number): Promise<Response> => {
    const challenge = difficulty === undefined ? null : challengeFor(consumerOf(request), request.url, difficulty);
    const offer = await seller?.offer(consumerOf(request), verifyAt(request.url));
    const offers = [...(offer ? [offer] : []), ...(challenge ? [challenge] : [])];
    const status = offers.length > 0 ? 402 : 429;
    const message = `Rate limit reached on plan "test". Wait ${Math.ceil(retryAfterMs / 1_000)} seconds, then send the same call again.`;
    const data = {
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      title: "Rate limit reached",
      status,
      detail: message,
      cause: "rate",
      limiter: "edge",
      plan: "test",
      retryAfterMs,
      ...(offers.length > 0 ? { challenges: offers } : {}),
    };
    const headers = new Headers({ "Retry-After": String(Math.ceil(retryAfterMs / 1_000)), "Cache-Control": "no-store" });
    if (offers.length > 0) {
      const { macaroon, invoice } = offer ?? { macaroon: "AgEE", invoice: "lnbc300n1" };
      headers.append("WWW-Authenticate", `L402 version="0", token="${macaroon}", macaroon="${macaroon}", invoice="${invoice}"`);
    }
    if (challenge) {
      const { id, salt, signature } = challenge;
      headers.append(
        "WWW-Authenticate",
        `PowChallenge realm="turnpike", id="${id}", salt="${salt}", difficulty=${challenge.difficulty}, signature="${signature}"`,
      );
    }
    if (form === "headers") return new Response("refused", { status, headers });
    if (form === "problem") {
      headers.set("Content-Type", "application/problem+json");
      return new Response(JSON.stringify(data), { status, headers });
    }
    const answers = messages.map(({ id }) => ({ jsonrpc: "2.0", id, error: { code: status, message, data } }));
    return Response.json(isBatch ? answers : answers[0], { status, headers });
  };

  const meter = async (request: Request, body: string): Promise<Response | null> => {
    const parsed = JSON.parse(body) as Message | Message[];
    const messages = Array.isArray(parsed) ? parsed : [parsed];
    if (!messages.some(({ method }) => METERED.test(method ?? ""))) return null;
    const { headers } = request;
    const pass = headers.get("turnpike-pass");
    if (pass !== null && !tokens.has(pass) && !pass.startsWith("L402 ")) offences.push("a pass that was never issued");
    const account = accountOf(consumerOf(request));
    await redeemHeader(request, account);
    const at = Date.now();
    const key = `${consumerOf(request)} ${headers.get("mcp-session-id")} ${body}`;
    const missingMs = take(account, messages.length, at);
    if (missingMs > 0 && at < (toldTimes.get(key) ?? 0)) offences.push(`a call that came back ${toldTimes.get(key)! - at} ms early`);
    calls.push({ body, headers, at, verdict: missingMs > 0 ? "refused" : "forwarded" });
    if (missingMs === 0) return null;
    const retryAfterMs = Math.ceil(missingMs);
    toldTimes.set(key, at + retryAfterMs);
    return refuse(request, messages, Array.isArray(parsed), retryAfterMs);
  };

  const server = await serveFetch(async (request) => {
    const { pathname, search } = new URL(request.url);
    if (pathname === "/turnpike/verify") return verify(request);
    const body = request.method === "POST" ? await request.text() : undefined;
    const refused = body === undefined ? null : await meter(request, body);
    if (refused) return refused;
    const headers = new Headers(request.headers);
    for (const name of ["host", "connection", "content-length", "accept-encoding", "turnpike-pass", "x-api-key"]) headers.delete(name);
    const init = { method: request.method, headers, signal: request.signal, ...(body === undefined ? {} : { body }) };
    return fetch(new URL(pathname + search, options.origin), init);
  });
  return { ...server, calls, solved, offences };
}

function challengeFor(consumer: string, base: string, bits: number) {
  const expiresAt = Date.now() + CHALLENGE_LIFE_MS;
  const id = `${bits}.${expiresAt}.${randomBytes(12).toString("base64url")}`;
  const salt = randomBytes(16).toString("base64url");
  return {
    type: "pow",
    algorithm: "SHA-256",
    id,
    salt,
    difficulty: bits,
    expiresAt: new Date(expiresAt).toISOString(),
    signature: sign(id, salt, consumer),
    verify: verifyAt(base),
  } as const;
}

function verifyAt(base: string): string {
  return new URL("/turnpike/verify", base).href;
}

/** A credential pays, and identifies nobody. */
function consumerOf({ headers }: Request): string {
  const authorization = headers.get("authorization");
  return headers.get("x-api-key") ?? (authorization?.startsWith("L402 ") ? null : authorization) ?? "an address";
}

function sign(id: string, salt: string, consumer: string): string {
  return createHmac("sha256", SECRET).update([id, salt, consumer].join("\n")).digest("base64url");
}

function problem(status: number, detail: string): Response {
  return Response.json({ type: "about:blank", title: detail, status, detail }, { status });
}

/** How many zero bits the SHA-256 of a text begins with. */
export function zeroBits(text: string): number {
  const bits = [...createHash("sha256").update(text).digest()].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits.indexOf("1");
}
