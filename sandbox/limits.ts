/** What `firstOf` returns when the limit or the signal came before the promise. */
export const late = Symbol("late");

/**
 * Waits for a promise, but not longer than `ms` milliseconds and not beyond the signal.
 * The promise goes on by itself; its later failure is no unhandled rejection.
 */
export async function firstOf<T>(
  promise: Promise<T>,
  { ms, signal }: { ms: number; signal?: AbortSignal | undefined },
): Promise<T | typeof late> {
  promise.catch(() => {});
  if (signal?.aborted) return late;
  const { promise: ended, resolve } = Promise.withResolvers<typeof late>();
  const giveUp = () => resolve(late);
  const timer = setTimeout(giveUp, Math.max(0, Math.min(ms, 2 ** 31 - 1)));
  signal?.addEventListener("abort", giveUp, { once: true });
  try {
    return await Promise.race([promise, ended]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", giveUp);
  }
}
