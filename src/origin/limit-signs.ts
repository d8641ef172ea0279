/**
 * What an MCP server, or the API behind it, says about limits of its own, read from one response. Pure: the gate passes
 * every answer on as it is, whatever is read here.
 *
 * It trades reach for certainty. Whoever believes a sign closes a gate for everybody behind one credential, so prose alone
 * counts only where the status says that something was refused, and times beyond a month are not believed.
 *
 * Where several times are told, the longest that applies holds: that of every window at zero, and that of the refusal itself.
 * Retry-After is the refusal's own time. It goes before what the body says (its unit is certain) and before the reset of a window
 * that it speaks of too (RateLimit fields and kin). X-RateLimit-Reset at zero remaining holds beside it. A refusal that
 * tells a time which has passed, or zero, contradicts itself and names none.
 */

import { type BodySigns, MAX_BODY_CHARS, mayBeError, readBody } from "./limit-bodies.ts";
import { type FieldQuota, type Quota, readFieldQuotas, readRetryAfterMs, tightest } from "./limit-fields.ts";
import { longest } from "./told-time.ts";

export interface LimitSigns {
  /** Whether this response is itself a refusal for a limit of the origin's own. */
  readonly isRefusal: boolean;
  /**
   * Milliseconds until calls pass again, as the origin tells it; always above zero. Null when it refuses and names no time, and
   * when nothing is closed. A window at zero with a reset closes too, also on a success.
   */
  readonly closedForMs: number | null;
  /** The tightest window that it tells of, with what it tells. */
  readonly quota: Quota | null;
}

/**
 * Cheap on an ordinary success: a few header look-ups.
 * @param body the text of the body where `needsBody` asks for it; null otherwise, or when it is too long
 * @param now epoch milliseconds
 * @returns null when the response says nothing of limits
 */
export function readLimitSigns(status: number, headers: Headers, body: string | null, now: number): LimitSigns | null {
  const quotas = readFieldQuotas(headers, status === 429, now);
  const said = body === null || (status < 400 && !mayBeError(body)) ? null : readBody(body, now);
  const retryAfterMs = status < 400 ? null : readRetryAfterMs(headers, now);
  const isRefusal = refuses(status, quotas.some(isEmpty), retryAfterMs !== null, said?.evidence ?? null);
  const tight = tightest<Quota>(isRefusal && said?.quota ? [...quotas, said.quota] : quotas);
  if (!isRefusal && tight === null) return null;
  const quota = tight && { limit: tight.limit, remaining: tight.remaining, resetMs: tight.resetMs };
  return { isRefusal, closedForMs: closedFor(status, quotas, isRefusal ? { retryAfterMs, saidMs: said?.waitMs ?? null } : null), quota };
}

/** What one JSON-RPC body, or the data of one SSE event, says by itself, whatever the status. @returns null for no refusal */
export function readBodySigns(body: string, now: number): LimitSigns | null {
  const said = mayBeError(body) ? readBody(body, now) : null;
  if (said?.evidence !== "code" && said?.evidence !== "title") return null;
  return { isRefusal: true, closedForMs: positive(said.waitMs), quota: said.quota };
}

const JSON_TYPE = /^application\/(?:[\w.+-]*\+)?json\b/i;
const TEXT_TYPE = /^text\/(?!event-stream)/i;
/** Seconds or milliseconds above zero, or a date. Whether it can be believed is found out later. */
const TELLS_TIME = /[1-9]/;

/**
 * Whether the body of an error has to be read to know. Of an answer with 200 it is never needed: what passes by may be read
 * with `readBodySigns`, but nothing has to wait for it.
 */
export function needsBody(status: number, headers: Headers): boolean {
  if (status < 400 || status === 402) return false;
  if (Number(headers.get("content-length") ?? 0) > MAX_BODY_CHARS) return false;
  const type = headers.get("content-type") ?? "";
  if (status === 403 || status === 429) {
    // Retry-After decides, and goes before any time in the body.
    return !TELLS_TIME.test(headers.get("retry-after") ?? "") && (JSON_TYPE.test(type) || TEXT_TYPE.test(type));
  }
  return JSON_TYPE.test(type) || (status === 503 && headers.has("retry-after") && TEXT_TYPE.test(type));
}

function refuses(status: number, isAnyEmpty: boolean, hasRetryAfter: boolean, evidence: BodySigns["evidence"]): boolean {
  switch (status) {
    case 402:
      return false;
    case 429:
      return true;
    case 403:
      // GitHub's primary limit, its secondary limits with a time, and those that say it only in words.
      return isAnyEmpty || hasRetryAfter || evidence !== null;
    case 503:
      // Without more than a Retry-After it is an outage.
      return evidence === "code" || (hasRetryAfter && (isAnyEmpty || evidence !== null));
    default:
      return evidence === "code" || evidence === "title";
  }
}

function closedFor(
  status: number,
  quotas: readonly FieldQuota[],
  refusal: { readonly retryAfterMs: number | null; readonly saidMs: number | null } | null,
): number | null {
  if (status === 402) return null;
  const empty = quotas.filter(isEmpty);
  const retryAfterMs = positive(refusal?.retryAfterMs ?? null);
  if (retryAfterMs === null) return positive(longest([...empty.map(({ resetMs }) => resetMs), refusal?.saidMs ?? null]));
  const others = empty.filter(({ yieldsToRetryAfter }) => !yieldsToRetryAfter);
  return longest([...others.map(({ resetMs }) => resetMs), retryAfterMs]);
}

function isEmpty(quota: Quota): boolean {
  return quota.remaining === 0;
}

function positive(ms: number | null): number | null {
  return ms === 0 ? null : ms;
}
