import type { Asking } from "./availability.ts";
import { createNotice } from "./availability.ts";
import type { GetJson } from "./http.ts";
import type { Delay } from "./retry.ts";

/** Lets new runs start only while the server has room for them; those at work always go on. */
export interface Admission {
  admit(session: string | undefined, asking: Asking): Promise<void>;
}

export interface AdmissionPolicy {
  /** Longest time that a run is held back. */
  maxWaitMs: number;
  delay: Delay;
  random: () => number;
}

const everyMs = 5000;
const patienceMs = 2000;
const fullCache = 0.9;
/** Of the runs that were let in, the last so many are known. */
const mostKnown = 1000;

/** Back-pressure by vLLM's `/metrics`: a page or a number that is not there holds nobody back. */
export function createAdmission(get: GetJson, { maxWaitMs, delay, random }: AdmissionPolicy): Admission {
  const admitted = new Set<string>();

  async function isFull(signal: AbortSignal): Promise<boolean> {
    const timeout = AbortSignal.timeout(patienceMs);
    const page = await get("/metrics", AbortSignal.any([signal, timeout])).catch(() => undefined);
    signal.throwIfAborted();
    return typeof page === "string" && isSaturated(page);
  }

  return {
    async admit(session, { signal, onWaiting }) {
      if (session === undefined) return;
      // Put last, so that those that are forgotten are not at work.
      if (admitted.delete(session)) return void admitted.add(session);
      const notice = createNotice(onWaiting);
      for (let waitedMs = 0; waitedMs < maxWaitMs && (await isFull(signal)); ) {
        notice("its server is full");
        // Spread, so that the runs that wait don't all find the same room.
        const ms = everyMs * (0.5 + random());
        await delay(ms, signal);
        waitedMs += ms;
      }
      notice(undefined);
      admitted.add(session);
      const [oldest] = admitted;
      if (admitted.size > mostKnown && oldest !== undefined) admitted.delete(oldest);
    },
  };
}

function isSaturated(page: string): boolean {
  const waiting = samples(page, "vllm:num_requests_waiting");
  const cache = samples(page, "vllm:(?:kv|gpu)_cache_usage_perc");
  return Math.max(...waiting) > 0 || Math.max(...cache) >= fullCache;
}

/** The values of a metric, one for each engine. */
function samples(page: string, name: string): number[] {
  const lines = page.matchAll(new RegExp(`^${name}(?:\\{[^}\\n]*\\})?\\s+([^\\s]+)`, "gm"));
  return [...lines].map(([, value]) => Number(value)).filter((value) => !Number.isNaN(value));
}
