import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Content } from "./folders.ts";
import { git } from "./git.ts";
import type { Reader } from "./reader.ts";
import { openScratch } from "./scratch.ts";
import { atSources } from "./tracked.ts";
import type { Found } from "./walk.ts";
import type { Sources } from "./objects.ts";

const rulesLimit = 4_000_000;
// A path that is always ignored: git would end with an error when it has none to name.
const always = ".agent-fix-always-ignored";

/** Leaves out what the tree's own .gitignore files name, as git does: nothing that the commit holds is ever ignored. */
export async function withoutIgnored(
  found: readonly Found[],
  { sources, reader }: { sources: Sources; reader: Reader },
): Promise<Found[] | undefined> {
  const fresh = found.filter((one) => one.fresh).map(asked);
  if (fresh.length === 0) return [...found];
  const ignored = await ignoredOf(fresh, { sources, reader });
  return ignored && found.filter((one) => !one.fresh || !ignored.has(asked(one)));
}

/** A rule such as `build/` is for folders, and a repository of its own is one. */
function asked({ path, mode }: Found): string {
  return mode === "160000" ? `${path}/` : path;
}

/** Which of these paths are ignored; undefined when the rules are too large to be read. */
async function ignoredOf(
  paths: readonly string[],
  { sources, reader }: { sources: Sources; reader: Reader },
): Promise<ReadonlySet<string> | undefined> {
  const above = [...foldersOf(paths)].map((folder) => `${folder}/.gitignore`);
  const rules = await reader.read([".gitignore", ...above], rulesLimit);
  if (!(rules instanceof Map)) return undefined;
  if (rules.size === 0) return new Set();
  const stdin = Buffer.from([always, ...paths].map((path) => `${path}\0`).join(""), "latin1");
  const question = digestOf(stdin, rules);
  const last = answers.get(sources);
  if (last?.question === question) return last.ignored;
  const ignored = await askGit(stdin, { rules, sources });
  answers.set(sources, { question, ignored });
  return ignored;
}

/** The last answer of each run: between two looks files are edited more often than made. It depends on nothing else. */
const answers = new WeakMap<Sources, { question: string; ignored: ReadonlySet<string> }>();

function digestOf(stdin: Buffer, rules: ReadonlyMap<string, Content>): string {
  const hash = createHash("sha256").update(`${stdin.length}\0`).update(stdin);
  for (const [path, { mode, bytes }] of rules) hash.update(`${path}\0${mode}\0${bytes.length}\0`).update(bytes);
  return hash.digest("hex");
}

async function askGit(
  stdin: Buffer,
  { rules, sources }: { rules: ReadonlyMap<string, Content>; sources: Sources },
): Promise<ReadonlySet<string>> {
  using scratch = openScratch(rules);
  const excludes = join(scratch.folder, ".git-excludes");
  writeFileSync(excludes, `${always}\n`);
  const at = ["-C", scratch.folder, `--work-tree=${scratch.folder}`];
  const settings = ["-c", "core.bare=false", "-c", `core.excludesFile=${excludes}`];
  const command = [...at, ...settings, "check-ignore", "--no-index", "-z", "--stdin"];
  const { gitDir, env } = atSources(sources);
  // Else it hands over each answer by itself, and each costs a turn of the event loop.
  const out = await git(command, { gitDir, env: { ...env, GIT_FLUSH: "0" }, stdin });
  return new Set(out.toString("latin1").split("\0"));
}

function foldersOf(paths: Iterable<string>): Set<string> {
  const folders = new Set<string>();
  for (const path of paths) {
    for (let cut = path.lastIndexOf("/"); cut > 0; cut = path.lastIndexOf("/", cut - 1)) {
      const folder = path.slice(0, cut);
      if (folders.has(folder)) break;
      folders.add(folder);
    }
  }
  return folders;
}
