/** Sleeps until nothing remains, and never a moment less: timers may fire early by a fraction. Ends at once on the signal. */

/** The longest time that a timer can take (2^31 - 1). */
const MAX_TIMER_MS = 2_147_483_647;

/** @param remainingMs asked again whenever a timer has fired */
export async function sleep(remainingMs: () => number, signal: AbortSignal | undefined): Promise<void> {
  for (;;) {
    const ms = remainingMs();
    if (ms <= 0 || signal?.aborted) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, Math.min(MAX_TIMER_MS, Math.ceil(ms)));
      signal?.addEventListener("abort", end);
    });
  }
}
