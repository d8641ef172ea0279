/** Asking an object for an answer in time. */

/**
 * @param ask may throw or reject
 * @returns the answer, or null when there was none within `ms`, or an error
 */
export function within<T, R>(ms: number, ask: () => Promise<T>, read: (answer: T) => R): Promise<R | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), ms);
    const end = (answer: R | null): void => {
      clearTimeout(timer);
      resolve(answer);
    };
    try {
      ask().then(
        (answer) => end(read(answer)),
        () => end(null),
      );
    } catch {
      end(null);
    }
  });
}
