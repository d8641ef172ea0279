/** A gate that sells calls by a Lightning node of the test's own, which pays its own invoices and can be taken away. */

import { createHash } from "node:crypto";
import type { L402Challenge } from "../../src/challenges/l402.ts";
import type { PowChallenge } from "../../src/challenges/proof-of-work.ts";
import { type EmbeddedNode, startEmbeddedNode } from "../../src/cli/local/embedded-node.ts";
import { policyText } from "./admin.ts";
import { type GateOptions, type RunningGate, startGate } from "./gate.ts";
import { type Answer, postMessage, send, toolCall } from "./http.ts";

const PASSWORD = "full access";
const LIMITED = "limited access";

export interface TestNode {
  readonly url: string;
  /** Pays, as a wallet does. @returns the preimage, 64 hexadecimal digits */
  pay(invoice: string): Promise<string>;
  /** Until `start` nobody reaches it. What it knows, it still knows. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function startTestNode(): Promise<TestNode> {
  let kept = "null";
  const store = { load: () => JSON.parse(kept) as unknown, save: (book: object) => (kept = JSON.stringify(book)) };
  const open = (port: number): Promise<EmbeddedNode> => startEmbeddedNode({ store, password: PASSWORD, limitedPassword: LIMITED, port });
  let node = await open(0);
  const { url } = node;
  return {
    url,
    async pay(invoice) {
      const response = await fetch(`${url}/payinvoice`, {
        method: "POST",
        headers: { Authorization: `Basic ${btoa(`:${PASSWORD}`)}` },
        body: new URLSearchParams({ invoice }),
      });
      const { paymentPreimage, reason } = (await response.json()) as { paymentPreimage?: string; reason?: string };
      if (paymentPreimage === undefined) throw new Error(reason);
      return paymentPreimage;
    },
    stop: () => node.stop(),
    async start() {
      node = await open(Number(new URL(url).port));
    },
  };
}

/** A gate on this policy, which sells by that node. */
export function startSellingGate(
  node: TestNode,
  policy: object,
  options: Omit<GateOptions, "policy" | "lightningSecret"> = {},
): Promise<RunningGate> {
  const { lightning, ...rest } = policy as { lightning?: object };
  const sells = { kind: "phoenixd", url: node.url, network: "bcrt", ...lightning };
  const text = policyText(rest, `lightning: lightning(${JSON.stringify(sells)})`, 'import { lightning } from "mcp-turnpike/lightning";');
  return startGate({ ...options, policy: text, lightningSecret: LIMITED });
}

type Headers = Readonly<Record<string, string>>;

export interface Client {
  readonly headers: Headers;
  call(name: string, args?: Readonly<Record<string, unknown>>, more?: Headers): Promise<Answer>;
  post(path: string, body: unknown, more?: Headers): Promise<Answer>;
  status(more?: Headers): Promise<{ readonly credits: number; readonly plan: string }>;
  /** Calls until its plan is empty. @returns the refusal */
  empty(): Promise<Answer>;
}

/** Whoever sends these headers. */
export function clientOf(gate: RunningGate, headers: Headers = {}): Client {
  const at = (path: string): string => new URL(path, gate.url).href;
  const call: Client["call"] = (name, args = {}, more = {}) => postMessage(gate.url, toolCall(name, args), { ...headers, ...more });
  return {
    headers,
    call,
    post: (path, body, more = {}) =>
      send(at(path), { method: "POST", headers: { "Content-Type": "application/json", ...headers, ...more }, body: JSON.stringify(body) }),
    status: async (more = {}) => JSON.parse((await send(at("/turnpike/status"), { headers: { ...headers, ...more } })).text) as never,
    async empty() {
      for (let i = 0; ; i++) {
        const answer = await call("spend", { i });
        if (answer.status !== 200) return answer;
      }
    },
  };
}

export function challengesIn(answer: Answer): (L402Challenge | PowChallenge)[] {
  const { error } = JSON.parse(answer.text) as { error?: { data: { challenges?: (L402Challenge | PowChallenge)[] } } };
  return error?.data.challenges ?? [];
}

export function invoiceIn(answer: Answer): L402Challenge {
  const found = challengesIn(answer).find((challenge) => challenge.type === "l402");
  if (!found) throw new Error(`no invoice in ${answer.status} ${answer.text}`);
  return found;
}

export function l402Header({ macaroon }: Pick<L402Challenge, "macaroon">, preimage: string, scheme = "L402"): string {
  return `${scheme} ${macaroon}:${preimage}`;
}

export function sha256Hex(hex: string): string {
  return createHash("sha256").update(Buffer.from(hex, "hex")).digest("hex");
}
