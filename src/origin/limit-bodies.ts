/**
 * What a body says of limits: JSON-RPC errors and tool results, alone or in a batch, Problem Details, the JSON of an API,
 * plain text. How sure it is of it is told too, since the status decides how much is needed.
 */

import { isRecord, MAX_BATCH } from "../mcp/message.ts";
import { type Quota, tightest } from "./limit-fields.ts";
import { isLimitProblem, namesLimit, plainName, readWaitInWords, saysLimit } from "./limit-words.ts";
import { longest, readMilliseconds, readWaitMs } from "./told-time.ts";

export interface BodySigns {
  /**
   * `code`: a JSON-RPC error or a tool result says it to programs. `title`: so does the body of an API. `words`: only a text
   * does. Null: nothing does; the time is then that of whatever the status means.
   */
  readonly evidence: "code" | "title" | "words" | null;
  /** Milliseconds until calls pass again; null when no time is told. */
  readonly waitMs: number | null;
  readonly quota: Quota | null;
}

type JsonObject = Readonly<Record<string, unknown>>;

/** A refusal is short. What is longer is an answer, and not worth the parsing. */
export const MAX_BODY_CHARS = 65_536;

/** What a JSON body must contain to be any kind of error. Spares ordinary answers the parsing. */
const ERROR_HINT = /"error"|"isError"\s*:\s*true|#quota-exceeded|#abnormal-usage-detected/;

/** Whether a body can say that a limit was hit when its status does not. */
export function mayBeError(body: string): boolean {
  return body.length <= MAX_BODY_CHARS && ERROR_HINT.test(body);
}

/** @returns null when the body is too long to be a refusal, or is not there */
export function readBody(body: string, now: number): BodySigns | null {
  if (body.length > MAX_BODY_CHARS || body === "") return null;
  const json = parseJson(body);
  if (Array.isArray(json)) return merge(json.slice(0, MAX_BATCH).map((message) => (isRecord(message) ? readObject(message, now) : null)));
  if (isRecord(json)) return readObject(json, now);
  return { evidence: saysLimit(body) ? "words" : null, waitMs: readWaitInWords(body, now), quota: null };
}

/** Of a batch, what refuses; of several refusals, the longest time. */
function merge(all: readonly (BodySigns | null)[]): BodySigns | null {
  const signs = all.filter((one) => one !== null);
  for (const evidence of ["code", "title", "words", null] as const) {
    const alike = signs.filter((one) => one.evidence === evidence);
    if (alike.length === 0) continue;
    const quotas = alike.map(({ quota }) => quota).filter((quota) => quota !== null);
    return { evidence, waitMs: longest(alike.map(({ waitMs }) => waitMs)), quota: tightest(quotas) };
  }
  return null;
}

function readObject(message: JsonObject, now: number): BodySigns {
  const { error, result } = message;
  if (isRecord(error)) return readError(error, now);
  if (isRecord(result)) return result["isError"] === true ? readToolError(result, now) : NOTHING;
  const text = wordsOf(message);
  const isNamed = namesLimit(message) || isLimitProblem(message);
  return signs(isNamed ? "title" : saysLimit(text) ? "words" : null, message, text, now);
}

const NOTHING: BodySigns = { evidence: null, waitMs: null, quota: null };

/** 402 asks to be paid: that is for the client to answer, and no time opens it. */
const PAYMENT_REQUIRED = 402;
/** 429 as ToolHive and this gate say it, -32029 as ToolHive said it, -32023 of SEP-3304. */
const LIMIT_CODES: ReadonlySet<unknown> = new Set([429, -32029, -32023]);
/** AWS's and FastMCP's, which others use for other things: their message has to say it too. */
const SHARED_CODES: ReadonlySet<unknown> = new Set([-32004, -32000]);

