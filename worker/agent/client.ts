import { randomUUID } from "node:crypto";
import type { Log } from "../../src/log.ts";
import { createAdmission } from "./admission.ts";
import type { Answer, Ids } from "./answer.ts";
import { createAvailability } from "./availability.ts";
import type { Served, Sources, Wanted } from "./discover.ts";
import type { ModelLimits } from "./limits.ts";
import { createMeasures } from "./measures.ts";
import type { Measures, Plan } from "./measures.ts";
import { ModelError } from "./model.ts";
import type { Message, ModelClient, ModelRequest, Reply } from "./model.ts";
import { toReply } from "./reply.ts";
import type { Delay, RetryPolicy } from "./retry.ts";
import { createWireTools } from "./schema.ts";
import type { WireTool } from "./schema.ts";
import { createServing } from "./serving.ts";
import type { Asked } from "./serving.ts";
import { createCount } from "./tokenize.ts";
import type { Count } from "./tokenize.ts";
import { createWatch } from "./watch.ts";
import type { Watch } from "./watch.ts";
import { createEncode, toHeaders } from "./wire.ts";

/** A model server; every failure is a `ModelError`, or `signal.reason` when aborted. */
export interface Connection extends Sources {
  /** One complete answer. */
  stream(request: Streaming): Promise<Answer>;
}

export interface Streaming {
  /** JSON. */
  body: Uint8Array;
  /** Those in the body. */
  tools: readonly WireTool[];
  ids: Ids;
  headers: Record<string, string>;
  signal: AbortSignal;
  watch: Watch;
  /** Called when the server has taken the request. */
  reached: () => void;
  /** Called with the text so far when the signal has cut the answer off. */
  onCut: (text: string) => void;
}

export interface ClientParts {
  log: Log | undefined;
  limits: ModelLimits;
  delay: Delay;
  random: () => number;
}

const shortenedText =
  "the model server has less room for the conversation than it said: set MODEL_CONTEXT to its context size";

/** Drives a server through its failures; all runs of a process share one. */
export function createClient(server: Connection, wanted: Wanted, parts: ClientParts): ModelClient {
  const { log, limits, delay, random } = parts;
  let hasAnswered = false;
  const availability = createAvailability(policyOf(parts, () => hasAnswered));
  const admission = createAdmission(server.beside, { maxWaitMs: limits.maxHeldMs, delay, random });
  const serving = createServing(server, wanted);
  const wireTools = createWireTools(wanted.strict);
  const encode = createEncode();
  const measures = createMeasures(limits);
  const count = createCount(server.beside);

  async function attempt(request: ModelRequest, asked: Asked, reached: () => void): Promise<Reply> {
    const { messages, signal, session } = request;
    const waitedMs = Math.round(performance.now() - asked.began);
    const model = await serving.known(signal);
    const tools = wireTools(request.tools);
    const plan = await planFor({ messages, tools, signal }, model, { measures, count, shorter: asked.shorter });
    asked.sent = plan;
    asked.attempts++;

    const requestId = randomUUID();
    const watch = createWatch(plan.patience);
    const body = encode({ model: model.name, messages, tools, maxTokens: plan.maxTokens }, serving.extensions);
    const headers = toHeaders(requestId, session);
    const ids = idsFor(messages);
    const onCut = request.onCut ?? (() => {});
    const answer = await server.stream({ body, tools, ids, headers, signal, watch, reached, onCut });
    hasAnswered = true;
    const times = watch.times();
    if (answer.usage !== undefined) measures.learn(messages, plan, answer.usage, times);
    const reply = toReply(answer, { model, plan, waitedMs, requestId, attempts: asked.attempts, ...times });
    if (reply.shortened === true)
      log?.warn({ sent: plan.promptTokens, taken: reply.usage.promptTokens }, shortenedText);
    return reply;
  }

  async function ask(request: ModelRequest, asked: Asked, reached: () => void): Promise<Reply> {
    for (;;) {
      try {
        return await attempt(request, asked, reached);
      } catch (error) {
        if (!(error instanceof ModelError) || !serving.corrects(error, asked)) throw error;
        log?.warn({ error: error.message }, "the model server is asked otherwise");
      }
    }
  }

  return {
    describe: (signal, onWaiting) => availability.ask({ signal, onWaiting }, () => serving.known(signal)),
    async reply(request) {
      const began = performance.now();
      const asked: Asked = { began, attempts: 0, sent: undefined, shorter: undefined, corrected: new Set() };
      await admission.admit(request.session, request);
      return availability.ask(request, (reached) => ask(request, asked, reached));
    },
  };
}

function policyOf({ log, limits, delay, random }: ClientParts, hasAnswered: () => boolean): RetryPolicy {
  return {
    attempts: limits.attempts,
    get maxWaitMs() {
      return hasAnswered() ? limits.maxAwayMs : limits.maxWaitMs;
    },
    get refusals() {
      return hasAnswered() ? limits.refusals : 0;
    },
    delay,
    random,
    onWait: (error, ms) => log?.warn({ error: error.message, ms: Math.round(ms) }, "the model server is asked again"),
  };
}

/**
 * Where a conversation that no server has counted takes a good part of the window, it is counted: an estimate would cost
 * room there.
 */
async function planFor(
  { messages, tools, signal }: { messages: readonly Message[]; tools: readonly WireTool[]; signal: AbortSignal },
  model: Served,
  { measures, count, shorter }: { measures: Measures; count: Count; shorter: number | undefined },
): Promise<Plan> {
  const plan = measures.plan({ messages, tools }, model, shorter);
  if (plan.countedTokens > 0 || plan.promptTokens < model.contextTokens / 4) return plan;
  const tokens = await count({ model: model.name, messages, tools }, model.server, signal);
  if (tokens === undefined) return plan;
  measures.counted(messages, tokens);
  return measures.plan({ messages, tools }, model, shorter);
}

/** The same for the same conversation, and new in it, also after it was shortened. */
function idsFor(messages: readonly Message[]): Ids {
  const taken = new Set(
    messages.flatMap((message) => (message.role === "assistant" ? message.calls.map(({ id }) => id) : [])),
  );
  for (let number = messages.length; ; number++) {
    const prefix = `call_${number}`;
    if (![...taken].some((id) => id.startsWith(`${prefix}_`))) return { prefix, taken };
  }
}
