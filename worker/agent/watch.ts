export interface WatchLimits {
  /** One answer in all. */
  callMs: number;
  /** Until the first piece of an answer; the request may wait in the server's queue. */
  firstMs: number;
  /** Between two pieces. */
  idleMs: number;
}

/** Aborts when no piece comes in time, or the whole takes too long. */
export function createWatch({ callMs, firstMs, idleMs }: WatchLimits) {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const whole = setTimeout(abort, callMs);
  let piece = setTimeout(abort, firstMs);
  return {
    signal: controller.signal,
    alive() {
      clearTimeout(piece);
      piece = setTimeout(abort, idleMs);
    },
    stop() {
      clearTimeout(whole);
      clearTimeout(piece);
    },
  };
}
