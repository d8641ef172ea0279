/**
 * The gate's tools: challenge, verify and status, for agents that act through tools alone. Everything a model must know to
 * get past a refusal by itself stands in these texts. What the tools do is handed in.
 */

import * as v from "valibot";
import type { L402Challenge as SignedL402Challenge } from "../challenges/l402.ts";
import type { PowChallenge as SignedPowChallenge } from "../challenges/proof-of-work.ts";
import { looksLikePayment, type Proof } from "../challenges/proof-input.ts";
import { isRecord } from "../mcp/message.ts";
import { duration } from "../refusals/wording.ts";
import type { ToolServer } from "./answer-mcp.ts";
import {
  CHALLENGE_OUTPUT,
  MAX_MACAROON_CHARS,
  MAX_NONCE_CHARS,
  MAX_SOLUTION_CHARS,
  NO_INPUT,
  STATUS_OUTPUT,
  VERIFY_INPUT,
  VERIFY_OUTPUT,
} from "./schemas.ts";
import type { GateTool, ToolResult } from "./tool.ts";

export const TOOL_NAMES = ["challenge", "verify", "status"] as const;

/** A proof of work to be done; a tool takes the solution, so no URL need be told. */
type PowChallenge = Omit<SignedPowChallenge, "verify">;
/** The same for an invoice to be paid. */
export type L402Challenge = Omit<SignedL402Challenge, "verify">;
export type Challenge = PowChallenge | L402Challenge;
export type ChallengeType = Challenge["type"];

/** What a solved challenge has won. */
export interface Verified {
  /** The pass, for a backend that asks for one. */
  readonly token: string;
  /** Prepaid calls. */
  readonly calls: number;
  /** Until when the pass is good: ISO 8601. */
  readonly expiresAt: string;
  /** Until when the calls are, where that is longer: ISO 8601. */
  readonly callsExpireAt?: string;
  /** Only calls that show the token, or the payment, are paid for. */
  readonly mustBeShown?: true;
}

export interface ConsumerStatus {
  readonly plan: string;
  /** The tightest first. */
  readonly limits: readonly LimitStatus[];
  /** Prepaid calls left. */
  readonly credits: number;
}

/** The numbers of the `RateLimit` fields. */
export interface LimitStatus {
  readonly name: string;
  /** What can be had at once. */
  readonly quota: number;
  /** In which an empty limit is full again. */
  readonly windowSeconds: number;
  readonly remaining: number;
  /** Until there is more; 0 when there is nothing to wait for. */
  readonly resetSeconds: number;
}

export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  /** Words for the model: what is wrong, and what to do. */
  | { readonly ok: false; readonly detail: string };

/** What the tools do, for the caller at hand. They reject for faults of the gate only. */
export interface GateActions {
  /** @param type null for what the plan offers */
  readonly challenge: (type: ChallengeType | null) => Promise<Outcome<Challenge>>;
  readonly verify: (proof: Proof) => Promise<Outcome<Verified>>;
  readonly status: () => Promise<Outcome<ConsumerStatus>>;
  /** What is said of payments; null where none are taken. */
  readonly payments: PaymentTexts | null;
}

/** Where calls can be paid for with money, the tools speak of it too. */
export interface PaymentTexts {
  readonly challengeInput: object;
  readonly challengeOutput: object;
  readonly verifyInput: object;
  /** Added to what is said of `challenge`, of `verify`, and of a mistake in its arguments. */
  readonly ofChallenge: string;
  readonly ofVerify: string;
  readonly remedy: string;
  readonly wordInvoice: (challenge: L402Challenge, verify: string) => string;
  /** Said of calls that are paid for only where the payment is shown. */
  readonly wordToShow: (verified: Verified) => string;
}

/** @param prefix of the tools' names where they stand among an origin's own; the texts name each other by it */
export function gateTools(actions: GateActions, prefix = ""): readonly GateTool[] {
  return [challengeTool(actions, prefix), verifyTool(actions, prefix), statusTool(actions, prefix)];
}

/** The server at the gate's own endpoint. */
export function gateToolServer(actions: GateActions): ToolServer {
  return { tools: gateTools(actions), instructions: INSTRUCTIONS };
}

