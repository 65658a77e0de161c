import { join } from "node:path";
import { branchName, newestNames } from "../src/branches.ts";
import { OutageError, RefusedError, workflowsRefused } from "../src/errors.ts";
import type { Forge, Pull } from "../src/forge.ts";
import type { PublishStep } from "../src/runlog.ts";
import { plainText } from "../src/text.ts";
import type { Passed } from "./attempt.ts";
import { keepEvidence } from "./evidence.ts";
import { changedPaths, readCommitChange } from "./rebuild.ts";
import type { Run } from "./run.ts";

export interface Target {
  /** The commit that the change stands on. */
  base: string;
  /** Default: the base alone. */
  parents?: readonly string[] | undefined;
  branch: string;
  /** Where the branch must stand before: undefined when it must not exist yet. */
  expected: string | undefined;
  message: string;
  /** The pull request to open; undefined when the branch has one. */
  pull: { base: string; title: string; body: string; draft: boolean } | undefined;
}
/** The part of a run that publishing needs; `resolve` has one without a queue. */
export type Publisher = Pick<Run, "job" | "log" | "signal" | "guard">;
/** `made`: the commit that was to go onto the branch. */
export type Published =
  | { ok: true; commit: string; pull: Pull | undefined }
  | { ok: false; reason: string; made: string };

/** Commit, branch, pull request: each step looks first, so that it may run again after a crash. */
export async function publish(run: Publisher, forge: Forge, passed: Passed, target: Target): Promise<Published> {
  const repository = join(run.log.dir, "repo.git");
  const { base, parents: [from = base] = [] } = target;
  try {
    return await publishFrom(repository, run, forge, { passed, target });
  } catch (error) {
    throw await explained(error, () => changedPaths(repository, from, passed.commit));
  }
}

/** GitHub answers some commits of workflow files as if what they are for were not there. */
async function explained(error: unknown, changed: () => Promise<Set<string>>): Promise<unknown> {
  if (!(error instanceof RefusedError) || (error.why !== "gone" && error.why !== "permission")) return error;
  const workflow = [...(await changed())].find((path) => path.startsWith(".github/workflows/"));
  return workflow === undefined ? error : workflowsRefused(workflow, { cause: error });
}

async function publishFrom(
  repository: string,
  run: Publisher,
  forge: Forge,
  { passed, target }: { passed: Passed; target: Target },
): Promise<Published> {
  const { base, parents = [base] } = target;
  const own = { runId: run.job.runId, base, parents, tree: passed.tree };
  const adopted = await ownHead(forge, target.branch, own);
  const commit =
    adopted ??
    (await step(run, "commit", async () => {
      const change = await readCommitChange(repository, base, passed.commit);
      const made = await forge.createCommit({ base, parents, message: target.message, ...change });
      if (made.tree !== passed.tree)
        throw new OutageError(
          `the code host built tree ${made.tree}, but the checks ran on ${passed.tree}: nothing was published`,
        );
      return made.commit;
    }));

  if (adopted === undefined) {
    const moved = await step(run, "branch", () => forge.ensureBranch(target.branch, commit, target.expected));
    if (moved === "conflict")
      return { ok: false, reason: `the branch \`${target.branch}\` moved while I worked`, made: commit };
  }
  keepEvidence(run.log, passed);
  if (target.pull === undefined) return { ok: true, commit, pull: undefined };
  const wanted = { ...target.pull, title: plainText(withoutSkips(target.pull.title), 250) };
  let pull: Pull | undefined;
  await step(run, "pull", async () => {
    pull = await forge.ensurePull({ branch: target.branch, ...wanted });
    return String(pull.number);
  });
  pull ??= await forge.ensurePull({ branch: target.branch, ...wanted });
  return { ok: true, commit, pull };
}

/** What a run's commit is known again by: anybody can write the trailer, so it has to hold the checked tree as well. */
export interface OwnCommit {
  runId: string;
  base: string;
  /** Default: the base alone. */
  parents?: readonly string[];
  tree: string;
}

/** A branch name for a new pull request: the plain one, or the next that nobody used or that has this very commit. */
export async function freeBranch(forge: Forge, name: string, own: OwnCommit): Promise<string> {
  const used = await newestNames(forge, name);
  for (const { branch, head } of used) if (head !== undefined && (await isOwn(forge, head, own))) return branch;
  return branchName(name, (used.at(-1)?.number ?? 0) + 1);
}

/** The trailer by which a commit of a run is known again. */
export function trailer(runId: string): string {
  return `Agent-Fix-Run: ${runId}`;
}

export function commitMessage({
  title,
  why,
  runId,
  held,
  coAuthors = [],
}: {
  title: string;
  why: string;
  runId: string;
  held: boolean;
  /** Each as git's trailer names one: `Name <address>`. */
  coAuthors?: readonly string[] | undefined;
}): string {
  const subject = `${withoutSkips(plainText(title, 72))}${held ? " [skip ci]" : ""}`;
  const trailers = [trailer(runId), ...coAuthors.map((who) => `Co-authored-by: ${plainText(who)}`)];
  return `${subject}\n\n${withoutSkips(plainText(why))}\n\n${trailers.join("\n")}\n`;
}

const skips = /\[(skip ci|ci skip|no ci|skip actions|actions skip)\]|\*{3}(no_ci)\*{3}|(skip-checks): *(?=true)/gi;

/** One line whose words keep no CI from running: that is decided by `held` alone. */
function withoutSkips(line: string): string {
  // Replaced, not removed: what stands around a removed marker could become one.
  return line.replaceAll(skips, (_all, words?: string, starred?: string, key?: string) =>
    key === undefined ? `(${words ?? starred ?? ""})` : `${key} `,
  );
}

/** The branch's head when this run made it, for example before a crash or on another machine. */
async function ownHead(forge: Forge, branch: string, own: OwnCommit): Promise<string | undefined> {
  const head = await forge.branchHead(branch);
  return head !== undefined && (await isOwn(forge, head, own)) ? head : undefined;
}

async function isOwn(
  forge: Forge,
  commit: string,
  { runId, base, parents = [base], tree }: OwnCommit,
): Promise<boolean> {
  const found = await forge.commit(commit);
  const marked = found.message.split("\n").includes(trailer(runId));
  return marked && found.tree === tree && found.parents.join(" ") === parents.join(" ");
}

async function step<T extends string>(
  run: Publisher,
  name: PublishStep,
  effect: () => Promise<T>,
): Promise<T | string> {
  const before = run.log.events.findLast((event) => event.type === "publish.done" && event.step === name);
  if (before?.type === "publish.done") return before.value;
  await run.guard();
  run.signal.throwIfAborted();
  await run.log.append({ type: "publish.intent", step: name });
  const value = await effect();
  await run.log.append({ type: "publish.done", step: name, value });
  return value;
}
