import { expect, it } from "vitest";
import { baseSide, cleanSubmission, mergeCommits, undecidableIn, unresolvedIn } from "../../worker/merge.ts";
import type { Merged } from "../../worker/merge.ts";
import { createRunRepository } from "../../worker/checkout.ts";
import { createLocalHost, dataFolder, never } from "./support.ts";
import type { LocalHost } from "./support.ts";

const first = { "a.txt": "1\n2\n3\n", "b.txt": "b\n", "c.txt": "c\n" };

/** A commit on the first one of the host, with these files. */
async function branchOff(host: LocalHost, files: Record<string, string | undefined>): Promise<string> {
  const all = Object.entries(files);
  const { commit } = await host.forge.createCommit({
    base: host.commits[0] ?? "",
    message: "m",
    files: all.flatMap(([path, text]) =>
      text === undefined ? [] : [{ path, mode: "100644" as const, bytes: Buffer.from(text) }],
    ),
    deleted: all.flatMap(([path, text]) => (text === undefined ? [path] : [])),
  });
  return commit;
}

/** Both sides in a repository of a run, and what comes of them. */
async function merge(
  ours: Record<string, string | undefined>,
  theirs: Record<string, string | undefined>,
  before: Record<string, string> = first,
) {
  using host = createLocalHost(before);
  using data = dataFolder();
  const [head, base] = [await branchOff(host, ours), await branchOff(host, theirs)];
  const repository = await createRunRepository(data.path, host.mirror);
  const merged = await mergeCommits(repository, { head, base }, never);
  return { head, base, merged, theirs: merged.kind === "merged" ? await baseSide(repository, merged.merging) : "" };
}

function textsOf(merged: Merged): Record<string, string | undefined> {
  const changes = merged.kind === "merged" ? merged.changes : [];
  return Object.fromEntries(
    changes.map((change) => [change.path, change.mode === "deleted" ? undefined : change.bytes.toString()]),
  );
}

it("a merge without a conflict is the pull request's change on the base, and is handed in as it is", async () => {
  const { merged, theirs } = await merge({ "a.txt": "one\n2\n3\n", "c.txt": undefined }, { "a.txt": "1\n2\nthree\n" });

  expect(merged).toMatchObject({ kind: "merged", merging: { conflicts: [], says: [] } });
  expect(textsOf(merged)).toEqual({ "a.txt": "one\n2\nthree\n", "c.txt": undefined });
  expect(theirs).toBe("");
  expect(merged.kind === "merged" && cleanSubmission(merged.merging)?.cause).toContain("does not conflict");
});

it("conflicts are named with git's words, and stand in the files until somebody takes them out", async () => {
  const { head, base, merged, theirs } = await merge(
    { "a.txt": "1\nours\n3\n", "b.txt": undefined },
    { "a.txt": "1\ntheirs\n3\n", "b.txt": "bb\n" },
  );
  if (merged.kind !== "merged") throw new Error(merged.kind);
  const { merging, changes } = merged;

  expect(merging.conflicts).toEqual(["a.txt", "b.txt"]);
  expect(merging.says).toEqual([
    "CONFLICT (content): Merge conflict in a.txt",
    expect.stringMatching(
      new RegExp(`^CONFLICT \\(modify/delete\\): b.txt deleted in ${head} and modified in ${base}`),
    ),
  ]);
  expect(textsOf(merged)["a.txt"]).toBe(`1\n<<<<<<< ${head}\nours\n=======\ntheirs\n>>>>>>> ${base}\n3\n`);
  expect(theirs).toMatch(/-2\n\+theirs[^]*-b\n\+bb/);
  expect(cleanSubmission(merging)).toBeUndefined();
  expect(unresolvedIn(changes, merging)).toEqual(["a.txt"]);
  expect(undecidableIn(changes, merging)).toEqual(["b.txt"]);
  const half = `1\nours\ntheirs\n>>>>>>> ${base}\n3\n`;
  expect(unresolvedIn([{ path: "a.txt", mode: "100644", bytes: Buffer.from(half) }], merging)).toEqual(["a.txt"]);
  const text = "1\nours\ntheirs\n<<<<<<< HEAD is what git writes\n3\n";
  expect(unresolvedIn([{ path: "a.txt", mode: "100644", bytes: Buffer.from(text) }], merging)).toEqual([]);
});

it("there is nothing to merge where the branch has the base, or the base all of the branch's change", async () => {
  using host = createLocalHost(first, { "c.txt": "cc\n" });
  using data = dataFolder();
  const repository = await createRunRepository(data.path, host.mirror);
  const [base = "", head = ""] = host.commits;

  expect(await mergeCommits(repository, { head, base }, never)).toEqual({ kind: "contained" });
  expect((await merge({ "a.txt": "same\n" }, { "a.txt": "same\n", "c.txt": "cc\n" })).merged).toEqual({
    kind: "spent",
  });
});

const binary = (sign: string) => `\0${sign}\n`;

it.each([
  ["of a file that the branch deletes", { "b.txt": undefined }, { "b.txt": "bb\n" }, ["b.txt"]],
  ["of a file that the base deletes", { "b.txt": "bb\n" }, { "b.txt": undefined }, ["b.txt"]],
  ["of a binary file", { "new.bin": binary("1") }, { "new.bin": binary("2") }, ["new.bin"]],
  ["of a file and a folder", { new: "a file\n" }, { "new/in.txt": "in a folder\n" }, [/^new~/]],
])("a conflict %s is one, though git marks no lines of it", async (_what, ours, theirs, paths) => {
  const { merged } = await merge(ours, theirs);
  if (merged.kind !== "merged") throw new Error(merged.kind);

  const said = paths.map((path): unknown => expect.stringMatching(path));
  expect(merged.merging.conflicts).toEqual(said);
  expect(undecidableIn(merged.changes, merged.merging)).toEqual(said);
  expect(unresolvedIn(merged.changes, merged.merging)).toEqual([]);
});

it("a conflict of which git lists no path is one of the path that it speaks of", async () => {
  const { merged } = await merge(
    { "old/1.txt": undefined, "old/2.txt": undefined, "one/1.txt": "1\n", "two/2.txt": "2\n" },
    { "old/new.txt": "new\n" },
    { "old/1.txt": "1\n", "old/2.txt": "2\n" },
  );

  expect(merged).toMatchObject({ merging: { conflicts: ["old"], says: [expect.stringContaining("rename split")] } });
});

it("what has no commit in common is not merged", async () => {
  using host = createLocalHost(first);
  using data = dataFolder();
  const repository = await createRunRepository(data.path, host.mirror);
  const [base = ""] = host.commits;
  const head = host.git("commit-tree", `${base}^{tree}`, "-m", "alone");

  expect(await mergeCommits(repository, { head, base }, never)).toEqual({ kind: "unrelated" });
});
