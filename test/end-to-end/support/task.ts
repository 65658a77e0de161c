import { join } from "node:path";
import type { Engine } from "../../../sandbox/engine.ts";
import { createKeptTrees } from "../../../sandbox/kept.ts";
import { createRedact } from "../../../src/redact.ts";
import { openRunLog } from "../../../src/runlog.ts";
import type { RunLog } from "../../../src/runlog.ts";
import { parseSettings } from "../../../src/settings.ts";
import type { ModelClient, Reply } from "../../../worker/agent/model.ts";
import type { AttemptResult } from "../../../worker/attempt.ts";
import { renderPullBody } from "../../../worker/body.ts";
import { createMirrors, readCommit } from "../../../worker/checkout.ts";
import { createLedger } from "../../../worker/ledger.ts";
import { noteAsked } from "../../../worker/maintenance/flaky.ts";
import { nothingLeftOut } from "../../../worker/maintenance/turns.ts";
import type { LeftOut } from "../../../worker/maintenance/turns.ts";
import { taskWork } from "../../../worker/maintenance/task.ts";
import type { Tools } from "../../../worker/run.ts";
import { solve } from "../../../worker/solve.ts";
import { image, testRepository } from "../../sandbox/support.ts";

const never = new AbortController().signal;

export type Turn = { name: string; arguments: object };
export const bash = (command: string): Turn => ({ name: "bash", arguments: { command } });
export const submit: Turn = { name: "submit", arguments: { title: "Mend it", cause: "It broke.", change: "- mended" } };

/** Answers with these tool calls, one a turn, and keeps what it was told; without turns left it fails the test. */
function scriptedModel(turns: readonly Turn[]): ModelClient & { told: string[] } {
  const told: string[] = [];
  let turn = 0;
  const usage = { promptTokens: 1, completionTokens: 1, cachedTokens: 0 };
  return {
    told,
    describe: async () => ({ name: "scripted", contextTokens: 100_000 }),
    async reply({ messages }): Promise<Reply> {
      const since = messages.slice(messages.findLastIndex(({ role }) => role === "assistant") + 1);
      told.push(since.map(({ text }) => text).join("\n"));
      const next = turns[turn++];
      if (next === undefined) throw new Error(`the model had nothing more to say to this: ${told.at(-1)}`);
      const call = { id: `call-${turn}`, name: next.name, arguments: JSON.stringify(next.arguments) };
      return { text: "", calls: [call], usage, truncated: false, waitedMs: 0, finish: "stop", recovered: 0 };
    },
  };
}

export interface TaskSettings {
  /** As the settings say them. */
  checks?: string;
  setup?: string;
  /** Further keys, each with its newline. */
  settings?: string;
  /** Commits after the default branch's; the last one is worked on. */
  more?: Record<string, string>[];
  leftOut?: LeftOut;
}

export interface TaskRun {
  result: AttemptResult;
  log: RunLog;
  /** What the model was told, turn by turn. */
  told: string[];
  /** A file of the commit that passed. */
  read: (path: string) => Promise<string | undefined> | undefined;
  /** Of the pull request; throws where the run has none. */
  body: () => string;
}

/** A repository with these files and the task `it`, and the folder in which its runs keep what they keep. */
export interface TaskStage extends Disposable {
  dataDir: string;
  mirror: string;
  run(engine: Engine, options?: { turns?: readonly Turn[]; runId?: string; branch?: string }): Promise<TaskRun>;
}

export function createTaskStage(
  task: string,
  files: Record<string, string>,
  { checks = "['true']", setup = "[]", settings: keys = "", more = [], leftOut = nothingLeftOut }: TaskSettings = {},
): TaskStage {
  const settings = `${keys}setup: ${setup}\nchecks: ${checks}\nmaintenance:\n  it: {schedule: '0 5 * * 1', ${task}}\n`;
  const own = { ".github/agent-fix.yml": settings, ".gitignore": "node_modules\n" };
  const repository = testRepository({ ...own, ...files }, ...more);
  const { folder, mirror, commits } = repository;
  const parsed = parseSettings(settings);
  const asked = parsed.ok ? parsed.settings.maintenance["it"] : undefined;
  if (asked === undefined) throw new Error(JSON.stringify(parsed));
  const [trusted = ""] = commits;
  const base = commits.at(-1) ?? "";
  const owned = new DisposableStack();
  owned.use(repository);
  return {
    dataDir: folder,
    mirror,
    async run(engine, { turns = [], runId = "run-1", branch = "main" } = {}) {
      const log = openRunLog(folder, runId);
      owned.defer(() => log.close());
      const model = scriptedModel(turns);
      const tools: Tools = {
        engine,
        kept: createKeptTrees(engine, join(folder, "kept")),
        model,
        mirrors: createMirrors(folder),
        dataDir: folder,
        gitEnv: {},
        redact: createRedact([]),
        image,
        egress: { trustedHosts: ["localhost"] },
      };
      await log.append({ type: "snapshot", hash: "", title: "it", body: asked.task ?? "" });
      const names = { runId, kind: "maintenance", branch, repo: "o/r", trusted, base } as const;
      const work = taskWork({ log }, tools, { key: "it", task: asked, leftOut });
      const result = await solve({ ...names, log, signal: never, mirror, progress: () => {}, ...work }, tools);
      const ended = result.ok ? "published" : result.outcome.outcome;
      await noteAsked({ log, runId, ledger: createLedger(folder, mirror) }, ended);
      const built = result.ok ? await readCommit(join(log.dir, "repo.git"), result.passed.commit) : undefined;
      const body = () => {
        if (!result.ok) throw new Error(JSON.stringify(result.outcome));
        const facts = { closes: undefined, events: log.events, base, held: false, footer: "", took: "1 min" };
        return renderPullBody({ ...facts, passed: result.passed });
      };
      return { result, log, told: model.told, read: (path) => built?.read(path), body };
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
}
