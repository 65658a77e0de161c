import type { UpdateFacts } from "../../src/package-facts.ts";
import type { Submission } from "../../src/runlog.ts";
import { inlineCode } from "../../src/text.ts";
import type { AttemptTask } from "../attempt.ts";
import { readCommit } from "../checkout.ts";
import type { CommitFiles } from "../checkout.ts";
import { isUnder } from "../globs.ts";
import { isManifest } from "../manifests.ts";
import { needsInput } from "../outcome.ts";
import type { Outcome } from "../run.ts";
import { directPackages, mostLock } from "./npm-facts.ts";
import { updateNpm } from "./npm.ts";
import type { Updated } from "./npm.ts";
import { updatePip } from "./pip.ts";
import type { Direct } from "./plan.ts";
import { isRequirements, pinsIn } from "./requirements.ts";
import type { Requirements } from "./requirements.ts";
import type { LeftOut } from "./turns.ts";
import type { UpdatePlace } from "./update.ts";

/** Of files of pinned versions. */
const mostRequirements = 10;
const locks = ["package-lock.json", "npm-shrinkwrap.json"];

/**
 * Updates what the repository's own package manager locks or pins, at the commit to work on. On our own pull request, only
 * what belongs to it. For a new one, the first turn that is not left out. `paths`: in which manifests, where there are any.
 */
export async function updateDependencies(
  place: UpdatePlace,
  { base, sources, prepared }: Pick<AttemptTask, "base" | "sources" | "prepared">,
  { paths, leftOut }: { paths: readonly string[]; leftOut: LeftOut },
): Promise<Updated> {
  const files = await readCommit(sources.mirror, base);
  const { setupAt } = prepared.setup;
  const former = setupAt === base ? undefined : await readCommit(sources.mirror, setupAt);
  const both = async <T>(read: (at: CommitFiles) => Promise<T>) => ({
    now: await read(files),
    before: former && (await read(former)),
  });
  if (isOfNpm(files)) {
    if (((await files.read(lockIn(files)))?.length ?? 0) > mostLock) return tooLarge;
    const named = await both((at) => directAt(at, (path) => isWithin(path, paths)));
    if (named.now.length === 0 && paths.length > 0) return outside;
    return updateNpm(place, { ...named, leftOut });
  }
  const pinned = await both(requirementsAt);
  if (pinned.now.flatMap(pinsIn).length === 0) return { ok: false, outcome: noUpdater(files) };
  const within = (some: readonly Requirements[]) => some.filter(({ path }) => isWithin(path, paths));
  const now = within(pinned.now);
  return now.length === 0
    ? outside
    : updatePip(place, { now, before: pinned.before && within(pinned.before), leftOut });
}

const tooLarge: Updated = {
  ok: false,
  outcome: needsInput("no updater", `Its lock file is larger than ${mostLock / 2 ** 20} MB, which I do not read.`),
};
const outside: Updated = {
  ok: false,
  outcome: needsInput("no updater", "None of its manifests that name packages is in the task's `paths`."),
};

function isWithin(path: string, paths: readonly string[]): boolean {
  return paths.length === 0 || paths.some((pattern) => isUnder(path, pattern));
}

/** Whether a commit has anything that this can update. */
export async function canUpdate(files: CommitFiles): Promise<boolean> {
  const found = isOfNpm(files) ? await directAt(files) : (await requirementsAt(files)).flatMap(pinsIn);
  return found.length > 0;
}

function isOfNpm({ top }: CommitFiles): boolean {
  return top.includes("package.json") && locks.some((name) => top.includes(name));
}

function lockIn({ top }: CommitFiles): string {
  return locks.find((name) => top.includes(name)) ?? "";
}

async function directAt(files: CommitFiles, isWanted?: (path: string) => boolean): Promise<Direct[]> {
  const [manifest, locked] = await Promise.all([files.read("package.json"), files.read(lockIn(files))]);
  return directPackages(manifest ?? "", locked ?? "", isWanted);
}

async function requirementsAt(files: CommitFiles): Promise<Requirements[]> {
  const paths = files.top.filter(isRequirements).slice(0, mostRequirements);
  const all = await Promise.all(paths.map(async (path) => ({ path, text: (await files.read(path)) ?? "" })));
  // It has to fit into an argument.
  return all.filter(({ text }) => Buffer.byteLength(text) < 100_000);
}

function noUpdater({ top }: CommitFiles): Outcome {
  const found = top.filter((name) => isManifest(name)).slice(0, 10);
  const seen = found.length === 0 ? "no manifest and no lock file" : found.map(inlineCode).join(", ");
  return needsInput(
    "no updater",
    `At the top of the repository there is ${seen}. What I update is npm's \`package.json\` with its \`package-lock.json\`, and versions that a \`requirements.txt\` pins for pip, as in \`name==1.2.3\`. For others, \`task:\` says in words what is to be done and \`update:\` lists the commands that do it, which run with the set-up network: \`update: ["${commandFor(top)}"]\`.`,
  );
}

/** An example that fits: pnpm would not go by yarn's lock file, but write its own. */
function commandFor(top: readonly string[]): string {
  return top.includes("yarn.lock") ? "npx --yes yarn upgrade --latest" : "npx --yes pnpm update --latest";
}

/** The harness's own words for a pull request that no model has written. */
export function updateSubmission({ updated }: UpdateFacts): Submission {
  const lines = [...new Set(updated.map(({ name, from, to }) => `${name}: ${from} → ${to}`))];
  const shown = lines.length <= 4 ? lines : [...lines.slice(0, 3), `${lines.length - 3} more, as the table says`];
  const count = packagesOf({ updated }).size;
  return {
    title: updateTitle({ updated }),
    cause: `${count === 1 ? "A newer version of a dependency is" : `Newer versions of ${count} dependencies are`} published.`,
    change: shown.map((line) => `- ${line}`).join("\n"),
  };
}

export function updateTitle(facts: Pick<UpdateFacts, "updated">): string {
  const packages = packagesOf(facts);
  const [only] = packages;
  const versions = new Set(facts.updated.map(({ to }) => to));
  return only !== undefined && packages.size === 1
    ? `Update ${only} to ${[...versions].join(" and ")}`
    : `Update ${packages.size} dependencies`;
}

/** By name: one package may stand in several manifests, or several times in one. */
function packagesOf({ updated }: Pick<UpdateFacts, "updated">): Set<string> {
  return new Set(updated.map(({ name }) => name));
}
