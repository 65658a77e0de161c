export interface WatchLimits {
  /** One answer in all, in milliseconds. */
  callMs: number;
  /** Until the first piece of an answer; the request may wait in the server's queue. */
  firstMs: number;
  /** Between two pieces. */
  idleMs: number;
}

/** Aborts when no piece comes in time, or the whole takes too long. */
export interface Watch {
  readonly signal: AbortSignal;
  /** A piece came. */
  alive(): void;
  /** Milliseconds until the first piece, and until now. */
  times(): { firstMs: number; ms: number };
  stop(): void;
}

export function createWatch({ callMs, firstMs, idleMs }: WatchLimits): Watch {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const began = performance.now();
  const whole = setTimeout(abort, callMs);
  let piece = setTimeout(abort, firstMs);
  let firstAfter: number | undefined;
  return {
    signal: controller.signal,
    alive() {
      if (firstAfter !== undefined) return void piece.refresh();
      firstAfter = performance.now() - began;
      clearTimeout(piece);
      piece = setTimeout(abort, idleMs);
    },
    times() {
      const ms = performance.now() - began;
      return { firstMs: firstAfter ?? ms, ms };
    },
    stop() {
      clearTimeout(whole);
      clearTimeout(piece);
    },
  };
}
