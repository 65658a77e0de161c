/**
 * Does the work now and every so many milliseconds, never twice at a time, until disposed; that waits for work at hand and
 * aborts its signal. The work never throws.
 */
export function repeat(everyMs: number, work: (signal: AbortSignal) => Promise<void>): AsyncDisposable {
  const stop = new AbortController();
  let isWorking = false;
  const once = async () => {
    isWorking = true;
    await work(stop.signal);
    isWorking = false;
  };
  let running = once();
  const timer = setInterval(() => {
    if (!isWorking) running = once();
  }, everyMs);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      stop.abort();
      await running;
    },
  };
}
