import { begin } from "../src/begin.ts";
import type { RunLog } from "../src/runlog.ts";
import type { Settings } from "../src/settings.ts";
import { settingsPath } from "../src/settings.ts";
import { inlineText } from "../src/text.ts";
import type { Engine } from "../sandbox/engine.ts";
import { seccompHash } from "../sandbox/seccomp.ts";
import { ImageMissing } from "../sandbox/docker.ts";
import type { Layered } from "../sandbox/workspace.ts";
import type { Sources } from "../sandbox/objects.ts";
import { detectEnvironment } from "./detect.ts";
import type { Environment } from "./detect.ts";
import type { CommitFiles } from "./checkout.ts";
import { needsInput } from "./outcome.ts";
import type { Outcome, Tools } from "./run.ts";
import { nearestBase, treeAfterSetup } from "./setup.ts";
import type { SetupTask } from "./setup.ts";

export interface EnvironmentTask {
  runId: string;
  log: RunLog;
  signal: AbortSignal;
  settings: Settings;
  files: CommitFiles;
  sources: Sources;
  /** The commit that set-up runs on. It holds nothing that an agent wrote: set-up has network. */
  setupAt: string;
  /** Whether that is the default branch's own commit: only from there is anything kept for other runs. */
  isDefault: boolean;
  /** The commit to work on. */
  base: string;
}
export interface Prepared extends AsyncDisposable {
  environment: Environment;
  image: string;
  /** The tree after set-up, at a commit near the base: every later container stands on it. */
  tree: Layered;
  /** How that came about, for doing it again where a change asks for other dependencies. */
  setup: SetupTask;
}
export type PreparedResult = { ok: true; prepared: Prepared } | { ok: false; outcome: Outcome };

/**
 * Finds out what the repository needs and brings its set-up about, in the set-up network or from what an earlier run
 * kept. What the repository lacks is an outcome.
 */
export async function prepareEnvironment(task: EnvironmentTask, tools: Tools): Promise<PreparedResult> {
  const { log, signal, settings } = task;
  const near = begin(nearestBase(task, tools));
  const environment = await detectEnvironment(task.files, settings);
  if (environment.checks.length === 0) return { ok: false, outcome: noChecks() };
  const image = environment.image ?? tools.image;
  const found = await findImage(tools.engine, image, signal);
  if (!found.ok) return { ok: false, outcome: needsInput("image missing", inlineText(found.reason)) };
  const { setup, checks, from, notes } = environment;
  await log.append({
    type: "environment",
    image,
    digest: found.id,
    seccomp: seccompHash,
    setup,
    checks: checks.map((check) => check.run),
    from,
  });
  for (const text of [...notes, ...(await treeNotes(task.files))]) await log.append({ type: "note", text });
  const setupTask = { ...task, environment, image, imageId: found.id };
  const after = await treeAfterSetup(setupTask, near, tools);
  if (!after.ok) return after;
  const { tree } = after;
  return { ok: true, prepared: { environment, image, tree, setup: setupTask, [Symbol.asyncDispose]: after.dispose } };
}

/** What the tree lacks that a person's own checkout would have. */
async function treeNotes(files: CommitFiles): Promise<string[]> {
  const notes: string[] = [];
  if (await files.has(".gitmodules")) notes.push("Submodules are not fetched: their folders are empty.");
  if (/\bfilter=lfs\b/.test((await files.read(".gitattributes")) ?? "")) {
    notes.push("Files in Git LFS are not fetched: they are the pointers that the repository holds.");
  }
  return notes;
}

async function findImage(
  engine: Engine,
  image: string,
  signal: AbortSignal,
): Promise<{ ok: true; id: string } | { ok: false; reason: string }> {
  try {
    return { ok: true, id: (await engine.ensureImage(image, signal)).id };
  } catch (error) {
    if (error instanceof ImageMissing) return { ok: false, reason: error.message };
    throw error;
  }
}

function noChecks(): Outcome {
  const lines = "```yaml\nchecks:\n  - <the command that runs your tests, such as: npm test>\n```";
  return needsInput("no checks", `Add this to \`${settingsPath}\` on the default branch:\n\n${lines}`);
}
