/** The way on by work: solves the challenge of a refusal and posts the solution to the gate, which puts calls on the caller's account. */

import type { FetchLike } from "../outgoing.ts";
import type { PowChallenge } from "../pow-challenge.ts";
import type { SolvePow } from "../solve/solve-pow.ts";
import { SolveSpeed } from "../solve/speed.ts";
import { postVerify, VERIFY_MS, verifyUrl } from "../verify-endpoint.ts";
import type { Earning, Earnings } from "./earnings.ts";
import type { Obstacle } from "./obstacle.ts";
import type { Refused, WayOn } from "./ways-on.ts";

const UNSOLVED = {
  expired: { code: "proof-expired", why: "its proof of work expired before it was solved" },
  "too-hard": { code: "proof-too-hard", why: "its proof of work is too hard for this client" },
  aborted: { code: "proof-aborted", why: "its proof of work was broken off" },
} as const satisfies Record<string, Obstacle>;

export function createPowWay(fetch: FetchLike, solve: SolvePow, maxDifficulty: number, earnings: Earnings): WayOn {
  const speed = new SolveSpeed();

  const work = async ({ call, refusal, signal, tell }: Refused): Promise<Earning> => {
    const challenge = easiest(refusal.challenges);
    const { difficulty } = challenge;
    tell({ kind: "solving", difficulty, tries: 0, elapsedMs: 0, hashesPerSecond: null, expectedMs: null, likelyWithinMs: null });
    const solved = await solve(challenge, { maxDifficulty, signal, onProgress: (progress) => tell({ kind: "solving", ...progress }) });
    if (!solved.ok) return { ok: false, obstacle: UNSOLVED[solved.why] };
    const { tries, elapsedMs } = solved;
    speed.learn(tries, elapsedMs);
    const verified = await postVerify(fetch, call, verifyUrl(challenge.verify, call)!, solved.solution, signal);
    if (!verified.ok) {
      const obstacle: Obstacle =
        verified.status === null
          ? { code: "proof-undelivered", why: `its proof of work could not be delivered (${verified.message})` }
          : { code: "proof-not-taken", why: `the gate did not take its proof of work (${verified.message})` };
      return { ok: false, obstacle };
    }
    // The credit is on the account, whatever can be read of the answer.
    const earned = earnings.putVerified(call, verified);
    tell({ kind: "solved", tries, elapsedMs, calls: earned.calls });
    return { ok: true, earned };
  };

  return {
    kind: "pow",
    consider(refused) {
      const { call, refusal } = refused;
      if (refusal.challenges.length === 0) return null;
      const { difficulty, verify } = easiest(refusal.challenges);
      if (difficulty > maxDifficulty) {
        const why = `its proof of work of ${difficulty} bits is harder than the ${maxDifficulty} that this client takes on`;
        return { isOpen: false, obstacle: { code: "proof-too-hard", why } };
      }
      if (verifyUrl(verify, call) === null)
        return { isOpen: false, obstacle: { code: "proof-elsewhere", why: "its proof of work is to be sent to another site" } };
      const expectedMs = (speed.expectedMs(difficulty) + VERIFY_MS) / earnings.callsToCome(refused);
      return { isOpen: true, expectedMs, priceSats: 0 };
    },
    take: (refused) => earnings.share(refused, () => work(refused)),
  };
}

function easiest(challenges: readonly PowChallenge[]): PowChallenge {
  return challenges.reduce((best, challenge) => (challenge.difficulty < best.difficulty ? challenge : best));
}
