/**
 * What this isolate knows of the origin's own limits, by upstream credential: enough to refuse at the edge while the origin is
 * known to be closed, and to ask the credential's object only when there is something to share out. Where nothing is
 * configured and the origin tells nothing, a call costs a look at a map.
 */

import { BoundedCache } from "../bounded-cache.ts";
import type { Caller } from "../consumers/caller.ts";
import { forwardedAuthorization } from "./forward.ts";
import { fingerprint } from "../mcp/fingerprint.ts";
import type { LimitSigns } from "./limit-signs.ts";
import { longerClosed, type Told } from "./quota-account.ts";
import type { OriginQuota } from "./quota-policy.ts";

const MAX_CREDENTIALS = 5_000;
/** The origin's own credential. */
const SHARED = "shared";
/** The first guess at how long an origin that names no time stays closed; each next one is twice as long. */
const FIRST_GUESS_MS = 5_000;
const LONGEST_GUESS_MS = 60_000;
/** What is left of a told quota before it is shared out: until then nobody can be in want of it. */
const SHARED_BELOW = 1 / 2;
/** How often successes of one busy credential are looked at. A hundred a second would use up no quota that is worth sharing in between. */
const LOOK_EVERY_MS = 100;
/** How often the object is told of a quota that only shrinks as expected. */
const TELL_EVERY_MS = 1_000;
/** Something told without an end is forgotten after this. */
const UNKNOWN_RESET_MS = 60_000;

interface Knowledge {
  closedUntil: number;
  isEstimated: boolean;
  /** Closings in a row for which the origin named no time. */
  guesses: number;
  remaining: number;
  limit: number | null;
  resetAt: number;
  toldAt: number;
}

export class OriginKnowledge {
  readonly #policy: OriginQuota;
  readonly #known = new BoundedCache<Knowledge>(MAX_CREDENTIALS);
  /** Apart from the others: whoever makes up credentials must not have it forgotten. */
  readonly #shared = new BoundedCache<Knowledge>(2);
  /** The last look at a success, and whose it was: what is busy is mostly one credential. */
  #lookedAt = 0;
  #lookedFor = "";

  readonly #isSelling: boolean;

  /** @param isSelling whether what is shown by L402 is the gate's */
  constructor(policy: OriginQuota, isSelling: boolean) {
    this.#policy = policy;
    this.#isSelling = isSelling;
  }