const INSTRUCTIONS = [
  "Tools of the gate that stands in front of an MCP server and limits calls to it.",
  "When a call to that server is refused and its refusal offers challenges, take one of them (or a fresh one from challenge), do what it asks for, hand the proof to verify, and send the refused call again, unchanged.",
  "status tells what is left before a call is refused.",
].join(" ");

const NEEDS_CODE =
  "The nonce is found by trying, so you need to run code for it: it cannot be had by thinking. Where you cannot run code, wait the time that the refusal tells instead.";

const NOTHING = v.strictObject({});
const CHALLENGE_CHOICE = v.strictObject({ type: v.optional(v.picklist(["pow", "l402"], 'must be "pow" or "l402"')) });

function challengeTool({ challenge, payments }: GateActions, prefix: string): GateTool {
  const verify = `${prefix}verify`;
  const remedy = payments ? "No challenge was made." : "This tool takes no arguments.";
  return {
    name: `${prefix}challenge`,
    title: payments ? "Get a challenge" : "Get a proof-of-work challenge",
    description: [
      "Gets a challenge whose solution buys a few more calls with processor time when your plan's rate is used up.",
      "Call it when a call was refused for its rate and the refusal has no challenge with it, or that one has expired.",
      `Then find a nonce, any text, such that SHA-256(salt + nonce), both as UTF-8, begins with \`difficulty\` zero bits; call ${verify} with id, salt, nonce and signature; and send the refused call again, unchanged.`,
      NEEDS_CODE,
      ...(payments ? [payments.ofChallenge] : []),
    ].join(" "),
    inputSchema: payments?.challengeInput ?? NO_INPUT,
    outputSchema: payments?.challengeOutput ?? CHALLENGE_OUTPUT,
    annotations: { readOnlyHint: true, openWorldHint: false },
    async call(args) {
      const parsed = parseArguments<v.InferOutput<typeof CHALLENGE_CHOICE>>(payments ? CHALLENGE_CHOICE : NOTHING, args, remedy);
      return parsed.ok
        ? told(await challenge(parsed.value.type ?? null), (value) => wordChallenge(value, verify, payments))
        : parsed.result;
    },
  };
}

const argumentText = (maxChars: number) =>
  v.pipe(
    v.string("must be a string"),
    v.minLength(1, "must not be empty"),
    v.maxLength(maxChars, `must have at most ${maxChars} characters`),
  );
const solution = v.strictObject({
  id: argumentText(MAX_SOLUTION_CHARS),
  salt: argumentText(MAX_SOLUTION_CHARS),
  nonce: argumentText(MAX_NONCE_CHARS),
  signature: argumentText(MAX_SOLUTION_CHARS),
});
const payment = v.strictObject({ macaroon: argumentText(MAX_MACAROON_CHARS), preimage: argumentText(MAX_SOLUTION_CHARS) });

function verifyTool({ verify, payments }: GateActions, prefix: string): GateTool {
  const challenge = `${prefix}challenge`;
  const remedy = `Nothing was verified. Send id, salt and signature exactly as ${challenge} or the refusal gave them, and the nonce you found, each as a string.${payments?.remedy ?? ""}`;
  return {
    name: `${prefix}verify`,
    title: payments ? "Hand in a solved challenge or a payment" : "Hand in a solved challenge",
    description: [
      `Hands in the solution of a challenge, from ${challenge} or from the refusal of a call.`,
      "A right one puts prepaid calls on your account. Then send the refused call again, exactly as it was and with nothing added: it is paid for.",
      "Each challenge counts once; handing it in again adds nothing.",
      ...(payments ? [payments.ofVerify] : []),
    ].join(" "),
    inputSchema: payments?.verifyInput ?? VERIFY_INPUT,
    outputSchema: VERIFY_OUTPUT,
    annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
    async call(args) {
      const parsed = payments && isRecord(args) && looksLikePayment(args) ? parsePayment(args, remedy) : parseSolution(args, remedy);
      return parsed.ok ? told(await verify(parsed.value), (value) => wordVerified(value, payments)) : parsed.result;
    },
  };
}

