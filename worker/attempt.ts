import { randomUUID } from "node:crypto";
import type { CheckSummary, RunLog, Submission } from "../src/runlog.ts";
import type { Settings } from "../src/settings.ts";
import { inlineText } from "../src/text.ts";
import { readChanges, diffText } from "../sandbox/changes.ts";
import type { Changes } from "../sandbox/changes.ts";
import { copyWorkspace, repoDir, sealSetup } from "../sandbox/workspace.ts";
import type { Sources, Workspace } from "../sandbox/workspace.ts";
import { runAgent } from "./agent/loop.ts";
import type { AgentEnd } from "./agent/loop.ts";
import { ModelError } from "./agent/model.ts";
import type { Message } from "./agent/model.ts";
import { assertKept, sandboxLimits } from "./environment.ts";
import type { Prepared } from "./environment.ts";
import { judge, runLeg, verdictReason } from "./gate.ts";
import { gateFailedMessage } from "./prompts/messages.ts";
import { rebuildCommit } from "./rebuild.ts";
import type { Outcome, Tools } from "./run.ts";
import { createTools } from "./tools/tools.ts";
import type { TaskKind } from "./tools/tools.ts";

/** How often a rejected change goes back to the agent. */
const mostReturns = 3;
const prepareLimitMs = 20 * 60_000;
const changeLimits = { maxFiles: 1000, maxBytes: 32 * 2 ** 20 };

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
  const { prepared, log, signal, runId, messages } = task;
  const model = await servedModel(tools, signal);
  if (model instanceof ModelError) return { ok: false, outcome: endingOutcome({ end: "model-failed", error: model }) };
  const owner = { run: runId, sources: task.sources };
  await using workspace = await copyWorkspace(tools.engine, prepared.workspace, owner, signal);
  const spec = {
    image: prepared.image,
    labels: { run: runId, role: "agent" },
    mounts: workspace.mounts,
    cwd: repoDir,
    limits: sandboxLimits,
  };
  await prepareWorkspace(workspace, task, tools);
  await using sandbox = await tools.engine.startSandbox(spec, signal);
  const agentTools = createTools({
    sandbox,
    root: repoDir,
    kind: task.kind,
    diff: async (abort) => (await diffText(tools.engine, workspace, 20_000, abort)).text,
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

    await sandbox.freeze();
    task.progress("checking the result");
    const judged = await judgeChange(task, tools, { workspace, round, submission: end.submission });
    if (judged.kind !== "rejected") return judged.result;
    if (round >= mostReturns) return { ok: false, outcome: rejected(judged.reason, judged.output) };
    messages.push(
      gateFailedMessage({
        reason: judged.reason,
        output: judged.output,
        left: mostReturns - round,
        nonce: createNonce(),
      }),
    );
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

/** Runs `prepare` as the gate's legs do. What it makes is no change of the agent's; that it fails is what the checks show. */
async function prepareWorkspace(workspace: Workspace, task: AttemptTask, tools: Tools): Promise<void> {
  const { image, environment } = task.prepared;
  if (environment.prepare.length === 0) return;
  const spec = {
    image,
    command: ["/bin/sh", "-ec", environment.prepare.join("\n")],
    labels: { run: task.runId, role: "prepare" },
    mounts: workspace.mounts,
    cwd: repoDir,
    limits: sandboxLimits,
    timeoutMs: prepareLimitMs,
    maxStdoutBytes: 64_000,
  };
  const result = await tools.engine.runOnce(spec, task.signal);
  task.signal.throwIfAborted();
  assertKept(result, "`prepare`");
  await sealSetup(tools.engine, workspace, task.signal);
}

type Judged = { kind: "done"; result: AttemptResult } | { kind: "rejected"; reason: string; output: string };

async function judgeChange(
  task: AttemptTask,
  tools: Tools,
  { workspace, round, submission }: { workspace: Workspace; round: number; submission: Submission },
): Promise<Judged> {
  const { log, signal, prepared, runId, sources, base } = task;
  const changes: Changes = await readChanges(tools.engine, workspace, changeLimits, signal);
  if (changes.kind === "refused")
    return { kind: "rejected", reason: "the change cannot be taken over", output: changes.reasons.join("\n") };
  if (changes.changes.length === 0) return { kind: "done", result: { ok: false, outcome: noChange(submission) } };

  const built = await rebuildCommit(task.repository, base, changes.changes, signal);
  const { prepare, checks } = prepared.environment;
  const legSources = { ...sources, extraObjects: [...(sources.extraObjects ?? []), `${task.repository}/objects`] };
  const leg = {
    runId,
    leg: "head" as const,
    commit: built.commit,
    prepared: prepared.workspace,
    sources: legSources,
    image: prepared.image,
    prepare,
    checks,
    signal,
  };
  const head = await runLeg(tools.engine, leg);
  await log.append({ type: "checks", leg: "head", results: head });

  const verdict = judge(task.baseline, head);
  const reason = verdictReason(verdict);
  const passed: Passed = { ...built, submission, checks: { base: task.baseline, head } };
  await log.append({ type: "gate", round, passed: verdict.passed, reason, ...passed });
  if (verdict.passed) return { kind: "done", result: { ok: true, passed } };
  const failing = head.filter((check) => !check.passed && check.required);
  return { kind: "rejected", reason, output: failing.map((check) => `$ ${check.run}\n${check.tail}`).join("\n\n") };
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

function noChange(submission: Submission): Outcome {
  return {
    outcome: "no-change",
    cause: undefined,
    detail: `${submission.cause}\n\n${submission.change}`,
    pull: undefined,
  };
}

/** The run ended without a change that passes. */
export function gaveUp(cause: string, detail: string): Outcome {
  return { outcome: "gave-up", cause, detail, pull: undefined };
}
