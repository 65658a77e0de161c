import type { GetJson } from "../../../worker/agent/http.ts";
import { type Seen, ok, warn } from "./finding.ts";
import type { Server } from "./model-servers.ts";

/** What the server's numbers say; `speculative`: it guesses tokens ahead, which damages calls. */
export async function examineMetrics(
  beside: GetJson,
  server: Server,
  limitMs: number,
): Promise<{ seen: Seen; speculative: boolean }> {
  const page = await beside("/metrics", AbortSignal.timeout(limitMs)).catch(() => undefined);
  const numbers = parseMetrics(typeof page === "string" ? page : "");
  const speculative = [...numbers.keys()].some((name) => name.startsWith("vllm:spec_decode_"));
  return { seen: judge(numbers, server, speculative), speculative };
}

/** The greatest value of each name, over its labels. */
function parseMetrics(page: string): Map<string, number> {
  const numbers = new Map<string, number>();
  for (const [, name = "", value = ""] of page.matchAll(/^(\w+:\w+)(?:\{[^\n]*\})? (\S+)/gm))
    numbers.set(name, Math.max(Number(value), numbers.get(name) ?? 0));
  return numbers;
}

function judge(numbers: ReadonlyMap<string, number>, server: Server, speculative: boolean): Seen {
  if (speculative)
    return warn(
      "vllm:spec_decode_* is there, so the server guesses tokens ahead: calls come back damaged, more of them over time",
      "Start vLLM without `--speculative-config`",
    );
  if (numbers.size === 0) {
    const saw = "no page with metrics: new runs start without a look at how busy the server is";
    return server.metrics === undefined ? ok(saw) : warn(saw, server.metrics);
  }
  const waiting = numbers.get("vllm:num_requests_waiting");
  const full = numbers.get("vllm:kv_cache_usage_perc") ?? numbers.get("vllm:gpu_cache_usage_perc");
  const load = [
    ...(waiting === undefined ? [] : [`${waiting} requests wait`]),
    ...(full === undefined ? [] : [`the memory for conversations is ${Math.round(full * 100)} % full`]),
  ].join(", ");
  if ((waiting ?? 0) > 0 || (full ?? 0) > 0.9)
    return warn(`${load}: the server is busy, and no new run starts now`, "Lower WORKER_CONCURRENCY, or add a GPU");
  return ok(load === "" ? `${numbers.size} numbers` : load);
}
