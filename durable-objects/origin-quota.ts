/**
 * One upstream credential: its quota, configured and learned, shared fairly. A thin shell around src/origin/quota-account.ts.
 * It is asked only where a quota is configured or has been told; `told` comes from gates that have heard the origin say something.
 *
 * Storage is one row, "account": what was used of the configured quota, and until when the origin is closed. Who has used
 * how much, and what the origin told beside that, is learned again after a restart.
 */

import { DurableObject } from "cloudflare:workers";
import type { QuotaLimit } from "../src/limits/limit.ts";
import {
  askOrigin,
  type Closed,
  createOriginAccount,
  giveOriginBack,
  hearOrigin,
  type OriginAccount,
  type OriginAsk,
  type Told,
} from "../src/origin/quota-account.ts";
import { KeptAccount } from "./kept-account.ts";

export class OriginQuota extends DurableObject {
  readonly #origin: OriginAccount = createOriginAccount();
  readonly #kept: KeptAccount<Closed>;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as Cloudflare.Env);
    this.#kept = new KeptAccount<Closed>(ctx.storage, {
      load: (stored) => {
        this.#origin.closed = stored ?? null;
      },
      save: (now) => {
        const { closed } = this.#origin;
        return closed && closed.until > now ? closed : undefined;
      },
      isCovered: (stored) => stored?.until === this.#origin.closed?.until,
      forgettableAt: () => this.#origin.closed?.until ?? 0,
    });
  }

  /** May a call go to the origin now? What it admits is taken. @returns an `OriginVerdict` as JSON */
  take(limit: QuotaLimit | null, ask: OriginAsk): string {
    const now = Date.now();
    return JSON.stringify(askOrigin(this.#origin, this.#kept.account, limit, ask, now, (verdict) => this.#kept.record(now, verdict)));
  }

  /** Gives back what the admission with this ticket took. Unknown tickets are ignored. */
  giveBack(ticket: number): void {
    const now = Date.now();
    giveOriginBack(this.#origin, this.#kept.account, ticket, now);
    this.#kept.noteGivenBack(now);
  }

  /** What a gate has heard the origin say. */
  tell(told: Told): void {
    const now = Date.now();
    const before = this.#origin.closed;
    hearOrigin(this.#origin, told, now);
    if (this.#origin.closed !== before) this.#kept.recordRest(now);
  }

  override async alarm(): Promise<void> {
    await this.#kept.clean(Date.now());
  }
}
