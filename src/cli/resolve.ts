import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import type { Passed } from "../../worker/attempt.ts";
import { commitOf } from "../../worker/checkout.ts";
import { deliver, deliveredOutcome } from "../../worker/deliver.ts";
import { git } from "../../sandbox/git.ts";
import { issueMessages } from "../../worker/prompts/messages.ts";
import { commitMessage } from "../../worker/publish.ts";
import { issueBranch } from "../branches.ts";
import { readPatch } from "../../worker/rebuild.ts";
import type { Outcome, Tools } from "../../worker/run.ts";
import { settingsAt, solve } from "../../worker/solve.ts";
import { readConfig } from "../config.ts";
import { ConfigError, messageOf } from "../errors.ts";
import { snapshotHash } from "../job.ts";
import type { RunJob } from "../job.ts";
import { holdRun, openRunLog } from "../runlog.ts";
import type { RunLog } from "../runlog.ts";
import type { Settings } from "../settings.ts";
import { composeTools, requireRuntime } from "./compose.ts";
import { createProgress, teeRunLog } from "./progress.ts";
import { findSubject } from "./subject.ts";
import type { Subject, SubjectOptions } from "./subject.ts";

interface Options extends SubjectOptions {
  json?: boolean;
}

export function resolveCommand(): Command {
  return new Command("resolve")
    .argument("[issue-url]", "an issue on the code host; needs GITHUB_TOKEN")
    .description("One run in the terminal, without app, webhook or Redis")
    .option("--repo <dir>", "a local repository; its committed HEAD is what is worked on")
    .option("--issue <file>", "the issue as a Markdown file: the first line is the title")
    .option("--out <file>", "write the patch to this file")
    .option("--branch <name>", "create this branch in the local repository")
    .option("--publish", "open the pull request (issue URL only)")
    .option("--json", "one JSON object per event")
    .action(async (url: string | undefined, options: Options) => {
      const config = readConfig();
      const subject = await findSubject(url, options, config);
      const tools = await composeTools(config);
      await requireRuntime(tools, config);
      const runId = randomBytes(10).toString("hex");
      const log = teeRunLog(openRunLog(config.dataDir, runId), createProgress(options.json === true));
      // A worker that shares DATA_DIR takes what no queue knows for left-overs.
      using _held = holdRun(log.dir);
      const interrupt = new AbortController();
      for (const name of ["SIGINT", "SIGTERM"] as const)
        process.once(name, () => interrupt.abort(new Error("interrupted")));
      try {
        const task = { subject, tools, log, runId, signal: interrupt.signal, options };
        const outcome = await runSubject(task).catch(async (error: unknown): Promise<Outcome> => {
          if (interrupt.signal.aborted) return { ...nothing, outcome: "cancelled", cause: "interrupted" };
          await log.append({ type: "finished", ...nothing, outcome: "gave-up", cause: messageOf(error) });
          throw error;
        });
        await log.append({ type: "finished", ...outcome });
        if (options.json !== true && outcome.detail !== "") console.log(`\n${outcome.detail}`);
        process.exitCode = outcome.outcome === "published" ? 0 : 1;
      } finally {
        log.close();
      }
    });
}

const nothing = { detail: "", pull: undefined };

interface Task {
  subject: Subject;
  tools: Tools;
  log: RunLog;
  runId: string;
  signal: AbortSignal;
  options: Options;
}

async function runSubject({ subject, tools, log, runId, signal, options }: Task): Promise<Outcome> {
  const { text, forge, branch } = subject;
  const repo = forge?.repo ?? { id: 0, owner: "local", name: subject.name, installationId: 0 };
  const job = {
    runId,
    repo,
    subject: { kind: "issue" as const, number: subject.number ?? 0 },
    actor: { id: 0, login: "you" },
    trigger: "resolve",
  };
  await log.append({ type: "claimed", epoch: 1, job });
  await log.append({ type: "snapshot", hash: snapshotHash(text), title: text.title, body: text.body });
  const mirror = await tools.mirrors.fetch({ ...subject.source, env: tools.gitEnv }, signal);
  const trusted = await commitOf(mirror, branch);
  if (trusted === undefined)
    throw new ConfigError(`${subject.name} has no commit on \`${branch}\` yet, so there is nothing to work on.`);
  const settings = await settingsAt(mirror, trusted);
  const base = settings.base === undefined ? trusted : await commitOf(mirror, settings.base);
  if (base === undefined)
    throw new ConfigError(`${subject.name} has no branch \`${settings.base}\`, which its settings name as \`base\`.`);
  const result = await solve(
    {
      runId,
      kind: "issue",
      log,
      signal,
      mirror,
      trusted,
      base,
      branch,
      progress: () => {},
      repo: subject.name,
      messages: (context) => issueMessages({ ...text, ...context }),
    },
    tools,
  );
  if (!result.ok) return result.outcome;
  return deliverSubject(
    { subject, log, runId, signal, options },
    { base, trusted, mirror, settings, job, passed: result.passed },
  );
}

interface Delivery {
  base: string;
  trusted: string;
  mirror: string;
  settings: Settings;
  job: RunJob;
  passed: Passed;
}

async function deliverSubject(
  { subject, log, runId, signal, options }: Omit<Task, "tools">,
  done: Delivery,
): Promise<Outcome> {
  const { base, trusted, mirror, settings, job, passed } = done;
  const repository = join(log.dir, "repo.git");
  const patch = await readPatch(repository, base, passed.commit);
  if (options.out !== undefined) await writeFile(options.out, patch);
  if (options.branch !== undefined && subject.localDir !== undefined)
    await createLocalBranch(subject.localDir, repository, { name: options.branch, passed, runId });
  const { forge, branch } = subject;
  if (options.publish !== true || forge === undefined) {
    const where = [options.out, options.branch].filter((one) => one !== undefined).join(", ");
    return {
      outcome: "published",
      cause: undefined,
      detail: where === "" ? patch : `The change is in ${where}.`,
      pull: undefined,
    };
  }
  const facts = await forge.repository();
  const number = subject.number ?? 0;
  const pull = { into: settings.base ?? branch, closes: subject.number, footer: "Made with `agent-fix resolve`." };
  const delivered = await deliver(
    { job, log, signal, guard: async () => {} },
    { writer: forge, checks: forge },
    passed,
    { source: { mirror, trusted, settings, facts }, base, to: { name: issueBranch(number), pull } },
  );
  return deliveredOutcome(delivered, "Run it again, and it starts from where it stands then.");
}

// The person's own repository receives objects and one ref; its work tree is not touched.
async function createLocalBranch(
  dir: string,
  repository: string,
  { name, passed, runId }: { name: string; passed: Passed; runId: string },
): Promise<void> {
  const message = commitMessage({ title: passed.submission.title, why: passed.submission.cause, runId, held: false });
  const parent = (await git(["rev-parse", `${passed.commit}^`], { gitDir: repository })).toString().trim();
  const env = {
    GIT_AUTHOR_NAME: "agent-fix",
    GIT_AUTHOR_EMAIL: "agent-fix@localhost",
    GIT_COMMITTER_NAME: "agent-fix",
    GIT_COMMITTER_EMAIL: "agent-fix@localhost",
  };
  const commit = (await git(["commit-tree", passed.tree, "-p", parent, "-m", message], { gitDir: repository, env }))
    .toString()
    .trim();
  await git(["update-ref", `refs/heads/${name}`, commit], { gitDir: repository });
  await git(["fetch", "--quiet", "--no-tags", repository, `refs/heads/${name}:refs/heads/${name}`], {
    gitDir: join(dir, ".git"),
  });
}
