import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CommitChange } from "../src/forge.ts";
import { OutageError } from "../src/errors.ts";
import type { Change } from "../sandbox/changes.ts";
import { git, GitFailed } from "../sandbox/git.ts";
import { forkOf } from "./checkout.ts";

/** git takes the change in as no commit, or not as exactly what it is. The message says why. */
export class ChangeRefused extends Error {
  override name = "ChangeRefused";
}

const author = "agent-fix <agent-fix@localhost>";
const deleted = "000000";
const config = `[core]
	repositoryformatversion = 1
	bare = true
[fastimport]
	unpackLimit = 0
[pack]
	compression = 1
`;
// A git that lives on may write while its folder is removed.
const removal = { recursive: true, force: true, maxRetries: 5 };
const sha256 = "[extensions]\n\tobjectformat = sha256\n";

/**
 * Builds a commit on `base` from data alone, and takes it into a repository of our own once `git fsck --strict` would
 * find nothing wrong in it. The same change gives the same commit. One at a time in a repository. Throws ChangeRefused.
 */
export async function rebuildCommit(
  repository: string,
  base: string,
  changes: readonly Change[],
  signal: AbortSignal,
): Promise<{ commit: string; tree: string }> {
  if (changes.some(({ path }) => path.split("/").includes(""))) {
    throw new ChangeRefused("a path of the change has an empty component");
  }
  // git fast-import takes in almost any path, so it writes into a repository that nobody else reads.
  await removeBuilds(repository);
  // A git whose parent was killed may still write into the folder of that attempt.
  const build = await mkdtemp(join(repository, "build-"));
  try {
    await createBuild(build, repository, base);
    const built = await importChange(build, base, changes, signal);
    const [wanted, found] = [wantedRows(changes), await changedRows(build, base, built.tree)];
    if (wanted.length !== found.length || wanted.some((row, index) => row !== found[index])) {
      throw new ChangeRefused(
        "the commit that was built does not hold exactly the changes that came out of the sandbox",
      );
    }
    await takeOver(build, repository, signal);
    return built;
  } finally {
    await rm(build, removal);
  }
}

/** Removes what a killed process left. */
async function removeBuilds(repository: string): Promise<void> {
  const left = (await readdir(repository)).filter((name) => name.startsWith("build-"));
  await Promise.all(left.map((name) => rm(join(repository, name), removal)));
}

/** Makes the folder a bare repository that reads the other one's objects. */
async function createBuild(build: string, repository: string, base: string): Promise<void> {
  await Promise.all(
    ["refs", "objects/info", "objects/pack"].map((name) => mkdir(join(build, name), { recursive: true })),
  );
  await Promise.all([
    writeFile(join(build, "HEAD"), "ref: refs/heads/main\n"),
    writeFile(join(build, "config"), base.length === 64 ? `${config}${sha256}` : config),
    writeFile(join(build, "objects", "info", "alternates"), `${join(repository, "objects")}\n`),
  ]);
}

async function importChange(
  build: string,
  base: string,
  changes: readonly Change[],
  signal: AbortSignal,
): Promise<{ commit: string; tree: string }> {
  const facts = (await git(["cat-file", "commit", base], { gitDir: build, signal })).toString("latin1");
  // A clock would give each repetition after a crash another commit.
  const seconds = /^committer .* (\d{1,10}) [-+]\d+$/m.exec(facts)?.[1] ?? "0";
  const stdin = Buffer.concat([
    Buffer.from(
      `commit refs/heads/main\nmark :1\ncommitter ${author} ${seconds} +0000\ndata 7\nchange\nfrom ${base}\n`,
    ),
    ...inOrder(changes).flatMap(command),
    Buffer.from('\nget-mark :1\nls :1 ""\ndone\n'),
  ]);
  const out = await git(["fast-import", "--quiet", "--done", "--depth=0"], { gitDir: build, signal, stdin });
  const [, commit, tree] = /^([0-9a-f]+)\n040000 tree ([0-9a-f]+)\t/.exec(out.toString("latin1")) ?? [];
  if (commit === undefined || tree === undefined) throw new GitFailed("git fast-import did not say what it made");
  return { commit, tree };
}

/** Deletions first: a file may become a folder, and a folder a file. */
function inOrder(changes: readonly Change[]): Change[] {
  const key = ({ path, mode }: Change) => `${mode === "deleted" ? 0 : 1}${path}`;
  return changes.toSorted((one, other) => (key(one) < key(other) ? -1 : 1));
}

function command(change: Change): Buffer[] {
  if (change.mode === "deleted") return [Buffer.from(`D ${quote(change.path)}\n`)];
  const { path, mode, bytes } = change;
  return [Buffer.from(`M ${mode} inline ${quote(path)}\ndata ${bytes.length}\n`), bytes, Buffer.from("\n")];
}

function quote(path: string): string {
  const escaped = path.replaceAll(/["\\\p{Cc}]/gu, (sign) => {
    const code = sign.codePointAt(0) ?? 0;
    // Above 0x7f a control character is two bytes, and stands for itself.
    return code > 0x7f ? sign : `\\${code.toString(8).padStart(3, "0")}`;
  });
  return `"${escaped}"`;
}

