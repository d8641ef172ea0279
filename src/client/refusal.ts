/**
 * Reads a gate's refusal out of a response, whatever form it has: a JSON-RPC error, Problem Details (RFC 9457), a tool result
 * that says it in `_meta`, or headers alone. Any other response is left as it is: an ordinary answer is never read, and a
 * refusal is read from a copy, up to a bound.
 */

import { type L402Challenge, readL402Challenges, readL402Header } from "./l402-challenge.ts";
import { type PowChallenge, readPowChallenges, readPowHeader } from "./pow-challenge.ts";

/** Where a tool result carries a refusal. */
const REFUSAL_META = "turnpike/refusal";
/** A refusal with its challenges takes a few kilobytes. */
const MAX_REFUSAL_BYTES = 256 * 1_024;

export interface Refusal {
  /** The HTTP status, or the one that a tool result stands for. */
  readonly status: number;
  /** The gate's words, for a person or a model. Null when there are none that can be read. */
  readonly message: string | null;
  /** The Problem Details. Null when a refusal is known from its headers only: it is then not known to be a gate's. */
  readonly problem: Readonly<Record<string, unknown>> | null;
  readonly cause: string | null;
  /** From when the response was read. Null when no time is told. */
  readonly retryAfterMs: number | null;
  readonly challenges: readonly PowChallenge[];
  readonly payments: readonly L402Challenge[];
  /** What must be added to a time of the server's to have it by the clock of this machine. */
  readonly clockOffsetMs: number;
  /** It is a tool's answer: what it says reaches the model as it is. */
  readonly isResult: boolean;
}

/**
 * Null for what is no refusal that one may react to: then the response is untouched.
 * @param now epoch milliseconds
 */
export async function readRefusal(response: Response, now: number): Promise<Refusal | null> {
  const { status, headers } = response;
  const retryAfter = headers.get("retry-after");
  const mayRefuse = status === 402 || status === 429 || ((status === 503 || status === 200) && retryAfter !== null);
  if (!mayRefuse) return null;

  const isJson = /^application\/(problem\+)?json\s*(;|$)/i.test(headers.get("content-type") ?? "");
  const found = isJson ? findRefusal(parse(await copyText(response)), status === 200) : null;
  // What another server says with 503 may come after the call has run; an ordinary answer may carry any header.
  if (found === null && (status === 503 || status === 200)) return null;
  if (status === 503 && found?.problem["limiter"] !== "edge") return null;

  // By the server's clock, which its times are of: the one here may be wrong by minutes.
  const date = Date.parse(headers.get("date") ?? "");
  const serverNow = Number.isNaN(date) ? now : date;
  // Other servers ask for payment in ways of their own.
  const authenticate = headers.get("www-authenticate") ?? "";
  const header = readPowHeader(authenticate);
  const paymentHeader = readL402Header(authenticate);
  if (status === 402 && found === null && header === null && paymentHeader === null) return null;

  const listed = readPowChallenges(found?.problem["challenges"]);
  // The header names no price to hold the invoice against: it is for bodies that cannot be read.
  const payments = found === null && paymentHeader ? [paymentHeader] : readL402Challenges(found?.problem["challenges"]);
  const clockOffsetMs = now - serverNow;
  const told = found?.problem["status"];
  return {
    status: status === 200 && typeof told === "number" ? told : status,
    message: found?.message ?? null,
    problem: found?.problem ?? null,
    cause: typeof found?.problem["cause"] === "string" ? found.problem["cause"] : null,
    retryAfterMs: exactMs(found?.problem) ?? headerMs(retryAfter, serverNow),
    challenges: (listed.length === 0 && header ? [header] : listed).map((challenge) => onClock(challenge, clockOffsetMs)),
    payments: payments.map((challenge) => onClock(challenge, clockOffsetMs)),
    clockOffsetMs,
    isResult: status === 200,
  };
}

/** The challenge with its expiry moved by so many milliseconds. */
function onClock<T extends { readonly expiresAt?: string }>(challenge: T, byMs: number): T {
  if (challenge.expiresAt === undefined || byMs === 0) return challenge;
  return { ...challenge, expiresAt: new Date(Date.parse(challenge.expiresAt) + byMs).toISOString() };
}

interface FoundRefusal {
  readonly message: string;
  readonly problem: Readonly<Record<string, unknown>>;
}

/** A batch is refused as a whole: each of its answers is a refusal, and the first speaks for all. */
function findRefusal(body: unknown, isResult: boolean): FoundRefusal | null {
  const answers: readonly unknown[] = Array.isArray(body) ? body : [body];
  const found = answers.map((answer) => (isResult ? inResult(answer) : inError(answer)));
  return found.includes(null) ? null : (found[0] ?? null);
}

function inError(answer: unknown): FoundRefusal | null {
  const error = member(answer, "error");
  const problem = error === undefined ? answer : member(error, "data");
  const message = error === undefined ? member(problem, "detail") : member(error, "message");
  return isProblem(problem) ? { message: typeof message === "string" ? message : "", problem } : null;
}

function inResult(answer: unknown): FoundRefusal | null {
  const problem = member(member(member(answer, "result"), "_meta"), REFUSAL_META);
  const detail = member(problem, "detail");
  return isProblem(problem) ? { message: typeof detail === "string" ? detail : "", problem } : null;
}

/** What distinguishes a gate's problem from any other: it says what was hit, and whose limit it was. */
function isProblem(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof member(value, "cause") === "string" && typeof member(value, "limiter") === "string";
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function exactMs(problem: Readonly<Record<string, unknown>> | undefined): number | null {
  const ms = problem?.["retryAfterMs"];
  if (isDuration(ms)) return ms;
  const seconds = problem?.["retryAfterSeconds"];
  return isDuration(seconds) ? seconds * 1_000 : null;
}

/** `Retry-After` is seconds or a date (RFC 9110, 10.2.3). */
function headerMs(header: string | null, now: number): number | null {
  if (header === null) return null;
  if (/^\s*\d{1,10}\s*$/.test(header)) return Number(header) * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}

function isDuration(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

/** The text of a copy of the response; empty when it is too long, or breaks off. The response itself can still be read. */
async function copyText(response: Response): Promise<string> {
  const reader = response.clone().body?.getReader();
  if (!reader) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text + decoder.decode();
      bytes += value.length;
      if (bytes > MAX_REFUSAL_BYTES) {
        // Not awaited: a copy is gone only when the other one is, too.
        reader.cancel().catch(() => {});
        return "";
      }
      text += decoder.decode(value, { stream: true });
    }
  } catch {
    // Whoever reads the response meets the same failure.
    return "";
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
