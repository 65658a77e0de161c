import { execFileSync, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { extname, join } from "node:path";
import { array, assert, asyncProperty, constantFrom, dictionary, record, uint8Array } from "fast-check";
import { describe, expect, it } from "vitest";
import type { Change } from "../../sandbox/changes.ts";
import { createRunRepository } from "../../worker/checkout.ts";
import { git, GitFailed } from "../../sandbox/git.ts";
import { ChangeRefused, readBranchPatch, readCommitChange, readPatch, rebuildCommit } from "../../worker/rebuild.ts";
import { git as plainGit, testRepository } from "../sandbox/support.ts";

const never = new AbortController().signal;
const files = {
  "edited.txt": "one\ntwo\n",
  "deleted.txt": "bye\n",
  "mode.sh": "#!/bin/sh\n",
  "deep/er/name.txt": "deep\n",
  link: "link:edited.txt",
};

/** A run's repository on a commit with `files`. */
async function open(...sets: Record<string, string | undefined>[]) {
  const source = testRepository(files, ...sets);
  const runDir = join(source.folder, "run");
  mkdirSync(runDir);
  const path = await createRunRepository(runDir, source.mirror);
  return { ...source, path, base: source.commits[0] ?? "", [Symbol.dispose]: () => source[Symbol.dispose]() };
}

function file(path: string, bytes: string | Buffer, mode: "100644" | "100755" | "120000" = "100644"): Change {
  return { path, mode, bytes: Buffer.from(bytes) };
}

function submodule(line: string): string {
  return `[submodule "x"]\n\t${line}\n`;
}

function buildFolders(repository: string): string[] {
  return readdirSync(repository).filter((name) => name.startsWith("build"));
}

interface ChildMessage {
  process: ChildProcess;
}

function isChild(message: unknown): message is ChildMessage {
  return typeof message === "object" && message !== null && "process" in message;
}

function folderOf({ spawnargs }: ChildProcess): string | undefined {
  return spawnargs.find((arg) => arg.startsWith("--git-dir="));
}

/** Every file of a tree: mode and content by path. */
async function treeOf(repository: string, tree: string): Promise<Map<string, string>> {
  const rows = (await git(["ls-tree", "-rz", tree], { gitDir: repository }))
    .toString("utf8")
    .split("\0")
    .filter(Boolean);
  const entries = rows.map(async (row): Promise<[string, string]> => {
    const [mode = "", , oid = ""] = row.slice(0, row.indexOf("\t")).split(" ");
    const bytes = await git(["cat-file", "blob", oid], { gitDir: repository });
    return [row.slice(row.indexOf("\t") + 1), `${mode} ${bytes.toString("hex")}`];
  });
  return new Map(await Promise.all(entries));
}

describe("rebuildCommit", () => {
  it("makes one commit on the base that holds the change byte by byte, and nothing else", async () => {
    using repository = await open();
    const binary = Buffer.from([0, 1, 255, 13, 10, 128]);

    const built = await rebuildCommit(
      repository.path,
      repository.base,
      [
        file("edited.txt", "one\r\nthree"),
        file("mode.sh", "#!/bin/sh\n", "100755"),
        file("new/bin", binary),
        file("new/empty", ""),
        file("out", "../../etc/passwd", "120000"),
        file("sp ace ü\"'\t\n*", "x"),
        file("--upload-pack=x", "x"),
        { path: "deleted.txt", mode: "deleted" },
      ],
      never,
    );

    const hex = (text: string | Buffer) => Buffer.from(text).toString("hex");
    expect(Object.fromEntries(await treeOf(repository.path, built.tree))).toEqual({
      "--upload-pack=x": `100644 ${hex("x")}`,
      "deep/er/name.txt": `100644 ${hex("deep\n")}`,
      "edited.txt": `100644 ${hex("one\r\nthree")}`,
      link: `120000 ${hex("edited.txt")}`,
      "mode.sh": `100755 ${hex("#!/bin/sh\n")}`,
      "new/bin": `100644 ${hex(binary)}`,
      "new/empty": "100644 ",
      out: `120000 ${hex("../../etc/passwd")}`,
      "sp ace ü\"'\t\n*": `100644 ${hex("x")}`,
    });
    const facts = await git(["log", "-1", "--format=%P %T %an", built.commit], { gitDir: repository.path });
    expect(facts.toString()).toBe(`${repository.base} ${built.tree} agent-fix\n`);
  });

  it("gives the same commit for the same change, in whatever order, at whatever time, and leaves nothing beside it", async () => {
    using repository = await open();
    const changes = [file("a/b", "1"), file("edited.txt", "2"), { path: "deleted.txt", mode: "deleted" } as const];
    const before = readdirSync(repository.path, { recursive: true }).map(String);

    const first = await rebuildCommit(repository.path, repository.base, changes, never);
    const after = readdirSync(repository.path, { recursive: true }).map(String);
    const date = await git(["log", "-1", "--format=%ct"], { gitDir: repository.mirror });
    const again = await rebuildCommit(repository.path, repository.base, changes.toReversed(), never);

    expect(again).toEqual(first);
    const facts = await git(["log", "-1", "--format=%at %ct %cn", first.commit], { gitDir: repository.path });
    expect(facts.toString()).toBe(`${date.toString().trim()} ${date.toString().trim()} agent-fix\n`);
    expect(
      after.filter((name) => !before.includes(name) && !/^objects\/pack\/pack-\w+\.(?:pack|idx)$/.test(name)),
    ).toEqual([]);
  });

  it("goes on where a process was killed: what that one left half done is removed and changes nothing", async () => {
    using repository = await open();
    const changes = [file("a/b", "1"), file("edited.txt", "2")];
    using other = await open();
    const wanted = await rebuildCommit(other.path, other.base, changes, never);
    const build = join(repository.path, "build-torn");
    mkdirSync(join(build, "objects", "pack"), { recursive: true });
    for (const name of ["HEAD", "config", "objects/pack/tmp_pack_a", "objects/pack/pack-torn.pack"]) {
      writeFileSync(join(build, name), "torn");
    }

    const built = await rebuildCommit(repository.path, repository.base, changes, never);

    expect(built.tree).toBe(wanted.tree);
    expect(buildFolders(repository.path)).toEqual([]);
    expect((await git(["fsck", "--strict", built.commit], { gitDir: repository.path })).toString()).toBe("");
  });

  it.each([1, 2, 3, 4])(
    "goes on after kill -9 at the start of its process number %i, which lives on in a folder that no other uses, with the same commit",
    async (nth) => {
      using repository = await open();
      using other = await open();
      const text = "x".repeat(1000);
      const wanted = await rebuildCommit(other.path, other.base, [file("a/b", text)], never);
      const program = `
      import { subscribe } from "node:diagnostics_channel";
      import { rebuildCommit } from ${JSON.stringify(new URL("../../worker/rebuild.ts", import.meta.url).href)};
      let started = 0;
      subscribe("child_process", ({ process: child }) => {
        child.once("spawn", () => {
          if (++started !== ${nth}) return;
          console.log(child.spawnargs.find((arg) => arg.startsWith("--git-dir=")));
          process.kill(process.pid, "SIGKILL");
        });
      });
      const changes = [{ path: "a/b", mode: "100644", bytes: Buffer.from(${JSON.stringify(text)}) }];
      await rebuildCommit(${JSON.stringify(repository.path)}, ${JSON.stringify(repository.base)}, changes, new AbortController().signal);`;

      const killed = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
      const folders: (string | undefined)[] = [];
      const note = (message: unknown) => {
        if (isChild(message)) message.process.once("spawn", () => folders.push(folderOf(message.process)));
      };
      subscribe("child_process", note);
      const built = await rebuildCommit(repository.path, repository.base, [file("a/b", text)], never);
      unsubscribe("child_process", note);

      expect(killed.signal).toBe("SIGKILL");
      expect(killed.stdout).toMatch(/^--git-dir=.*build/);
      expect(folders).toHaveLength(4);
      expect(folders).not.toContain(killed.stdout.trim());
      expect(built.tree).toBe(wanted.tree);
      // What lives on makes its folder again; the next attempt removes it.
      const orphans = killed.stdout.trim().split("/").at(-1);
      expect(buildFolders(repository.path).filter((name) => name !== orphans)).toEqual([]);
      expect(
        readdirSync(join(repository.path, "objects", "pack"))
          .map((name) => extname(name))
          .toSorted(),
      ).toEqual([".idx", ".pack"]);
    },
  );

  it("may delete every file", async () => {
    using repository = await open();
    const paths = ["edited.txt", "deleted.txt", "mode.sh", "deep/er/name.txt", "link"];

    const changes = paths.map((path) => ({ path, mode: "deleted" as const }));
    const { commit, tree } = await rebuildCommit(repository.path, repository.base, changes, never);

    expect(await treeOf(repository.path, tree)).toEqual(new Map());
    expect((await readCommitChange(repository.path, repository.base, commit)).deleted.toSorted()).toEqual(
      paths.toSorted(),
    );
  });

  it("needs as many processes for hundreds of files as for one", async () => {
    using repository = await open();
    const seen: string[] = [];
    const note = (message: unknown) => {
      if (isChild(message)) message.process.once("spawn", () => seen.push(message.process.spawnargs.join(" ")));
    };
    const many = Array.from({ length: 300 }, (_, index) => file(`many/${index % 7}/${index}`, `${index}`));
    subscribe("child_process", note);
    try {
      const { commit } = await rebuildCommit(repository.path, repository.base, many, never);
      const read = await readCommitChange(repository.path, repository.base, commit);
      expect(read.files).toHaveLength(300);
    } finally {
      unsubscribe("child_process", note);
    }

    expect(seen.length).toBeGreaterThan(0);
    expect(seen.length).toBeLessThan(10);
    expect(seen.filter((line) => !line.startsWith("git ") || !line.includes("--git-dir="))).toEqual([]);
  });

  it("builds on a repository of sha256 objects", async () => {
    const folder = mkdtempSync(join(tmpdir(), "agent-fix-test-"));
    const bare = join(folder, "repo.git");
    execFileSync("git", ["init", "-q", "--bare", "--object-format=sha256", bare]);
    const at = { gitDir: bare };
    const blob = (await git(["hash-object", "-w", "--stdin"], { ...at, stdin: "one\n" })).toString().trim();
    const empty = (await git(["mktree"], { ...at, stdin: `100644 blob ${blob}\ta.txt\n` })).toString().trim();
    const env = { GIT_AUTHOR_NAME: "t", GIT_AUTHOR_EMAIL: "t@t", GIT_COMMITTER_NAME: "t", GIT_COMMITTER_EMAIL: "t@t" };
    const base = (await git(["commit-tree", empty, "-m", "base"], { ...at, env })).toString().trim();

    const changes = [{ path: "a.txt", mode: "deleted" } as const, file("b/c.txt", "two\n")];
    const built = await rebuildCommit(bare, base, changes, never);

    expect(built.commit).toMatch(/^[0-9a-f]{64}$/);
    expect(await readCommitChange(bare, base, built.commit)).toEqual({
      files: [{ path: "b/c.txt", mode: "100644", bytes: Buffer.from("two\n") }],
      deleted: ["a.txt"],
    });
    rmSync(folder, { recursive: true });
  });

  it("takes nothing of an earlier round along", async () => {
    using repository = await open();

    await rebuildCommit(repository.path, repository.base, [file("first.txt", "1")], never);
    const second = await rebuildCommit(repository.path, repository.base, [file("second.txt", "2")], never);

    const paths = [...(await treeOf(repository.path, second.tree)).keys()];
    expect(paths).toContain("second.txt");
    expect(paths).not.toContain("first.txt");
  });

  it("turns a file into a folder and a folder into a file", async () => {
    using repository = await open();

    const { tree } = await rebuildCommit(
      repository.path,
      repository.base,
      [
        file("deep", "a file now"),
        { path: "deep/er/name.txt", mode: "deleted" },
        file("edited.txt/in", "a folder now"),
        { path: "edited.txt", mode: "deleted" },
      ],
      never,
    );

    expect([...(await treeOf(repository.path, tree)).keys()].toSorted()).toEqual([
      "deep",
      "deleted.txt",
      "edited.txt/in",
      "link",
      "mode.sh",
    ]);
  });

  it.each([
    [".git/config", /^git refuses the change: hasDotgit/],
    ["sub/.git/hooks/post-checkout", /hasDotgit/],
    ["sub/.git", /hasDotgit/],
    [".GIT/config", /hasDotgit/],
    ["git~1/config", /hasDotgit/],
    [".git. ./config", /hasDotgit/],
    [".git::$INDEX_ALLOCATION/config", /hasDotgit/],
    ["a\\.git\\config", /hasDotgit/],
    [".g\u200cit/config", /hasDotgit/],
    ["a/../b", /hasDotdot/],
    ["../out", /hasDotdot/],
    ["./a", /hasDot:/],
    ["/etc/x", /empty component/],
    ["a//b", /empty component/],
    ["", /empty component/],
    ["edited.txt/below", /does not hold exactly the changes/],
    ["nul\0byte", /does not hold exactly the changes/],
    ["lone\ud800", /does not hold exactly the changes/],
  ])("makes no commit with the path %j, and takes nothing of it in", async (path, reason) => {
    using repository = await open();
    const objects = () => readdirSync(join(repository.path, "objects"), { recursive: true });
    const before = objects();

    const built = rebuildCommit(repository.path, repository.base, [file("edited.txt", "x"), file(path, "y")], never);

    await expect(built).rejects.toThrow(reason);
    await expect(built).rejects.toBeInstanceOf(ChangeRefused);
    expect(objects()).toEqual(before);
    expect(buildFolders(repository.path)).toEqual([]);
  });

  it.each([
    ["a link in place of .gitmodules", file(".gitmodules", "edited.txt", "120000"), /gitmodulesSymlink/],
    ["a submodule that updates by a command", file(".gitmodules", submodule("update = !id")), /gitmodulesUpdate/],
    [
      "a submodule whose address is an option",
      file(".gitmodules", submodule("url = --upload-pack=id")),
      /gitmodulesUrl/,
    ],
    ["a submodule whose path is an option", file(".gitmodules", submodule("path = -x")), /gitmodulesPath/],
    ["a submodule whose name leads out", file(".gitmodules", '[submodule "../../x"]\n\turl = a\n'), /gitmodulesName/],
  ])("makes no commit with %s", async (_what, change, reason) => {
    using repository = await open();

    const built = rebuildCommit(repository.path, repository.base, [change], never);

    await expect(built).rejects.toThrow(reason);
    await expect(built).rejects.toBeInstanceOf(ChangeRefused);
  });

  it("does not take an error of the machine for a fault of the change", async () => {
    using repository = await open();

    const built = rebuildCommit(repository.path, "0".repeat(40), [file("edited.txt", "x")], never);

    await expect(built).rejects.toBeInstanceOf(GitFailed);
  });

  it("ends with the reason of its signal, and leaves nothing", async () => {
    using repository = await open();
    const reason = new Error("stopped: label removed");

    const built = rebuildCommit(repository.path, repository.base, [file("a", "x")], AbortSignal.abort(reason));

    await expect(built).rejects.toThrow(reason);
    expect(buildFolders(repository.path)).toEqual([]);
  });

  it("makes no commit when a change would be none", async () => {
    using repository = await open();

    for (const change of [file("edited.txt", "one\ntwo\n"), { path: "never.txt", mode: "deleted" } as const]) {
      const built = rebuildCommit(repository.path, repository.base, [change], never);
      await expect(built).rejects.toThrow("does not hold exactly the changes");
    }
  });

  it("follows no attribute, hook or configuration that the change brings", async () => {
    using repository = await open();
    const fired = join(repository.folder, "fired");

    const { commit, tree } = await rebuildCommit(
      repository.path,
      repository.base,
      [
        file(".gitattributes", "* text eol=crlf filter=x diff=x merge=x ident export-subst\n"),
        file(".gitconfig", `[filter "x"]\n clean = touch ${fired}\n[diff "x"]\n textconv = touch ${fired}\n`),
        file("edited.txt", "$Id$\r\n"),
      ],
      never,
    );
    const patch = await readPatch(repository.path, repository.base, commit);

    expect((await treeOf(repository.path, tree)).get("edited.txt")).toBe(
      `100644 ${Buffer.from("$Id$\r\n").toString("hex")}`,
    );
    expect(patch).toContain("+$Id$\r\n");
    expect(existsSync(fired)).toBe(false);
  });
});

describe("readCommitChange", () => {
  it("gives back what went into rebuildCommit, for any change of any small tree", async () => {
    using repository = testRepository();
    const runDir = join(repository.folder, "run");
    mkdirSync(runDir);
    const path = await createRunRepository(runDir, repository.mirror);
    const empty = (await git(["mktree"], { gitDir: path, stdin: "" })).toString().trim();
    const who = { GIT_AUTHOR_NAME: "t", GIT_AUTHOR_EMAIL: "t@t", GIT_COMMITTER_NAME: "t", GIT_COMMITTER_EMAIL: "t@t" };
    const root = (await git(["commit-tree", empty, "-m", "root"], { gitDir: path, env: who })).toString().trim();
    const name = constantFrom("a", "b", "ü", "-x", "sp ace", 'q"', "Z");
    const paths = array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
    const content = record({
      mode: constantFrom("100644" as const, "100755" as const, "120000" as const),
      bytes: uint8Array({ minLength: 1, maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
    });
    type Tree = Map<string, { mode: "100644" | "100755" | "120000"; bytes: Buffer }>;
    // No path of a tree may be a folder of another one.
    const tree = dictionary(paths, content, { maxKeys: 6 }).map((files): Tree => {
      const kept: Tree = new Map();
      for (const [path, value] of Object.entries(files)) {
        const clash = [...kept.keys()].some((other) => other.startsWith(`${path}/`) || path.startsWith(`${other}/`));
        if (!clash) kept.set(path, value);
      }
      return kept;
    });
    const difference = (from: Tree, to: Tree): Change[] => [
      ...[...from.keys()].filter((path) => !to.has(path)).map((path) => ({ path, mode: "deleted" as const })),
      ...[...to]
        .filter(([path, { mode, bytes }]) => from.get(path)?.mode !== mode || !from.get(path)?.bytes.equals(bytes))
        .map(([path, value]) => ({ path, ...value })),
    ];
    const byPath = <T extends { path: string }>(rows: T[]) => rows.toSorted((a, b) => (a.path < b.path ? -1 : 1));

    await assert(
      asyncProperty(tree, tree, async (from, to) => {
        const base = (await rebuildCommit(path, root, difference(new Map(), from), never)).commit;
        const changes = difference(from, to);

        const built = await rebuildCommit(path, base, changes, never);
        const read = await readCommitChange(path, base, built.commit);

        expect(byPath(read.files)).toEqual(byPath(changes.filter((change) => change.mode !== "deleted")));
        expect(read.deleted.toSorted()).toEqual(
          changes
            .filter((change) => change.mode === "deleted")
            .map((change) => change.path)
            .toSorted(),
        );
      }),
      { numRuns: 40 },
    );
  }, 120_000);
});

describe("readPatch", () => {
  it("is a patch that turns a checkout of the base into the commit, with binary files, modes and links", async () => {
    using repository = await open();
    const { commit, tree } = await rebuildCommit(
      repository.path,
      repository.base,
      [
        file("bin", Buffer.from([0, 255, 10, 13])),
        file("mode.sh", "#!/bin/sh\n", "100755"),
        file("link", "mode.sh", "120000"),
        { path: "deleted.txt", mode: "deleted" },
      ],
      never,
    );

    const patch = join(repository.folder, "change.patch");
    writeFileSync(patch, await readPatch(repository.path, repository.base, commit));
    const checkout = join(repository.folder, "tree");
    plainGit(checkout, "checkout", "-q", repository.base);
    plainGit(checkout, "apply", "--index", patch);

    expect(plainGit(checkout, "write-tree").trim()).toBe(tree);
    rmSync(patch);
  });
});

describe("readBranchPatch", () => {
  it("shows what a branch adds since it left the other one, and says when it cuts", async () => {
    using repository = await open({ "later.txt": "on main\n" });
    const tree = join(repository.folder, "tree");
    plainGit(tree, "checkout", "-q", "-b", "work", repository.base);
    writeFileSync(join(tree, "mine.txt"), "mine\n".repeat(20_000));
    plainGit(tree, "add", "-A");
    plainGit(tree, "commit", "-q", "-m", "mine");
    plainGit(tree, "push", "-q", repository.mirror, "work");

    const patch = await readBranchPatch(repository.mirror, "main", plainGit(tree, "rev-parse", "work").trim());

    expect(patch).toContain("+++ b/mine.txt");
    expect(patch).not.toContain("later.txt");
    expect(patch).toMatch(/\n\[the rest of the patch is left out\]$/);
    expect(patch.length).toBeLessThan(60_100);
  });

  it("shows what a branch has that the other one has not, where that one was begun anew", async () => {
    using repository = await open({ "later.txt": "on main\n" });
    const { mirror } = repository;
    const before = plainGit(mirror, "rev-parse", "main").trim();
    const empty = plainGit(mirror, "hash-object", "-t", "tree", "-w", "/dev/null").trim();
    plainGit(mirror, "update-ref", "refs/heads/main", plainGit(mirror, "commit-tree", empty, "-m", "anew").trim());

    expect(await readBranchPatch(mirror, "main", before)).toContain("+++ b/later.txt");
  });
});
