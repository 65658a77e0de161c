import { randomUUID } from "node:crypto";
import type { CheckSummary, RunLog, Submission } from "../src/runlog.ts";
import type { Settings } from "../src/settings.ts";
import { inlineText } from "../src/text.ts";
import { repoDir } from "../sandbox/workspace.ts";
import type { Sources } from "../sandbox/workspace.ts";
import { runAgent } from "./agent/loop.ts";
import type { AgentEnd } from "./agent/loop.ts";
import { ModelError } from "./agent/model.ts";
import type { Message } from "./agent/model.ts";
import type { Prepared } from "./environment.ts";
import { judgeChange, renderDiff } from "./judge.ts";
import { gaveUp } from "./outcome.ts";
import { gateFailedMessage } from "./prompts/messages.ts";
import type { Outcome, Tools } from "./run.ts";
import { openWorkplace } from "./workplace.ts";
import { createTools } from "./tools/tools.ts";
import type { TaskKind } from "./tools/tools.ts";

/** How often a rejected change goes back to the agent. */
const mostReturns = 3;

export interface AttemptTask {
  runId: string;
  kind: TaskKind;
  log: RunLog;
  signal: AbortSignal;
  settings: Settings;
  base: string;
  sources: Sources;
  /** Our own bare repository, in which the change becomes a commit. */
  repository: string;
  prepared: Prepared;
  baseline: CheckSummary[];
  messages: Message[];
  progress: (line: string) => void;
}
/** A change that passed the gate: what publishing needs, also after a crash. */
export interface Passed {
  commit: string;
  tree: string;
  submission: Submission;
  checks: { base: CheckSummary[]; head: CheckSummary[] };
}
export type AttemptResult = { ok: true; passed: Passed } | { ok: false; outcome: Outcome };

/** Lets the agent work and the gate judge, at most 1 + 3 times in the same conversation. */
export async function attempt(task: AttemptTask, tools: Tools): Promise<AttemptResult> {
  const { log, signal, messages } = task;
  const model = await servedModel(tools, signal);
  if (model instanceof ModelError) return { ok: false, outcome: endingOutcome({ end: "model-failed", error: model }) };
  // What a change installs stands below the agent's tree from the next round on, so it goes after that.
  await using installed = new AsyncDisposableStack();
  await using place = await openWorkplace({ ...task, engine: tools.engine, egress: tools.egress });
  const agentTools = createTools({
    sandbox: place.sandbox,
    root: repoDir,
    kind: task.kind,
    diff: (abort) => renderDiff(task, place, abort),
    onPlan: (items) => log.append({ type: "plan", items }),
  });
  const budget = createBudget(task.settings.limits);

  for (let round = 0; ; round++) {
    await log.append({ type: "attempt", round, model });
    const end = await budget.spend(() =>
      runAgent({
        model: tools.model,
        tools: agentTools,
        messages,
        limits: budget.left(),
        signal,
        record: async (event) => {
          budget.count(event);
          if (event.type === "tool.intent") task.progress(`step ${budget.steps}: ${event.name} ${event.summary}`);
          await log.append(event);
        },
      }),
    );
    signal.throwIfAborted();
    await log.append({ type: "agent.end", end: end.end });
    if (end.end !== "submitted") return { ok: false, outcome: endingOutcome(end) };

    await place.sandbox.freeze();
    task.progress("checking the result");
    const judged = await judgeChange(task, tools, { place, installed, round, submission: end.submission });
    if (judged.kind !== "rejected") return judged.result;
    const { reason, output, next } = judged;
    if (round >= mostReturns) return { ok: false, outcome: rejected(reason, output) };
    if (next !== undefined) await place.moveTo(next);
    const left = mostReturns - round;
    messages.push(gateFailedMessage({ reason, output, left, moved: next !== undefined, nonce: createNonce() }));
  }
}

/** The name goes into the log before the work: publishing, maybe on a later try, does not need the server. */
async function servedModel({ model }: Tools, signal: AbortSignal): Promise<string | ModelError> {
  return model.describe(signal).then(
    ({ name }) => name,
    (error: unknown) => {
      if (error instanceof ModelError) return error;
      throw error;
    },
  );
}

/** Limits count over all rounds of an attempt; the gate's own time costs the agent nothing. */
function createBudget(limits: Settings["limits"]) {
  let spentMs = 0;
  let steps = 0;
  let tokens = 0;
  return {
    get steps() {
      return steps;
    },
    count(event: { type: string; usage?: { promptTokens: number; completionTokens: number } }) {
      if (event.type === "model.intent") steps++;
      if (event.usage !== undefined) tokens += event.usage.promptTokens + event.usage.completionTokens;
    },
    /** What `work` takes counts against the minutes. */
    async spend<T>(work: () => Promise<T>): Promise<T> {
      const started = performance.now();
      try {
        return await work();
      } finally {
        spentMs += performance.now() - started;
      }
    },
    left: () => ({
      steps: Math.max(0, limits.steps - steps),
      tokens: Math.max(0, limits.tokens - tokens),
      minutes: Math.max(0, limits.minutes - spentMs / 60_000),
    }),
  };
}

/** A nonce that untrusted text cannot guess, for the delimiters around it. */
export function createNonce(): string {
  return randomUUID().slice(0, 8);
}

function endingOutcome(end: Exclude<AgentEnd, { end: "submitted" }>): Outcome {
  switch (end.end) {
    case "asked":
      return {
        outcome: "needs-input",
        cause: "question",
        detail: `${inlineText(end.question)}\n\nWithout an answer I would: ${inlineText(end.fallback)}`,
        pull: undefined,
      };
    case "out-of-steps":
      return gaveUp("out of steps", "I reached the limit of steps before the change was ready.");
    case "out-of-tokens":
      return gaveUp("out of tokens", "I reached the limit of tokens before the change was ready.");
    case "out-of-time":
      return gaveUp("out of time", "I reached the limit of minutes before the change was ready.");
    case "no-answer":
      return gaveUp("no answer", "The model stopped answering with tool calls.");
    case "cancelled":
      return { outcome: "cancelled", cause: undefined, detail: "", pull: undefined };
    case "model-failed":
      return gaveUp(`model ${end.error.kind}`, end.error.message);
  }
}

function rejected(reason: string, output: string): Outcome {
  return gaveUp(
    "gate rejected",
    `${reason}.\n\n<details><summary>Last output</summary>\n\n\`\`\`\n${output.slice(-6000).replaceAll("```", "'''")}\n\`\`\`\n\n</details>`,
  );
}
