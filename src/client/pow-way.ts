/**
 * The way on by work: solves the challenge of a refusal and posts the solution to the gate, which puts calls on the
 * caller's account. Calls that are refused together share what one of them has earned; only when that is used up does
 * the next one work for itself.
 */

import type { FetchLike, Outgoing } from "./outgoing.ts";
import { type PowChallenge, type PowSolution } from "./pow-challenge.ts";
import { SolveSpeed } from "./solve/speed.ts";
import type { SolvePow } from "./solve/solve-pow.ts";
import { Turns } from "./turns.ts";
import type { Considered, Refused, Taken, WayOn } from "./ways-on.ts";

/** A round trip, and the quarter of a second after which a gate says that a solution holds everywhere. */
const VERIFY_MS = 500;
const VERIFY_TIMEOUT_MS = 15_000;
/** The answer is a token and two numbers. */
const MAX_ANSWER_CHARS = 16_384;
/** Accounts whose earnings are remembered: one client has one, a proxy a few. */
const MAX_ACCOUNTS = 64;
const PASS_HEADER = "Turnpike-Pass";
/** They describe the call's body, or how it is to be answered; who is calling is in the others. */
const HEADERS_OF_THE_CALL = /^(accept|content-.*|prefer|last-event-id|mcp-.*|turnpike-pass)$/;

const UNSOLVED = {
  expired: "its proof of work expired before it was solved",
  "too-hard": "its proof of work is too hard for this client",
  aborted: "its proof of work was broken off",
} as const;

/** What one solution has earned. */
interface Earned {
  readonly token: string | null;
  readonly at: number;
  readonly expiresAt: number;
  readonly calls: number;
  /** Calls that nobody of this process has taken yet. */
  spare: number;
}

type Told = Pick<Refused, "call" | "refusal" | "refusedAt">;

export interface PowWay extends WayOn {
  /** How long it would take for each call to solve a challenge of this refusal. Null when there is none to be solved. */
  expectedMs(refused: Told): number | null;
}

export function createPowWay(fetch: FetchLike, solve: SolvePow, maxDifficulty: number): PowWay {
  const turns = new Turns();
  const earnings = new Map<string, Earned>();
  const speed = new SolveSpeed();

  /**
   * How many calls the work would be for. Whoever is refused while the calls of the last proof were still good has used them up,
   * and will the next ones too; a wait is good for one.
   */
  const callsToCome = ({ call, refusedAt }: Told): number => {
    const earned = earnings.get(accountOf(call));
    return earned && earned.at < refusedAt && refusedAt < earned.expiresAt ? earned.calls : 1;
  };

  const consider = (refused: Told): Considered | null => {
    const { call, refusal } = refused;
    if (refusal.challenges.length === 0) return null;
    const challenge = easiest(refusal.challenges);
    if (challenge.difficulty > maxDifficulty) {
      const why = `its proof of work of ${challenge.difficulty} bits is harder than the ${maxDifficulty} that this client takes on`;
      return { isOpen: false, why };
    }
    if (verifyUrl(challenge, call) === null) return { isOpen: false, why: "its proof of work is to be sent to another site" };
    return { isOpen: true, expectedMs: (speed.expectedMs(challenge.difficulty) + VERIFY_MS) / callsToCome(refused) };
  };

  const work = async ({ call, refusal, signal, tell }: Refused): Promise<Earned | string> => {
    const challenge = easiest(refusal.challenges);
    const { difficulty } = challenge;
    tell({ kind: "solving", difficulty, tries: 0, elapsedMs: 0, hashesPerSecond: null, expectedMs: null, likelyWithinMs: null });
    const solved = await solve(challenge, { maxDifficulty, signal, onProgress: (progress) => tell({ kind: "solving", ...progress }) });
    if (!solved.ok) return UNSOLVED[solved.why];
    speed.learn(solved.tries, solved.elapsedMs);
    const earned = await verify(fetch, call, verifyUrl(challenge, call)!, solved.solution, signal);
    if (typeof earned === "string") return earned;
    tell({ kind: "solved", tries: solved.tries, elapsedMs: solved.elapsedMs, calls: earned.spare });
    return earned;
  };

  return {
    consider,
    expectedMs(refused) {
      const considered = consider(refused);
      return considered?.isOpen ? considered.expectedMs : null;
    },
    async take(refused): Promise<Taken> {
      const account = accountOf(refused.call);
      const endTurn = await turns.next(account, refused.signal);
      try {
        refused.signal?.throwIfAborted();
        let earned = earnings.get(account);
        // Only what was earned after this call was refused can help it: what was there before did not.
        if (!earned || earned.at < refused.refusedAt || earned.spare < 1 || earned.expiresAt <= Date.now()) {
          const result = await work(refused);
          if (typeof result === "string") return { ok: false, why: result };
          earned = result;
          earnings.delete(account);
          earnings.set(account, earned);
          if (earnings.size > MAX_ACCOUNTS) earnings.delete(earnings.keys().next().value!);
        }
        earned.spare--;
        return { ok: true, waitedMs: 0, headers: earned.token === null ? {} : { [PASS_HEADER]: earned.token } };
      } finally {
        endTurn();
      }
    },
  };
}

