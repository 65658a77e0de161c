/** Ctrl-C reaches the launcher and what it started, and the launcher passes it on. */
const sameMs = 500;

/**
 * Resolves at the first SIGINT or SIGTERM, and when the launcher that started this process is gone; a second signal ends
 * the process at once.
 */
export function untilStopped(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let asked: number | undefined;
  const stop = () => {
    if (asked !== undefined && Date.now() - asked > sameMs) process.exit(130);
    asked ??= Date.now();
    resolve();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  process.on("disconnect", () => resolve());
  // The listener alone would keep the process.
  process.channel?.unref();
  return promise;
}
