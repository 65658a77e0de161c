import { randomUUID } from "node:crypto";
import { z } from "zod";
import { discover } from "../../../worker/agent/discover.ts";
import type { Served, Sources } from "../../../worker/agent/discover.ts";
import { createFetch, createGet } from "../../../worker/agent/http.ts";
import { toModelError } from "../../../worker/agent/refusal.ts";
import type { Config } from "../../config.ts";
import { type Finding, type Seen, bad, ok, warn } from "./finding.ts";
import { unanswered } from "./model-calls.ts";
import type { Facts } from "./model-calls.ts";
import { examineLarge } from "./model-large.ts";
import { examineMetrics } from "./model-metrics.ts";
import { shortProbes } from "./model-probes.ts";
import type { Probe } from "./model-probes.ts";
import { servers } from "./model-servers.ts";
import type { Server } from "./model-servers.ts";
import { createWire } from "./model-wire.ts";
import type { Answer, Wire } from "./model-wire.ts";

export interface ProbeLimits {
  /** For a short question and for a page. */
  shortMs: number;
  /** For one that fills the context. */
  longMs: number;
}

const defaultLimits: ProbeLimits = { shortMs: 90_000, longMs: 300_000 };
const samples = 3;
/** Below it not even the instructions, the tools and one file fit. */
const leastContext = 8192;
const goodContext = 65_536;
const versionPage = z.object({ version: z.string() });

/**
 * Asks a live model server what a run would ask it, and gives each finding as soon as it is there. A bad one means that
 * the server can't drive an agent. At most the limit for each question, three times that for one that is asked again.
 */
export async function* examineModel(
  model: Config["model"],
  limits: ProbeLimits = defaultLimits,
): AsyncGenerator<Finding> {
  const { baseUrl, apiKey } = model;
  const fetch = createFetch();
  const beside = createGet(fetch, baseUrl.replace(/\/v1\/?$/, ""), apiKey);
  const found = await lookUp({ api: createGet(fetch, baseUrl, apiKey), beside }, model, limits.shortMs);
  if (typeof found === "string") return yield { part: "model", level: "bad", saw: found };

  const server = servers[found.server];
  const version = versionPage.safeParse(await beside("/version", AbortSignal.timeout(limits.shortMs)).catch(() => ""));
  const by = found.server === "generic" ? "" : `, by ${server.name} ${version.data?.version ?? ""}`.trimEnd();
  yield { part: "model", ...judgeName(model.name, found.name, `${baseUrl} serves ${found.name}${by}`) };
  yield { part: "context", ...judgeContext(found.contextTokens, server) };
  const metrics = await examineMetrics(beside, server, limits.shortMs);
  yield { part: "metrics", ...metrics.seen };

  const facts = { server, speculative: metrics.speculative };
  const wire = createWire({ fetch, baseUrl, apiKey, model: found.name, session: `doctor-${randomUUID()}` });
  for (const probe of shortProbes) {
    const { seen, last } = await run(probe, wire, facts, limits.shortMs);
    yield { part: probe.part, ...seen };
    // Who does not answer the simplest question, or refuses tools, does so with the next one as well.
    if (last !== "answer" && probe.tools === undefined) return undefined;
    if (last === "refused") break;
  }
  return yield* examineLarge(wire, { ...facts, contextTokens: found.contextTokens }, limits.longMs);
}

/** What is served, or why it is not known. */
async function lookUp(sources: Sources, model: Config["model"], limitMs: number): Promise<Served | string> {
  const { baseUrl, contextTokens } = model;
  const signal = AbortSignal.timeout(limitMs);
  // Infinite where neither the server nor the operator tells it.
  const wanted = { ...model, contextTokens: contextTokens ?? Number.POSITIVE_INFINITY };
  return discover(sources, wanted, signal).catch((error: unknown) =>
    signal.aborted
      ? `${baseUrl} did not answer in time. Start the model server, or set MODEL_BASE_URL to its address`
      : toModelError(error, { baseUrl, signal, late: false }).message,
  );
}

/** An answer that is not good is asked for again: the model draws another one each time. */
async function run(
  probe: Probe,
  wire: Wire,
  facts: Facts,
  limitMs: number,
): Promise<{ seen: Seen; last: Answer["kind"] }> {
  const { prompt, tools, maxTokens } = probe;
  const faults: Seen[] = [];
  while (faults.length < samples) {
    const answer = await wire.ask({ prompt, tools, maxTokens, limitMs });
    if (answer.kind !== "answer") return { seen: unanswered(answer, facts), last: answer.kind };
    const seen = probe.judge(answer, facts);
    const [fault] = faults;
    if (seen.level === "ok")
      return {
        seen: fault === undefined ? seen : { ...fault, level: "warn", saw: `now and then, ${fault.saw}` },
        last: "answer",
      };
    faults.push(seen);
  }
  const [worst] = faults.toSorted((one, other) => Number(other.level === "bad") - Number(one.level === "bad"));
  return { seen: worst ?? ok("nothing was asked"), last: "answer" };
}

function judgeName(wanted: string | undefined, name: string, saw: string): Seen {
  if (wanted === undefined || wanted === name) return ok(saw);
  return warn(`${saw}; MODEL_NAME is ${wanted}, and a run takes what is served`, `Set MODEL_NAME to ${name}`);
}

function judgeContext(tokens: number, server: Server): Seen {
  if (tokens === Number.POSITIVE_INFINITY)
    return warn(
      "the server does not tell how long a conversation may be, so a run takes 32768 tokens",
      `${server.context}. Set MODEL_CONTEXT to what it has`,
    );
  const saw = `a conversation may have ${tokens} tokens`;
  if (tokens >= goodContext) return ok(saw);
  if (tokens < leastContext) return bad(`${saw}: too few for the instructions, the tools and one file`, server.context);
  return warn(`${saw}: a long run has to be summed up every few steps`, server.context);
}