function parseSolution(args: unknown, remedy: string): Parsed<Proof> {
  const parsed = parseArguments(solution, args, remedy);
  return parsed.ok ? { ok: true, value: { kind: "solution", solution: parsed.value } } : parsed;
}

function parsePayment(args: unknown, remedy: string): Parsed<Proof> {
  const parsed = parseArguments(payment, args, remedy);
  if (!parsed.ok) return parsed;
  const { macaroon, preimage } = parsed.value;
  return { ok: true, value: { kind: "payment", credential: { macaroons: [macaroon], preimage } } };
}

function statusTool({ status }: GateActions, prefix: string): GateTool {
  return {
    name: `${prefix}status`,
    title: "What is left of the limits",
    description: [
      "Tells your plan, what is left of each of its limits and when there will be more, and how many prepaid calls you have.",
      "Call it before a long run of calls, to pace them, or to find out why one was refused. It is not charged to these limits.",
    ].join(" "),
    inputSchema: NO_INPUT,
    outputSchema: STATUS_OUTPUT,
    annotations: { readOnlyHint: true, openWorldHint: false },
    async call(args) {
      const parsed = parseArguments(NOTHING, args, "This tool takes no arguments.");
      return parsed.ok ? told(await status(), wordStatus) : parsed.result;
    },
  };
}

function told<T extends object>(outcome: Outcome<T>, word: (value: T) => string): ToolResult {
  if (!outcome.ok) return { kind: "problem", text: outcome.detail };
  return { kind: "answer", text: word(outcome.value), data: outcome.value };
}

function wordChallenge(challenge: Challenge, verify: string, payments: PaymentTexts | null): string {
  if (challenge.type === "l402") return payments?.wordInvoice(challenge, verify) ?? "";
  const { difficulty, expiresAt } = challenge;
  return [
    `Find a nonce, any text, such that SHA-256(salt + nonce) begins with ${difficulty} zero bits: about ${2 ** difficulty} attempts. In Python, with salt set:`,
    `import hashlib, itertools; print(next(n for n in map(str, itertools.count()) if int.from_bytes(hashlib.sha256((salt + n).encode()).digest(), "big") >> ${256 - difficulty} == 0))`,
    `Then call ${verify} with id, salt, nonce and signature, before ${expiresAt}, and send the refused call again, unchanged.`,
  ].join("\n");
}

function wordVerified(verified: Verified, payments: PaymentTexts | null): string {
  if (payments && verified.mustBeShown) return payments.wordToShow(verified);
  const { calls, expiresAt, callsExpireAt = expiresAt } = verified;
  const prepaid = calls === 1 ? "1 prepaid call is" : `${calls} prepaid calls are`;
  return `Accepted: ${prepaid} on your account until ${callsExpireAt}. Now send the refused call again, unchanged and with nothing added. You need not pass the token on.`;
}

function wordStatus({ plan, limits, credits }: ConsumerStatus): string {
  const left = limits.map(({ name, remaining, quota, resetSeconds }) => {
    const more = resetSeconds > 0 ? `, more in ${duration(resetSeconds * 1_000)}` : "";
    return `${name}: ${remaining} of ${quota} left${more}.`;
  });
  return [`Plan ${plan}.`, ...left, credits === 1 ? "1 prepaid call." : `${credits} prepaid calls.`].join(" ");
}

type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly result: ToolResult };

/** How much of an argument's name is repeated when it is not one of ours. */
const MAX_KEY_CHARS = 64;

/** What is wrong is the tool's answer, so that the model reads it and can do better. */
function parseArguments<T>(schema: v.GenericSchema<unknown, T>, args: unknown, remedy: string): Parsed<T> {
  const parsed = v.safeParse(schema, args);
  if (parsed.success) return { ok: true, value: parsed.output };
  const places = parsed.issues.map((issue) => {
    const key = (v.getDotPath(issue) ?? "").slice(0, MAX_KEY_CHARS);
    if (issue.type !== "strict_object") return `arguments.${key} ${issue.message}`;
    return issue.expected === "never" ? `arguments.${key} is not known` : `arguments.${key} is missing`;
  });
  return { ok: false, result: { kind: "problem", text: `${places.join("; ")}. ${remedy}` } };
}
