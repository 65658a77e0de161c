import { ModelError } from "./model.ts";
import type { OnWaiting } from "./model.ts";
import { createOutages } from "./outage.ts";
import type { Outages, Seat } from "./outage.ts";
import { mayPass, waitAfter } from "./retry.ts";
import type { RetryPolicy } from "./retry.ts";

export interface Availability {
  /**
   * The result of `work`, which is tried again while the server is away, busy or failing. While it is away only one of
   * all requests tries, and the others wait for what it finds. `work` calls `reached` as soon as the server answers it.
   */
  ask: <T>(asking: Asking, work: (reached: () => void) => Promise<T>) => Promise<T>;
}

export interface Asking {
  signal: AbortSignal;
  onWaiting?: OnWaiting | undefined;
}

/** One request in its attempts. */
interface Turn extends Asking {
  notice: OnWaiting;
  lostMs: number;
  seat: Seat | undefined;
}

/** What all requests to one server know of whether it is there. */
export function createAvailability(policy: RetryPolicy): Availability {
  const outages = createOutages();

  /** How long to wait before the next attempt; throws the error when there is none. */
  function failed(error: ModelError, turn: Turn, { number, ms }: { number: number; ms: number }): number {
    if (error.kind === "away") {
      outages.begin(error);
      outages.lead(turn);
    } else if (error.kind !== "stalled") outages.end();
    if (!mayPass(error, number, policy)) throw error;
    const led = outages.ledBy(turn);
    if (led !== undefined) led.tries++;
    const wait = waitAfter(error, led?.tries ?? number, policy.random);
    // How often the others may fail is counted instead of their time.
    const lost = wait + (error.kind === "away" ? ms : 0);
    turn.lostMs += lost;
    if (turn.lostMs > policy.maxWaitMs) throw error;
    if (led !== undefined) Object.assign(led, { error, lostMs: led.lostMs + lost });
    return wait;
  }

  return {
    async ask({ signal, onWaiting }, work) {
      const turn: Turn = { signal, notice: createNotice(onWaiting), lostMs: 0, seat: undefined };
      const reached = () => {
        outages.end();
        turn.notice(undefined);
      };
      try {
        for (let number = 1; ; number++) {
          await enter(outages, turn, policy.maxWaitMs);
          const began = performance.now();
          try {
            const result = await work(reached);
            reached();
            return result;
          } catch (error) {
            signal.throwIfAborted();
            if (!(error instanceof ModelError)) throw error;
            const wait = failed(error, turn, { number, ms: performance.now() - began });
            turn.notice(reasonOf(error));
            policy.onWait(error, wait);
            await policy.delay(wait, signal);
          }
        }
      } finally {
        outages.leave(turn);
        turn.notice(undefined);
      }
    },
  };
}

/** Returns when the request may try: at once, when the server is back, or as the one that finds out. */
async function enter(outages: Outages, turn: Turn, maxWaitMs: number): Promise<void> {
  for (;;) {
    const outage = outages.present();
    if (outage?.seat === undefined || outage.seat === turn.seat) break;
    const before = outage.lostMs;
    turn.notice(reasonOf(outage.error));
    await orAborted(outage.seat.promise, turn.signal);
    turn.lostMs += outage.lostMs - before;
    if (outages.present() === outage && turn.lostMs > maxWaitMs) throw outage.error;
  }
  if (outages.present() === undefined) turn.notice(undefined);
  outages.lead(turn);
}

function reasonOf({ kind }: ModelError): string {
  if (kind === "away") return "its server is away or busy";
  if (kind === "refused") return "its server refuses the key";
  if (kind === "unknown-model") return "its server does not serve it";
  return kind === "stalled" ? "its server did not answer in time" : "its server failed";
}

/** Tells each change once. */
export function createNotice(onWaiting: OnWaiting | undefined): OnWaiting {
  let told: string | undefined;
  return (reason) => {
    if (reason === told) return;
    told = reason;
    onWaiting?.(reason);
  };
}

async function orAborted(done: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    await Promise.race([done, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
