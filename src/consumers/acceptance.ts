/**
 * Which bearers the origin has accepted. Nobody but the origin can tell a good token from a made-up one, and each made-up one would be
 * a consumer with a full bucket; so until the origin has answered one well, the address is charged beside it (see ask-for-caller.ts).
 * The isolate remembers, within a bound; the bearer's own object remembers for the others, and is asked by an isolate that
 * does not know.
 */

import { type ConsumerNamespace, isBearerAccepted, tellAcceptance } from "../../durable-objects/bearer-acceptance.ts";
import { BoundedCache } from "../bounded-cache.ts";

const MAX_REMEMBERED = 20_000;
/** Within this, no answer but a 401 of the origin changes it. */
const ACCEPTED_REMEMBERED_MS = 600_000;
/** Another isolate may have seen it accepted meanwhile; for so long a flood with one bad token costs its object nothing. */
const OTHER_REMEMBERED_MS = 1_000;

export class Acceptances {
  readonly #remembered = new BoundedCache<boolean>(MAX_REMEMBERED);

  /** False as well when the object cannot be asked. */
  async isAccepted(consumers: ConsumerNamespace, bearer: string, now: number): Promise<boolean> {
    const remembered = this.#remembered.get(bearer, now);
    if (remembered !== undefined) return remembered;
    const isAccepted = await isBearerAccepted(consumers, bearer);
    // What was learned while the object was asked is newer.
    const learned = this.#remembered.get(bearer, now);
    if (learned !== undefined) return learned;
    if (isAccepted !== null) this.#remember(bearer, isAccepted, now);
    return isAccepted === true;
  }

  /**
   * Takes note of an answer of the origin.
   * @returns what the bearer's object has to be told, for after the answer, or null when it told nothing new
   */
  learn(consumers: ConsumerNamespace, bearer: string, wasAccepted: boolean, answer: AnswerToBearer, now: number): Promise<void> | null {
    const isAccepted = wasAccepted ? answer.status !== 401 : provesAcceptance(answer);
    if (isAccepted === wasAccepted) return null;
    this.#remember(bearer, isAccepted, now);
    return tellAcceptance(consumers, bearer, isAccepted);
  }

  #remember(bearer: string, isAccepted: boolean, now: number): void {
    this.#remembered.set(bearer, isAccepted, now + (isAccepted ? ACCEPTED_REMEMBERED_MS : OTHER_REMEMBERED_MS));
  }
}

export interface AnswerToBearer {
  readonly status: number;
  /** Whether the POST that is answered had a JSON-RPC request in it. */
  readonly isToRequest: boolean;
}

/**
 * A good answer to a JSON-RPC request. Not any other than 401 and 403: many servers say 400, 405 or 503 before they look
 * at the token, and 202 to whatever asks for no answer.
 */
function provesAcceptance({ status, isToRequest }: AnswerToBearer): boolean {
  return isToRequest && status >= 200 && status < 300;
}
