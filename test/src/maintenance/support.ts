import { pino } from "pino";
import { taskBranch } from "../../../src/branches.ts";
import type { Forge } from "../../../src/forge.ts";
import { createGitHub } from "../../../src/github/client.ts";
import { createInbox } from "../../../src/inbox.ts";
import type { IntakeDeps } from "../../../src/intake/start.ts";
import type { RepoRef, RunJob } from "../../../src/job.ts";
import { dashboardMark } from "../../../src/triggers.ts";
import { needsLook } from "../../../src/maintenance/looked.ts";
import { renderTaskMark } from "../../../src/maintenance/mark.ts";
import { keepOutcome, newMemory } from "../../../src/maintenance/memory.ts";
import type { LastOutcome } from "../../../src/maintenance/memory.ts";
import { upkeep } from "../../../src/maintenance/upkeep.ts";
import type { Asked } from "../../../src/maintenance/upkeep.ts";
import { connectRedis, createQueues } from "../../../src/queue.ts";
import { parseSettings } from "../../../src/settings.ts";
import { addShop, shop, startTestGitHub } from "../../demo/github/support.ts";
import { startRedis } from "../../support/redis.ts";

type About = Parameters<typeof renderTaskMark>[2];

/** Ann's repository with these settings on the embedded GitHub, a Redis of its own, and a clock that the test sets. */
export async function startUpkeep(settings: string | undefined) {
  const stack = new AsyncDisposableStack();
  const github = stack.use(await startTestGitHub());
  const files = { "a.txt": "one\n", ...(settings === undefined ? {} : { ".github/agent-fix.yml": settings }) };
  const { id } = await addShop(github, { files });
  const [installationId = 0] = github.state.installations.keys();
  const repo: RepoRef = { id, owner: "ann", name: "shop", installationId };
  const redis = stack.use(await startRedis());
  const queues = createQueues(connectRedis(redis.url, "producer"));
  stack.defer(() => queues.close());
  const { privateKey, webhookSecret } = github.app;
  const host = createGitHub(
    { apiUrl: github.apiUrl, throttle: false },
    { id: github.app.id, privateKey, webhookSecret },
  );
  const clock = { now: new Date("2026-11-21T12:00:00Z") };
  github.state.now = () => `${clock.now.toISOString().slice(0, 19)}Z`;
  const deps: IntakeDeps = {
    host,
    queues,
    inbox: createInbox(queues.redis),
    log: pino({ level: "silent" }),
    now: () => clock.now,
  };
  const ann = github.as("ann");
  const forge = host.forge(repo, "publish");

  return {
    github,
    deps,
    repo,
    forge,
    ann,
    redis: queues.redis,
    /** Lets the repository be looked after, as of a time. */
    async at(time: string, asked?: Asked) {
      clock.now = new Date(time);
      return upkeep(repo, deps, asked);
    },
    /** Whether a sweep at a time would look after it. */
    async needsLook(time: string) {
      clock.now = new Date(time);
      return needsLook(repo, deps);
    },
    /** The runs that wait. */
    waiting: async () => (await queues.waiting(100)).runs,
    /** Ends every run that waits, as a worker does. */
    async work(how: Partial<LastOutcome> | "opens" = { outcome: "no-change" }, about?: About) {
      const { runs } = await queues.waiting(100);
      for (const run of runs) await end(run, how, about);
      return runs;
    },
    /** The dashboard as it stands, or undefined where there is none. */
    dashboard: () => forge.ownIssue(dashboardMark),
    async tick(box: string) {
      const board = await forge.ownIssue(dashboardMark);
      if (board === undefined) throw new Error("there is no dashboard");
      const body = board.body.replace(`- [ ] <!-- ${box} -->`, `- [x] <!-- ${box} -->`);
      await ann.rest.issues.update({ ...shop, issue_number: board.number, body });
    },
    async writeSettings(text: string) {
      await github.push(
        "ann/shop",
        { ".github/agent-fix.yml": text },
        { branch: "main", message: "Set", author: "ann" },
      );
    },
    /** A task of the first settings, of which nothing is remembered. */
    taskOf(key: string) {
      const parsed = parseSettings(settings ?? "");
      const task = parsed.ok ? parsed.settings.maintenance[key] : undefined;
      if (task === undefined) throw new Error(`there is no task ${key}`);
      return { key, task, memory: newMemory(task, clock.now) };
    },
    pulls: async () => (await ann.rest.pulls.list({ ...shop, state: "all" })).data,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };

  async function end(run: RunJob, how: Partial<LastOutcome> | "opens", about?: About): Promise<void> {
    await queues.removeWaiting(run.runId);
    if (run.subject.kind !== "task") return;
    const { key } = run.subject;
    if (how === "opens") await openPull(run, key, about);
    const outcome = how === "opens" ? { outcome: "published" as const } : { outcome: "no-change" as const, ...how };
    await keepOutcome(queues.redis, repo, key, { run: run.runId, at: clock.now.toISOString(), ...outcome });
  }

  async function openPull({ runId }: RunJob, key: string, about?: About): Promise<void> {
    const branch = await free(forge, taskBranch(key));
    const base = (await forge.branchHead("main")) ?? "";
    const files = [{ path: `${key}-${runId}`, mode: "100644" as const, bytes: Buffer.from(runId) }];
    const message = `Tidy up\n\nAgent-Fix-Run: ${runId}\n`;
    const { commit } = await forge.createCommit({ base, message, files, deleted: [] });
    await forge.ensureBranch(branch, commit, undefined);
    const text = await forge.readFile(".github/agent-fix.yml");
    const parsed = parseSettings(text ?? "");
    const task = parsed.ok ? parsed.settings.maintenance[key] : undefined;
    const body = task === undefined ? "" : renderTaskMark(key, task, about);
    await forge.ensurePull({ branch, base: "main", title: `Tidy ${key}`, body, draft: false });
  }
}

async function free(forge: Forge, name: string): Promise<string> {
  for (let i = 1; ; i++) {
    const branch = i === 1 ? name : `${name}-${i}`;
    if ((await forge.branchHead(branch)) === undefined && (await forge.pullsFrom(branch)).length === 0) return branch;
  }
}
