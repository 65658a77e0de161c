import type { CheckSummary } from "../src/runlog.ts";
import { tailOf } from "../src/text.ts";
import type { Engine, OneShotResult } from "../sandbox/engine.ts";
import { git, GitFailed } from "../sandbox/git.ts";
import { quote } from "../sandbox/quote.ts";
import { atSources } from "../sandbox/tracked.ts";
import { copyWorkspace, repoDir } from "../sandbox/workspace.ts";
import type { Workspace } from "../sandbox/workspace.ts";
import { readWritten } from "../sandbox/written.ts";
import { assertKept, describeEnd, diskLimit, sandboxLimits } from "./container.ts";
import type { Check } from "./detect.ts";
import type { Leg } from "./gate.ts";
import { keepTests } from "./reports/kept.ts";
import { readReport } from "./reports/read.ts";
import type { Format } from "./reports/read.ts";
import type { Report } from "./reports/results.ts";
import { isTap } from "./reports/tap.ts";
import { withReporter } from "./runners.ts";
import type { Reporting } from "./runners.ts";

export interface CheckLimits {
  totalMs: number;
  /** Without any output. */
  idleMs: number;
  outputBytes: number;
}

const defaultLimits: CheckLimits = { totalMs: 30 * 60_000, idleMs: 20 * 60_000, outputBytes: 256 * 2 ** 20 };
const reportBytes = 16 * 2 ** 20;
// Outside of the checkout, so that no runner takes it for a file of the repository.
const reportFolder = "home/.agent-fix";
const reportFile = `${reportFolder}/tests`;

/**
 * Runs one check on a clean copy, as the main process of a new container without network. It passes by the engine's own
 * wait status alone: results per test are what the tree says of itself.
 */
export async function runCheck(engine: Engine, leg: Leg, check: Check, index: number): Promise<CheckSummary> {
  const reporting = await reportingOf(leg, check);
  const first = await runIn(engine, leg, check, reporting);
  // A reporter that is not understood must not be what a check fails of.
  const isChanged = "run" in reporting && reporting.run !== check.run;
  const isDoubtful = isChanged && first.result.end === "exited" && !passed(first.result);
  const why = isDoubtful && "why" in first.told ? first.told.why : undefined;
  const { result, told } = why === undefined ? first : await runIn(engine, leg, check, { why });
  const { name, run, required } = check;
  const said = "tests" in told ? told.said : undefined;
  return {
    name,
    run,
    required,
    end: describeEnd(result, leg.limits ?? defaultLimits),
    passed: passed(result),
    ms: Math.round(result.durationMs),
    tail: tailOf(said ?? result.output.text, 3000),
    ...("why" in told
      ? { byExitCode: told.why }
      : { tests: keepTests(leg.dir, `tests/${leg.leg}-${index}-${leg.commit.slice(0, 12)}.json`, told) }),
  };
}

function passed(result: OneShotResult): boolean {
  return result.end === "exited" && result.code === 0;
}

/** `named`: the file in the checkout that the check itself writes. */
type Plan = Reporting | { named: string };

async function reportingOf({ sources, commit }: Leg, { run, report }: Check): Promise<Plan> {
  if (report !== undefined) return { named: report };
  const read = async (path: string) => {
    try {
      return (await git(["cat-file", "blob", `${commit}:${path}`], atSources(sources))).toString("utf8");
    } catch (error) {
      if (error instanceof GitFailed) return undefined;
      throw error;
    }
  };
  return withReporter(run, { file: `/workspace/${reportFile}`, read });
}

interface Ran {
  result: OneShotResult;
  told: Report | { why: string };
}

async function runIn(engine: Engine, leg: Leg, check: Check, plan: Plan): Promise<Ran> {
  const { signal, limits = defaultLimits } = leg;
  // Checks run what the agent wrote: on one copy for all, one of them could replace the tools of the next.
  await using workspace = await copyWorkspace(
    engine,
    leg.tree,
    { run: leg.runId, commit: leg.commit, sources: leg.sources },
    signal,
  );
  const result = await engine.runOnce(
    {
      image: leg.image,
      command: ["/bin/sh", "-ec", [...leg.prepare, cleared(plan), "run" in plan ? plan.run : check.run].join("\n")],
      labels: { run: leg.runId, role: `check-${leg.leg}` },
      mounts: workspace.mounts,
      cwd: repoDir,
      env: { CI: "true", ...leg.env },
      limits: sandboxLimits,
      disk: diskLimit(workspace),
      timeoutMs: limits.totalMs,
      idleMs: limits.idleMs,
      floodBytes: limits.outputBytes,
      maxStdoutBytes: reportBytes,
    },
    signal,
  );
  signal.throwIfAborted();
  assertKept(result, `the check ${check.name}`);
  return { result, told: await toldBy(engine, { workspace, result, plan }, signal) };
}

/** What is there before the check began is no report of it. */
function cleared(plan: Plan): string {
  if ("named" in plan) return `rm -f ${quote(`${repoDir}/${plan.named}`)} 2>/dev/null || :`;
  if ("run" in plan && plan.from === "file")
    return `rm -rf /workspace/${reportFolder}; mkdir -p /workspace/${reportFolder}`;
  return ":";
}

async function toldBy(
  engine: Engine,
  { workspace, result, plan }: { workspace: Workspace; result: OneShotResult; plan: Plan },
  signal: AbortSignal,
): Promise<Ran["told"]> {
  if ("why" in plan) {
    const isOwn = isTap(result.stdout.toString("latin1"));
    return isOwn ? ofStdout(result, "tap") : plan;
  }
  if ("run" in plan && plan.from === "stdout") return ofStdout(result, plan.format);
  const [path, format] = "named" in plan ? [`repo/${plan.named}`, "any" as const] : [reportFile, plan.format];
  const written = await readWritten(engine, workspace, { path, mostBytes: reportBytes }, signal);
  if (written.kind === "missing") return { why: "it left no report" };
  if (written.kind === "too large") return { why: "its report is larger than 16 MB" };
  return orWhy(readReport(format, written.bytes, repoDir));
}

function ofStdout({ stdout, stdoutTruncated }: OneShotResult, format: Format): Ran["told"] {
  const report = readReport(format, stdout, repoDir);
  return orWhy(stdoutTruncated ? { ...report, cut: "it wrote more than 16 MB" } : report);
}

function orWhy(report: Report): Ran["told"] {
  if (report.tests.length > 0) return report;
  return { why: report.cut === undefined ? "its report has no tests" : `its report can't be used: ${report.cut}` };
}