function easiest(challenges: readonly PowChallenge[]): PowChallenge {
  return challenges.reduce((best, challenge) => (challenge.difficulty < best.difficulty ? challenge : best));
}

/** Where the solution goes: never to another site than the call, for it carries the caller's key. */
function verifyUrl({ verify }: PowChallenge, { url }: Outgoing): URL | null {
  const text = verify ?? "/turnpike/verify";
  const to = URL.canParse(text, url.href) ? new URL(text, url) : null;
  return to?.origin === url.origin ? to : null;
}

/** Whoever calls with the same key shares an account. */
function accountOf({ url, headers }: Outgoing): string {
  return [url.origin, headers.get("authorization"), headers.get("x-api-key")].join("\n");
}

/** What was earned, or a clause that says why nothing was. */
async function verify(
  fetch: FetchLike,
  call: Outgoing,
  url: URL,
  solution: PowSolution,
  signal: AbortSignal | undefined,
): Promise<Earned | string> {
  const headers = new Headers({ "Content-Type": "application/json", Accept: "application/json" });
  for (const [name, value] of call.headers) if (!HEADERS_OF_THE_CALL.test(name)) headers.set(name, value);
  const timeout = AbortSignal.timeout(VERIFY_TIMEOUT_MS);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers,
      body: JSON.stringify(solution),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      // A redirect would take the caller's key elsewhere.
      redirect: "manual",
    });
    const text = (await response.text()).slice(0, MAX_ANSWER_CHARS);
    if (!response.ok) return `the gate did not take its proof of work (status ${response.status})`;
    return readEarned(text, Date.now());
  } catch (error) {
    signal?.throwIfAborted();
    return `its proof of work could not be delivered (${error instanceof Error ? error.message : String(error)})`;
  }
}

/** Lenient: the credit is on the account, whatever can be read of the answer. */
function readEarned(text: string, now: number): Earned {
  let answer: { readonly token?: unknown; readonly calls?: unknown; readonly expiresAt?: unknown } = {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) answer = value;
  } catch {
    // Nothing can be read of it.
  }
  const { token, expiresAt } = answer;
  const calls = typeof answer.calls === "number" && answer.calls >= 1 ? Math.floor(answer.calls) : 1;
  const expires = typeof expiresAt === "string" ? Date.parse(expiresAt) : Number.NaN;
  return {
    // A header takes visible ASCII only.
    token: typeof token === "string" && /^[\x21-\x7e]+$/.test(token) ? token : null,
    at: now,
    expiresAt: Number.isNaN(expires) ? Infinity : expires,
    calls,
    spare: calls,
  };
}
