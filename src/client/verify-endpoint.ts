/** Hands what was solved or paid to the gate, as the caller of the call that it is for, and reads what it is worth. */

import type { FetchLike, Outgoing } from "./outgoing.ts";

/** A round trip, and the quarter of a second after which a gate says that a solution holds everywhere. */
export const VERIFY_MS = 500;
const VERIFY_TIMEOUT_MS = 15_000;
/** The answer is a token and a few numbers, or the problem in a few words. */
const MAX_ANSWER_CHARS = 16_384;
const DEFAULT_PATH = "/turnpike/verify";
/** They describe the call's body, or how it is to be answered; who is calling is in the others. */
const HEADERS_OF_THE_CALL = /^(accept|content-.*|prefer|last-event-id|mcp-.*|turnpike-pass)$/;

/** What of the gate's answer can be read. */
export interface Verified {
  /** A pass. */
  readonly token: string | null;
  readonly calls: number | null;
  /** Until when the calls are good, which may be longer than the pass: epoch milliseconds. */
  readonly expiresAt: number | null;
  /** Only calls that show what they were paid with are paid for: the account is an address, which others share. */
  readonly mustBeShown: boolean;
}

export type Verification =
  | ({ readonly ok: true } & Verified)
  | {
      readonly ok: false;
      /** The gate's; null when it was not reached. */
      readonly status: number | null;
      /** Its kind of problem (RFC 9457). */
      readonly type: string | null;
      /** It has told a time after which it is to be asked again. */
      readonly isToldToWait: boolean;
      readonly message: string;
    };

/** Where something is to be posted: never to another site than the call, for it carries the caller's key. */
export function verifyUrl(verify: string | undefined, { url }: Outgoing): URL | null {
  const text = verify ?? DEFAULT_PATH;
  const to = URL.canParse(text, url.href) ? new URL(text, url) : null;
  return to?.origin === url.origin ? to : null;
}

/** Rejects with the signal's reason only. */
export async function postVerify(
  fetch: FetchLike,
  call: Outgoing,
  url: URL,
  body: object,
  signal: AbortSignal | undefined,
): Promise<Verification> {
  const headers = new Headers({ "Content-Type": "application/json", Accept: "application/json" });
  for (const [name, value] of call.headers) if (!HEADERS_OF_THE_CALL.test(name)) headers.set(name, value);
  const timeout = AbortSignal.timeout(VERIFY_TIMEOUT_MS);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      // A redirect would take the caller's key elsewhere.
      redirect: "manual",
    });
    const { status, headers: answered } = response;
    const answer = readObject((await response.text()).slice(0, MAX_ANSWER_CHARS));
    if (response.ok) return { ok: true, ...readVerified(answer) };
    const { type } = answer;
    const isToldToWait = answered.has("retry-after");
    return { ok: false, status, type: typeof type === "string" ? type : null, isToldToWait, message: `status ${status}` };
  } catch (error) {
    signal?.throwIfAborted();
    return { ok: false, status: null, type: null, isToldToWait: false, message: error instanceof Error ? error.message : String(error) };
  }
}

/** Empty when nothing can be read of it. */
function readObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function readVerified({ token, calls, expiresAt, callsExpireAt = expiresAt, mustBeShown }: Readonly<Record<string, unknown>>): Verified {
  const expires = typeof callsExpireAt === "string" ? Date.parse(callsExpireAt) : Number.NaN;
  return {
    // A header takes visible ASCII only.
    token: typeof token === "string" && /^[\x21-\x7e]+$/.test(token) ? token : null,
    calls: typeof calls === "number" && calls >= 1 ? Math.floor(calls) : null,
    expiresAt: Number.isNaN(expires) ? null : expires,
    mustBeShown: mustBeShown === true,
  };
}
