import type { CheckRun, Pull } from "../src/forge.ts";
import { messageOf } from "../src/errors.ts";
import { cut, inlineText, plainText } from "../src/text.ts";
import type { Passed } from "./attempt.ts";
import { renderEvidence } from "./body.ts";
import { readTests } from "./reports/kept.ts";
import type { Run, WorkerDeps } from "./run.ts";
import type { Decision, Verdict } from "./verdict.ts";

export interface Published {
  passed: Passed;
  /** The commit that the change stands on, and the one that was published. */
  base: string;
  commit: string;
  pull: Pick<Pull, "number" | "url"> | undefined;
}

// GitHub takes no more of them at once.
const mostAnnotations = 50;
const conclusions: Record<Decision, CheckRun["conclusion"]> = {
  ready: "success",
  draft: "neutral",
  rejected: "failure",
  "already-red": "failure",
  "gate-broke": "failure",
};

/** Shows the verdict beside the commit. What keeps it from being shown is noted, and keeps nothing else from being done. */
export async function showCheckRun(
  { job, log, guard }: Pick<Run, "job" | "log" | "guard">,
  { host }: Pick<WorkerDeps, "host">,
  published: Published,
): Promise<void> {
  await guard();
  try {
    await host.forge(job.repo, "check").ensureCheckRun(checkRunOf(job.runId, log.dir, published));
  } catch (error) {
    await log.append({
      type: "note",
      text: `The check run \`agent-fix\`, which takes the app's permission \`checks: write\`, could not be written: ${messageOf(error)}`,
    });
  }
}

function checkRunOf(runId: string, dir: string, { passed, base, commit, pull }: Published): CheckRun {
  const { verdict } = passed;
  const { decision, reason } = verdict;
  const link = pull === undefined ? [] : [`Pull request: [#${pull.number}](${pull.url})`];
  return {
    commit,
    runId,
    conclusion: conclusions[decision],
    ...(pull && { url: pull.url }),
    title: plainText(reason, 200),
    summary: [inlineText(reason), renderEvidence(verdict, base), ...link].join("\n\n"),
    annotations: annotationsOf(dir, verdict),
  };
}

/** The failing tests that the change is charged with, where their file is known. */
function annotationsOf(dir: string, { rows }: Verdict): CheckRun["annotations"] {
  const all = rows.flatMap(({ check, tests }) => {
    const broken = new Set([...(tests?.regressed?.names ?? []), ...(tests?.["new-fail"]?.names ?? [])]);
    if (broken.size === 0) return [];
    return (readTests(dir, check) ?? []).flatMap(({ name, file, status, message = "" }) =>
      status === "failed" && file !== undefined && isInside(file) && broken.has(name)
        ? [{ path: file, title: plainText(name, 200), message: cut(message, 2000) || "It fails." }]
        : [],
    );
  });
  return all.slice(0, mostAnnotations);
}

/** A report names any file it likes. */
function isInside(file: string): boolean {
  return !file.split("/").some((part) => part === "" || part === "." || part === "..");
}
