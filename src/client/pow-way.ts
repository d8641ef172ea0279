/** The way on by work: solves the challenge of a refusal and posts the solution to the gate, which puts calls on the caller's account. */

import { type Earning, type Earnings, PASS_HEADER } from "./earnings.ts";
import type { Obstacle } from "./obstacle.ts";
import type { FetchLike } from "./outgoing.ts";
import type { PowChallenge } from "./pow-challenge.ts";
import { expectedSolveMs } from "./solve/estimate.ts";
import type { SolvePow } from "./solve/solve-pow.ts";
import { postVerify, VERIFY_MS, verifyUrl } from "./verify.ts";
import type { Refused, WayOn } from "./ways-on.ts";

/** Until it has been measured: less than one slow core manages. */
const ASSUMED_HASHES_PER_SECOND = 1_000_000;
/** A proof that is found sooner was luck, and says little of the speed. */
const MEASURABLE_MS = 20;

const UNSOLVED = {
  expired: { code: "proof-expired", why: "its proof of work expired before it was solved" },
  "too-hard": { code: "proof-too-hard", why: "its proof of work is too hard for this client" },
  aborted: { code: "proof-aborted", why: "its proof of work was broken off" },
} as const satisfies Record<string, Obstacle>;

export function createPowWay(fetch: FetchLike, solve: SolvePow, maxDifficulty: number, earnings: Earnings): WayOn {
  let hashesPerSecond = ASSUMED_HASHES_PER_SECOND;

  const work = async ({ call, refusal, signal, tell }: Refused): Promise<Earning> => {
    const challenge = easiest(refusal.challenges);
    const { difficulty } = challenge;
    tell({ kind: "solving", difficulty, tries: 0, elapsedMs: 0, hashesPerSecond: null, expectedMs: null, likelyWithinMs: null });
    const solved = await solve(challenge, { maxDifficulty, signal, onProgress: (progress) => tell({ kind: "solving", ...progress }) });
    if (!solved.ok) return { ok: false, obstacle: UNSOLVED[solved.why] };
    const { tries, elapsedMs } = solved;
    if (elapsedMs >= MEASURABLE_MS) hashesPerSecond = (tries / elapsedMs) * 1_000;
    const verified = await postVerify(fetch, call, verifyUrl(challenge.verify, call)!, solved.solution, signal);
    if (!verified.ok) {
      const obstacle: Obstacle =
        verified.status === null
          ? { code: "proof-undelivered", why: `its proof of work could not be delivered (${verified.message})` }
          : { code: "proof-not-taken", why: `the gate did not take its proof of work (${verified.message})` };
      return { ok: false, obstacle };
    }
    // The credit is on the account, whatever can be read of the answer.
    const { token, calls, expiresAt } = verified;
    const spare = calls ?? 1;
    tell({ kind: "solved", tries, elapsedMs, calls: spare });
    const headers = token === null ? {} : { [PASS_HEADER]: token };
    return { ok: true, earned: { headers, isOnAccount: true, at: Date.now(), expiresAt: expiresAt ?? Infinity, spare } };
  };

  return {
    kind: "pow",
    consider({ call, refusal }) {
      if (refusal.challenges.length === 0) return null;
      const { difficulty, verify } = easiest(refusal.challenges);
      if (difficulty > maxDifficulty) {
        const why = `its proof of work of ${difficulty} bits is harder than the ${maxDifficulty} that this client takes on`;
        return { isOpen: false, obstacle: { code: "proof-too-hard", why } };
      }
      if (verifyUrl(verify, call) === null)
        return { isOpen: false, obstacle: { code: "proof-elsewhere", why: "its proof of work is to be sent to another site" } };
      return { isOpen: true, expectedMs: expectedSolveMs(difficulty, hashesPerSecond) + VERIFY_MS, priceSats: 0 };
    },
    take: (refused) => earnings.share(refused, () => work(refused)),
  };
}

function easiest(challenges: readonly PowChallenge[]): PowChallenge {
  return challenges.reduce((best, challenge) => (challenge.difficulty < best.difficulty ? challenge : best));
}