  /** Whose word from the origin a call of this caller goes by: of the origin's one credential, or one that the caller brings. */
  credentialOf(caller: Caller, headers: Headers): string {
    if (this.#isItsOwn(caller)) return caller.id;
    const forwarded = forwardedAuthorization(headers, caller.consumedHeader, this.#isSelling);
    return forwarded === null ? SHARED : `authorization:${fingerprint("authorization", { forwarded })}`;
  }

  /**
   * What a call of this caller is counted with. A configured quota is counted for everybody whom the gate knows by a key or an
   * address: a header that an origin may not even look at must not open a quota of its own.
   */
  quotaOf(caller: Caller, credential: string): string {
    if (!this.#policy.limit) return credential;
    return this.#isItsOwn(caller) ? caller.id : SHARED;
  }

  /** While the origin is known to be closed: for how much longer. */
  closedFor(credential: string, now: number): { readonly retryAfterMs: number; readonly isEstimated: boolean } | null {
    const known = this.#cacheOf(credential).get(credential, now);
    if (!known || known.closedUntil <= now) return null;
    return { retryAfterMs: Math.ceil(known.closedUntil - now), isEstimated: known.isEstimated };
  }

  /** Whether a call has to be asked about: a quota is configured, or one that was told is running out. */
  isShared(credential: string, now: number): boolean {
    if (this.#policy.limit) return true;
    const known = this.#cacheOf(credential).get(credential, now);
    return known !== undefined && isRunningOut(known, now);
  }

  /**
   * Whether an answer without an error may have news: nothing was looked at for a moment, or what was told needs minding.
   * Asked once for each answer.
   */
  isWorthALook(credential: string, now: number): boolean {
    const known = this.#cacheOf(credential).get(credential, now);
    if (known && (known.guesses > 0 || isRunningOut(known, now))) return true;
    if (now - this.#lookedAt < LOOK_EVERY_MS && now >= this.#lookedAt && this.#lookedFor === credential) return false;
    this.#lookedAt = now;
    this.#lookedFor = credential;
    return true;
  }

  /** Takes note of a closing that the credential's object knew of. */
  noteClosed(credential: string, retryAfterMs: number, isEstimated: boolean, now: number): void {
    const known = this.#entry(credential, now);
    known.closedUntil = now + retryAfterMs;
    known.isEstimated = isEstimated;
    this.#keep(credential, known);
  }

  /** An answer that says nothing of limits, to a call that had got through: guesses start small again. */
  hearNothing(credential: string, now: number): void {
    const known = this.#cacheOf(credential).get(credential, now);
    if (known && known.closedUntil <= now) known.guesses = 0;
  }

  /**
   * Takes note of what an answer says.
   * @returns what it comes to, and whether the credential's object should be told of it
   */
  hear(credential: string, signs: LimitSigns, now: number): { readonly told: Told; readonly isNews: boolean } {
    const known = this.#entry(credential, now);
    const { isRefusal, closedForMs, quota } = signs;
    let closedMs = closedForMs ?? 0;
    let isEstimated = false;
    if (isRefusal && closedForMs === null) {
      // Calls that were on their way together are refused together: that is one closing, not many.
      const isAnother = known.closedUntil <= now;
      if (isAnother) known.guesses++;
      closedMs = isAnother ? Math.min(LONGEST_GUESS_MS, FIRST_GUESS_MS * 2 ** (known.guesses - 1)) : known.closedUntil - now;
      isEstimated = isAnother || known.isEstimated;
    } else if (!isRefusal && known.closedUntil <= now) {
      known.guesses = 0;
    }
    if (closedMs > 0) {
      const { closedUntil: until } = known;
      const closed = longerClosed({ until, isEstimated: known.isEstimated }, { until: now + closedMs, isEstimated }, now);
      known.closedUntil = closed.until;
      known.isEstimated = isEstimated = closed.isEstimated;
      closedMs = closed.until - now;
    }
    if (quota) {
      known.remaining = quota.remaining;
      known.limit = quota.limit;
      known.resetAt = now + (quota.resetMs ?? UNKNOWN_RESET_MS);
    }
    const isNews = closedMs > 0 || (isRunningOut(known, now) && now - known.toldAt >= TELL_EVERY_MS);
    if (isNews) known.toldAt = now;
    this.#keep(credential, known);
    return { told: { closedForMs: closedMs, isEstimated, quota }, isNews };
  }

  /** Whether a caller has a credential by being who it is. */
  #isItsOwn({ kind }: Caller): boolean {
    return this.#policy.of === "consumer" || kind === "jwt" || kind === "bearer";
  }

  #cacheOf(credential: string): BoundedCache<Knowledge> {
    return credential === SHARED ? this.#shared : this.#known;
  }

  #entry(credential: string, now: number): Knowledge {
    return (
      this.#cacheOf(credential).get(credential, now) ?? {
        closedUntil: 0,
        isEstimated: false,
        guesses: 0,
        remaining: 0,
        limit: null,
        resetAt: 0,
        toldAt: 0,
      }
    );
  }

  /** Guesses outlive the closing that they were made for, or each would be the first. */
  #keep(credential: string, known: Knowledge): void {
    this.#cacheOf(credential).set(credential, known, Math.max(known.closedUntil + 2 * LONGEST_GUESS_MS, known.resetAt));
  }
}

function isRunningOut({ remaining, limit, resetAt }: Knowledge, now: number): boolean {
  return resetAt > now && (limit === null || remaining < limit * SHARED_BELOW);
}
