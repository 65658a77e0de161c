import { join } from "node:path";
import { git, GitFailed } from "../sandbox/git.ts";
import type { CheckRun, Forge, Pull } from "../src/forge.ts";
import { LimitedError, messageOf } from "../src/errors.ts";
import { cut, inlineText, plainText } from "../src/text.ts";
import type { Passed } from "./attempt.ts";
import { renderEvidence } from "./body.ts";
import { readTests } from "./reports/kept.ts";
import type { Place, TestResult } from "./reports/results.ts";
import type { Publisher } from "./publish.ts";
import type { Decision, Verdict } from "./verdict.ts";

interface Published {
  passed: Passed;
  /** The commit that the change stands on, and the one that was published. */
  base: string;
  commit: string;
  pull: Pick<Pull, "number" | "url"> | undefined;
}

// GitHub takes no more of them at once.
const mostAnnotations = 50;
// Some of them are in no file of the repository.
const mostLookedAt = 100;
const conclusions: Record<Decision, CheckRun["conclusion"]> = {
  ready: "success",
  draft: "neutral",
  rejected: "failure",
  "already-red": "failure",
  "gate-broke": "failure",
};

/** Shows the verdict beside the commit. What keeps it from being shown is noted, and keeps nothing else from being done. */
export async function showCheckRun(
  { job, log, guard }: Pick<Publisher, "job" | "log" | "guard">,
  checks: Pick<Forge, "ensureCheckRun">,
  published: Published,
): Promise<void> {
  await guard();
  try {
    await checks.ensureCheckRun(await checkRunOf(job.runId, log.dir, published));
  } catch (error) {
    // The run waits that out, and shows it then.
    if (error instanceof LimitedError) throw error;
    await log.append({
      type: "note",
      text: `The check run \`agent-fix\`, which takes an app's permission \`checks: write\`, could not be written: ${messageOf(error)}`,
    });
  }
}

async function checkRunOf(runId: string, dir: string, { passed, base, commit, pull }: Published): Promise<CheckRun> {
  const { verdict } = passed;
  const { decision, reason } = verdict;
  const link = pull === undefined ? [] : [`Pull request: [#${pull.number}](${pull.url})`];
  const tree = { gitDir: join(dir, "repo.git"), commit: passed.commit };
  const annotations = await Promise.all(brokenBy(dir, verdict).map((test) => annotationOf(test, tree)));
  return {
    commit,
    runId,
    conclusion: conclusions[decision],
    ...(pull && { url: pull.url }),
    title: plainText(reason, 200),
    summary: [inlineText(reason), renderEvidence(verdict, base), ...link].join("\n\n"),
    annotations: annotations.flat().slice(0, mostAnnotations),
  };
}

/** The failing tests that the change is charged with. */
function brokenBy(dir: string, { rows }: Verdict): TestResult[] {
  const all = rows.flatMap(({ check, tests }) => {
    const broken = new Set([...(tests?.regressed?.names ?? []), ...(tests?.["new-fail"]?.names ?? [])]);
    return broken.size === 0
      ? []
      : (readTests(dir, check) ?? []).filter(({ name, status }) => status === "failed" && broken.has(name));
  });
  return all.slice(0, mostLookedAt);
}

interface Tree {
  gitDir: string;
  commit: string;
}

/** None where no file of the repository is known. A line stands in it only if the file has that many. */
async function annotationOf(
  { name, file, message = "", at }: TestResult,
  tree: Tree,
): Promise<CheckRun["annotations"]> {
  const said = { title: plainText(name, 200), message: cut(message, 2000) || "It fails." };
  const place = at === undefined ? undefined : await placeIn(tree, at);
  if (place !== undefined) return [{ path: place.file, line: place.line, ...said }];
  return file !== undefined && isInside(file) ? [{ path: file, ...said }] : [];
}

/** The place in the tree, where it is one alone. Go tells a file by its package, of which the tree holds the last part. */
async function placeIn(tree: Tree, { file, line }: Place): Promise<Place | undefined> {
  if (!isInside(file)) return undefined;
  const parts = file.split("/");
  const paths = file.endsWith("_test.go") ? parts.map((_part, index) => parts.slice(index).join("/")) : [file];
  const lengths = await Promise.all(paths.map((path) => linesIn(tree, path)));
  const found = paths.filter((_path, index) => lengths[index] !== undefined);
  const [path, ...others] = found;
  if (path === undefined || others.length > 0) return undefined;
  return line <= (lengths[paths.indexOf(path)] ?? 0) ? { file: path, line } : undefined;
}

/** How many lines a file of the tree has; undefined where it is none. */
async function linesIn({ gitDir, commit }: Tree, path: string): Promise<number | undefined> {
  try {
    const text = (await git(["cat-file", "blob", `${commit}:${path}`], { gitDir })).toString("latin1");
    return text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  } catch (error) {
    if (error instanceof GitFailed) return undefined;
    throw error;
  }
}

/** A report names any file it likes. */
function isInside(file: string): boolean {
  return !file.split("/").some((part) => part === "" || part === "." || part === "..");
}
