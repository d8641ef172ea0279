/** One after the other, for each name: who comes while another is at it waits for its turn, or until it no longer wants it. */

export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Resolves with how to end the turn, which must be done whatever happens. A signal ends the waiting, not the turn. */
  async next(name: string, signal: AbortSignal | undefined): Promise<() => void> {
    const before = this.#last.get(name);
    let end!: () => void;
    const ended = new Promise<void>((resolve) => (end = resolve));
    const last = (before ?? Promise.resolve()).then(() => ended);
    this.#last.set(name, last);
    void last.then(() => {
      if (this.#last.get(name) === last) this.#last.delete(name);
    });
    if (before) await untilAborted(before, signal);
    return end;
  }
}

async function untilAborted(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted) return;
  let onAbort!: () => void;
  const aborted = new Promise<void>((resolve) => (onAbort = resolve));
  signal?.addEventListener("abort", onAbort);
  await Promise.race([promise, aborted]);
  signal?.removeEventListener("abort", onAbort);
}
