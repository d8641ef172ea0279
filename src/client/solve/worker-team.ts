/**
 * The workers of this process, one for each core, which all search for one nonce at a time. They are handed small stretches
 * of tries, two at once so that none waits for the next; to stop them it is enough to hand out no more. A team that has had
 * nothing to do for a while is sent home.
 */

import { type SearchWorker, startWorker, usefulWorkers } from "./start-worker.ts";
import type { Searched } from "./search-worker.ts";

/** What the team is to do. */
export interface TeamJob {
  readonly salt: string;
  readonly difficulty: number;
  /** The number of the next try that nobody has been handed, and counts on by so many. */
  take(tries: number): number;
  onSearched(searched: Searched): void;
  /** Nobody of the team is left. */
  onLost(): void;
}

/** Some ten milliseconds of a core: the messages around it cost a hundredth of that. */
const STRETCH_TRIES = 2 ** 15;
const STRETCHES_AT_ONCE = 2;
/** An agent that was refused once is likely to be refused again soon, and starting workers takes longer than most proofs. */
const IDLE_MS = 10_000;

export class WorkerTeam {
  readonly #size: number;
  readonly #members = new Set<SearchWorker>();
  #job: TeamJob | null = null;
  #jobId = 0;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(size: number = usefulWorkers()) {
    this.#size = size;
  }

  /**
   * Begins to search. There may be nobody who could: then neither callback is ever called.
   * @returns how to stop it
   */
  begin(job: TeamJob): () => void {
    clearTimeout(this.#idleTimer);
    this.#job = job;
    this.#jobId++;
    while (this.#members.size < this.#size && this.#hire());
    for (const member of this.#members) {
      member.keepAlive(true);
      for (let i = 0; i < STRETCHES_AT_ONCE; i++) this.#deal(member, job);
    }
    return () => {
      if (this.#job === job) this.#rest();
    };
  }

  #hire(): boolean {
    const member = startWorker({
      onSearched: (searched) => {
        const job = this.#job;
        // What was left over when a search ended.
        if (job === null || searched.job !== this.#jobId) return;
        job.onSearched(searched);
        if (member !== null && this.#job === job) this.#deal(member, job);
      },
      onFailed: () => {
        if (member === null || !this.#members.delete(member)) return;
        member.end();
        if (this.#members.size === 0) this.#job?.onLost();
      },
    });
    if (member !== null) this.#members.add(member);
    return member !== null;
  }

  #deal(member: SearchWorker, job: TeamJob): void {
    const { salt, difficulty } = job;
    member.post({ job: this.#jobId, salt, difficulty, start: job.take(STRETCH_TRIES), count: STRETCH_TRIES });
  }

  #rest(): void {
    this.#job = null;
    for (const member of this.#members) member.keepAlive(false);
    this.#idleTimer = setTimeout(() => {
      const members = [...this.#members];
      this.#members.clear();
      for (const member of members) member.end();
    }, IDLE_MS);
    // In Node a timer keeps the process; in browsers it is a number.
    (this.#idleTimer as { unref?(): void }).unref?.();
  }
}