function wantedRows(changes: readonly Change[]): string[] {
  return changes.map(({ path, mode }) => `${mode === "deleted" ? deleted : mode} ${path}`).toSorted();
}

async function changedRows(gitDir: string, base: string, tree: string): Promise<string[]> {
  return (await listDifference(gitDir, base, tree)).map(({ path, mode }) => `${mode} ${path}`).toSorted();
}

/** The strict check is git's own. What it refuses is never seen in the repository, nor is half of a commit. */
async function takeOver(build: string, repository: string, signal: AbortSignal): Promise<void> {
  const folder = join(build, "objects", "pack");
  const name = (await readdir(folder)).find((one) => one.endsWith(".pack"));
  // Everything was taken over before, by a process that died then.
  if (name === undefined) return;
  const pack = join(folder, name);
  const index = join(build, "checked.idx");
  try {
    await git(["index-pack", "--strict", "-o", index, pack], { gitDir: build, signal });
  } catch (error) {
    const reason =
      error instanceof GitFailed ? /error: object \w+: (.*?) \/ fatal: fsck error/s.exec(error.message) : null;
    if (reason === null) throw error;
    throw new ChangeRefused(`git refuses the change: ${reason[1] ?? ""}`, { cause: error });
  }
  const target = join(repository, "objects", "pack", name);
  await rename(pack, target);
  await rename(index, target.replace(/pack$/, "idx"));
}

/** The difference of two commits as data, for the code host. */
export async function readCommitChange(
  repository: string,
  base: string,
  commit: string,
): Promise<Pick<CommitChange, "files" | "deleted">> {
  const rows = await listDifference(repository, base, commit);
  const files: { path: string; mode: CommitChange["files"][number]["mode"]; oid: string }[] = [];
  for (const { path, mode, oid } of rows) {
    if (mode === "100644" || mode === "100755" || mode === "120000") files.push({ path, mode, oid });
    else if (mode !== deleted) throw new OutageError(`unexpected mode ${mode} of a changed file`);
  }
  const contents = await readBlobs(
    repository,
    files.map(({ oid }) => oid),
  );
  return {
    files: files.map(({ path, mode }, index) => ({ path, mode, bytes: contents[index] ?? Buffer.alloc(0) })),
    deleted: rows.filter(({ mode }) => mode === deleted).map(({ path }) => path),
  };
}

/** The same as changes to go on from. */
export async function changesBetween(repository: string, base: string, commit: string): Promise<Change[]> {
  const { files, deleted: gone } = await readCommitChange(repository, base, commit);
  return [...files, ...gone.map((path) => ({ path, mode: "deleted" as const }))];
}

/** The paths that differ between two commits. */
export async function changedPaths(repository: string, base: string, commit: string): Promise<Set<string>> {
  return new Set((await listDifference(repository, base, commit)).map(({ path }) => path));
}

async function listDifference(gitDir: string, base: string, to: string) {
  const args = ["diff-tree", "-r", "-z", "--no-renames", "--raw", "--no-abbrev", base, to];
  const fields = (await git(args, { gitDir })).toString("utf8").split("\0");
  const rows: { path: string; mode: string; oid: string }[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [, mode = "", , oid = ""] = (fields[i] ?? "").split(" ");
    rows.push({ path: fields[i + 1] ?? "", mode, oid });
  }
  return rows;
}

async function readBlobs(gitDir: string, oids: readonly string[]): Promise<Buffer[]> {
  const out = await git(["cat-file", "--batch=%(objectsize)"], {
    gitDir,
    stdin: oids.map((oid) => `${oid}\n`).join(""),
  });
  let start = 0;
  return oids.map((oid) => {
    const lineEnd = out.indexOf("\n", start);
    const size = Number(out.subarray(start, lineEnd).toString("latin1"));
    if (!Number.isSafeInteger(size)) throw new GitFailed(`git cat-file did not give ${oid}`);
    start = lineEnd + 1 + size + 1;
    return out.subarray(lineEnd + 1, lineEnd + 1 + size);
  });
}

/** How many lines a range of commits adds and removes, in git's notation; a binary file counts as one. */
export async function changedLines(gitDir: string, range: string): Promise<number> {
  const rows = (await git(["diff", "--numstat", "--no-renames", range, "--"], { gitDir })).toString("utf8").split("\n");
  return rows.filter(Boolean).reduce((sum, row) => {
    const [added = "", removed = ""] = row.split("\t");
    return sum + (added === "-" ? 1 : Number(added) + Number(removed));
  }, 0);
}

/** The difference as a unified patch. */
export async function readPatch(repository: string, base: string, commit: string): Promise<string> {
  const out = await git(["diff-tree", "-p", "--no-ext-diff", "--no-textconv", "--binary", "--no-color", base, commit], {
    gitDir: repository,
  });
  return out.toString("utf8");
}

/**
 * What a branch changes against the point where it left another, or against that other one where they have nothing in
 * common any more, as a patch of at most 60,000 characters.
 */
export async function readBranchPatch(mirror: string, from: string, commit: string): Promise<string> {
  const other = `refs/heads/${from}`;
  const patch = await readPatch(mirror, (await forkOf(mirror, other, commit)) ?? other, commit);
  return patch.length > 60_000 ? `${patch.slice(0, 60_000)}\n[the rest of the patch is left out]` : patch;
}
