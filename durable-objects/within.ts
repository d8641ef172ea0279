/** Asking an object for an answer in time. */

/**
 * @param ask may throw or reject
 * @param onLate is given an answer that came after all, for what was taken with it to be given back
 * @returns the answer, or null when there was none within `ms`, or an error
 */
export function within<T, R>(ms: number, ask: () => Promise<T>, read: (answer: T) => R, onLate?: (answer: R) => void): Promise<R | null> {
  return new Promise((resolve) => {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      resolve(null);
    }, ms);
    const end = (answer: R | null): void => {
      clearTimeout(timer);
      resolve(answer);
    };
    try {
      ask().then(
        (answer) => (isLate ? onLate?.(read(answer)) : end(read(answer))),
        () => end(null),
      );
    } catch {
      end(null);
    }
  });
}