function readError(error: JsonObject, now: number): BodySigns {
  const { code, data } = error;
  if (code === PAYMENT_REQUIRED) return NOTHING;
  const text = wordsOf(error);
  const parts = [error, data, isRecord(data) ? data["error"] : undefined].filter(isRecord);
  if (LIMIT_CODES.has(code) || parts.some((part) => namesLimit(part) || isLimitProblem(part))) return signs("code", error, text, now);
  if (!saysLimit(text)) return signs(null, error, text, now);
  // Any other code with a wait for programs beside the words, as of a plug-in that may only say that parameters are invalid.
  return signs(SHARED_CODES.has(code) || findWaitMs(error, now) !== null ? "code" : "words", error, text, now);
}

/** Only by a code for programs, in any part that is for them: a tool may well talk about limits without having hit one. */
function readToolError(result: JsonObject, now: number): BodySigns {
  const { structuredContent, content, _meta: meta } = result;
  const texts = Array.isArray(content) ? content.slice(0, MAX_CONTENT).map(textOf) : [];
  const parts = [structuredContent, ...(isRecord(meta) ? Object.values(meta).slice(0, MAX_MEMBERS) : []), ...texts.map(parseJson)];
  for (const part of parts) {
    if (!isRecord(part)) continue;
    const inner = part["error"];
    const isNamed = [part, inner].some((one) => isRecord(one) && (namesLimit(one) || isLimitProblem(one)));
    if (isNamed && part["status"] !== PAYMENT_REQUIRED) return signs("code", part, texts.join("\n"), now);
  }
  return NOTHING;
}

function textOf(block: unknown): string {
  const text = isRecord(block) ? block["text"] : undefined;
  return typeof text === "string" ? text : "";
}

/** A time for programs, or else the one in the text. */
function signs(evidence: BodySigns["evidence"], part: JsonObject, text: string, now: number): BodySigns {
  const waitMs = findWaitMs(part, now) ?? readWaitInWords(text, now);
  return { evidence, waitMs, quota: findQuota(part, waitMs) };
}

const MILLISECOND_MEMBERS: ReadonlySet<string> = new Set([
  "retryafterms",
  "retryaftermilliseconds",
  "retryinms",
  "resetinms",
  "resetafterms",
  "waitms",
]);
const TIME_MEMBERS: ReadonlySet<string> = new Set([
  "retryafter",
  "retryafterseconds",
  "retryaftersecs",
  "retryaftersec",
  "retryin",
  "retryinseconds",
  "retrydelay",
  "retryat",
  "reset",
  "resetin",
  "resetinseconds",
  "resetafter",
  "resetafterseconds",
  "resetat",
  "resetsat",
  "resettime",
  "ratelimitreset",
  "xratelimitreset",
]);
const MAX_DEPTH = 4;
const MAX_MEMBERS = 64;
const MAX_CONTENT = 4;

/** The longest time that any member of a refusal tells: servers nest it in `data`, `details`, `metadata.headers`, lists of causes. */
function findWaitMs(value: unknown, now: number, depth = 0): number | null {
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return null;
  let found: number | null = null;
  for (const [name, member] of Object.entries(value).slice(0, MAX_MEMBERS)) {
    const isTold = typeof member === "string" || typeof member === "number";
    found = longest([found, isTold ? readMember(plainName(name), member, now) : findWaitMs(member, now, depth + 1)]);
  }
  return found;
}

function readMember(name: string, told: string | number, now: number): number | null {
  if (MILLISECOND_MEMBERS.has(name)) return readMilliseconds(told);
  return TIME_MEMBERS.has(name) ? readWaitMs(told, now) : null;
}

/** `remaining` and `limit`, as SEP-3304 puts them into an error's data. */
function findQuota(part: JsonObject, resetMs: number | null): Quota | null {
  for (const holder of [part["data"], part]) {
    const remaining = isRecord(holder) ? holder["remaining"] : undefined;
    if (!isRecord(holder) || !isCount(remaining)) continue;
    const limit = holder["limit"];
    return { limit: isCount(limit) ? limit : null, remaining: Math.floor(remaining), resetMs };
  }
  return null;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}

function wordsOf(part: JsonObject): string {
  const words = [part["message"], part["title"], part["detail"], part["error"], part["error_description"]];
  return words.filter((word) => typeof word === "string").join("\n");
}

/** Undefined for what is no JSON object or array. */
function parseJson(text: string): unknown {
  if (text.length > MAX_BODY_CHARS || !/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
