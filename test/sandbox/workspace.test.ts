import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type Engine, type Sandbox } from "../../sandbox/engine.ts";
import { readChanges } from "../../sandbox/changes.ts";
import {
  copyWorkspace,
  createWorkspace,
  moveInside,
  repoDir,
  sealSetup,
  type Workspace,
} from "../../sandbox/workspace.ts";
import { git, removeKept, shell, specOf, testEngine, testRepository } from "./support.ts";

afterAll(removeKept);

const bounds = { maxFiles: 100, maxBytes: 1_000_000 };

async function sandboxOn(engine: Engine, workspace: Workspace): Promise<Sandbox> {
  return engine.startSandbox(specOf({ mounts: workspace.mounts, cwd: repoDir }));
}

test("a new workspace is the commit: clean, detached, without remotes and refs, and a repository to work in", async () => {
  const engine = testEngine();
  using repository = testRepository(
    { "a.txt": "one\n", "bin/run": "#!/bin/sh\n", link: "link:a.txt" },
    { "a.txt": "two\n" },
  );
  const commit = repository.commits[0] ?? "";

  await using workspace = await createWorkspace(engine, { run: "r", sources: repository, commit });
  await using sandbox = await sandboxOn(engine, workspace);

  expect(await shell(sandbox, "git status --porcelain --ignored")).toBe("");
  expect(await shell(sandbox, "git rev-parse HEAD; git remote; git for-each-ref; git branch --show-current")).toBe(
    `${commit}\n`,
  );
  expect(await shell(sandbox, "cat a.txt link; readlink link; echo $HOME; ls -d $HOME")).toBe(
    "one\none\na.txt\n/workspace/home\n/workspace/home\n",
  );
  expect(await shell(sandbox, "git log --oneline | wc -l; git config gc.auto")).toBe("1\n0\n");
  await shell(sandbox, "echo three >a.txt; git -c user.name=a -c user.email=b commit -qam x");
  expect(git(repository.mirror, "rev-parse", "main").trim()).toBe(repository.commits[1]);
});

test("a commit that is not in the mirror is an error that names it, and leaves no volume", async () => {
  const engine = testEngine();
  using repository = testRepository({ a: "1" });
  const commit = "1".repeat(40);

  await expect(createWorkspace(engine, { run: "r", sources: repository, commit })).rejects.toThrow(commit);

  expect(await engine.list()).toEqual([]);
});

test("a submodule's folder stays empty", async () => {
  const engine = testEngine();
  using repository = testRepository({ "a.txt": "one\n" });
  const tree = `${repository.folder}/tree`;
  git(tree, "update-index", "--add", "--cacheinfo", `160000,${repository.commits[0]},vendor/lib`);
  git(tree, "commit", "-q", "-m", "submodule");
  git(tree, "push", "-q", repository.mirror, "HEAD:main");
  const commit = git(tree, "rev-parse", "HEAD").trim();

  await using workspace = await createWorkspace(engine, { run: "r", sources: repository, commit });
  await using sandbox = await sandboxOn(engine, workspace);

  expect(await shell(sandbox, "ls -A vendor/lib; git status --porcelain")).toBe("");
  expect(await readChanges(engine, workspace, bounds)).toEqual({ kind: "changes", changes: [] });
});

test("files in Git LFS stay pointers, and names that differ in case alone are both there and may be edited", async () => {
  const engine = testEngine();
  const pointer = `version https://git-lfs.example.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 5\n`;
  const attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n";
  using repository = testRepository({
    ".gitattributes": attributes,
    "big.bin": pointer,
    "Name.txt": "1\n",
    "name.txt": "2\n",
  });
  const [commit = ""] = repository.commits;
  await using workspace = await createWorkspace(engine, { run: "r", sources: repository, commit });
  await using sandbox = await sandboxOn(engine, workspace);

  expect(await shell(sandbox, "cat big.bin Name.txt name.txt; git status --porcelain")).toBe(`${pointer}1\n2\n`);
  expect(await readChanges(engine, workspace, bounds)).toEqual({ kind: "changes", changes: [] });
  await shell(sandbox, "echo 3 >name.txt; sed -i s/5/6/ big.bin");
  const changed = await readChanges(engine, workspace, bounds);
  expect(changed.kind === "changes" && changed.changes.map(({ path }) => path)).toEqual(["big.bin", "name.txt"]);
  await shell(sandbox, "echo 4 >NAME.txt");
  const colliding = await readChanges(engine, workspace, bounds);
  expect(colliding.kind === "refused" && colliding.reasons[0]).toContain("NAME.txt");
});

test("disposing of a workspace removes its volume", async () => {
  const engine = testEngine();
  using repository = testRepository({ a: "1" });
  const [commit = ""] = repository.commits;
  {
    await using workspace = await createWorkspace(engine, { run: "r", sources: repository, commit });
    expect((await engine.list()).map(({ kind, id, run }) => ({ kind, id, run }))).toEqual([
      { kind: "volume", id: workspace.volume.name, run: "r" },
    ]);
  }

  expect(await engine.list()).toEqual([]);
});

test("this engine mounts an overlay of volumes", async () => {
  const engine = testEngine();

  expect(await engine.trees()).toBe("overlay");
  expect(await engine.list()).toEqual([]);
});

test("a repository whose objects have long names is sent, and so is what a run made on top of it", async () => {
  const engine = testEngine({ folders: "sent" });
  using folder = {
    path: mkdtempSync(join(tmpdir(), "agent-fix-long-")),
    [Symbol.dispose]: () => rmSync(folder.path, { recursive: true }),
  };
  const tree = join(folder.path, "tree");
  git(folder.path, "init", "-q", "--object-format=sha256", "-b", "main", "tree");
  const commit = (text: string) => {
    writeFileSync(join(tree, "a.txt"), text);
    git(tree, "add", "-A");
    git(tree, "commit", "-q", "-m", text);
    return git(tree, "rev-parse", "HEAD").trim();
  };
  const one = commit("one");
  git(folder.path, "clone", "-q", "--bare", "tree", "mirror.git");
  const two = commit("two");
  git(folder.path, "clone", "-q", "--bare", "--no-local", "tree", "own.git");
  const sources = { mirror: join(folder.path, "mirror.git") };
  await using base = await createWorkspace(engine, { run: "r", sources, commit: one });

  const extraObjects = [join(folder.path, "own.git", "objects")];
  await using moved = await copyWorkspace(engine, base, {
    run: "r",
    sources: { ...sources, extraObjects },
    commit: two,
  });

  await using sandbox = await sandboxOn(engine, moved);
  expect(await shell(sandbox, "cat a.txt; git status --porcelain; git rev-parse HEAD")).toBe(`two${two}\n`);
});

const ways = [
  { trees: "overlay", folders: "shared" },
  { trees: "copy", folders: "shared" },
  { trees: "overlay", folders: "sent" },
  { trees: "copy", folders: "sent" },
] as const;
describe.each(ways)("a tree that is stored as $trees, on an engine with which folders are $folders", (way) => {
  const first = { "a.txt": "one\n", "gone.txt": "old\n", "same/s.txt": "same\n", ".gitignore": "node_modules\n" };
  const second = { "a.txt": "two\n", "gone.txt": undefined, "new/file.txt": "new\n" };

  test("what set-up wrote is no change: tracked files go back, the rest stays, hooks and configuration are gone", async () => {
    const engine = testEngine(way);
    using repository = testRepository({ "a.txt": "one\n", "package.json": "{}\n", ".gitignore": "node_modules\n" });
    const [commit = ""] = repository.commits;
    const owner = { run: "r", sources: repository };
    await using base = await createWorkspace(engine, { ...owner, commit });
    await using setup = await copyWorkspace(engine, base, owner);
    {
      await using sandbox = await sandboxOn(engine, setup);
      await shell(
        sandbox,
        `echo '{"x":1}' >package.json; rm a.txt; echo lock >package-lock.json; echo other >other.txt; mkdir node_modules
         echo m >node_modules/m; git config core.fsmonitor 'touch /tmp/fired'; echo 'touch /tmp/fired' >.git/hooks-pre`,
      );
    }

    await sealSetup(engine, setup);

    await using workspace = await copyWorkspace(engine, setup, owner);
    await using sandbox = await sandboxOn(engine, workspace);
    expect(await readChanges(engine, workspace, bounds)).toEqual({ kind: "changes", changes: [] });
    expect(await shell(sandbox, "cat a.txt package.json node_modules/m; git config core.fsmonitor || echo none")).toBe(
      "one\n{}\nm\nnone\n",
    );
    await shell(sandbox, "echo edited >package-lock.json; rm other.txt; ls .git/hooks-pre && exit 1 || true");
    expect(await readChanges(engine, workspace, bounds)).toEqual({
      kind: "changes",
      changes: [{ path: "package-lock.json", mode: "100644", bytes: Buffer.from("edited\n") }],
    });
  });

  test("a copy has everything, and with a commit its tracked files become exactly that commit's", async () => {
    const engine = testEngine(way);
    using repository = testRepository(first, second);
    const [one = "", two = ""] = repository.commits;
    const owner = { run: "r", sources: repository };
    await using workspace = await createWorkspace(engine, { ...owner, commit: one });
    {
      await using sandbox = await sandboxOn(engine, workspace);
      await shell(
        sandbox,
        "mkdir node_modules; echo m >node_modules/m; echo cache >$HOME/cache; echo changed >a.txt; mkdir new; echo x >new/file.txt",
      );
    }

    await using whole = await copyWorkspace(engine, workspace, owner);
    await using moved = await copyWorkspace(engine, workspace, { ...owner, commit: two });

    await using boxOfWhole = await sandboxOn(engine, whole);
    expect(await shell(boxOfWhole, "cat a.txt gone.txt node_modules/m $HOME/cache; git rev-parse HEAD")).toBe(
      `changed\nold\nm\ncache\n${one}\n`,
    );
    await using boxOfMoved = await sandboxOn(engine, moved);
    const all =
      "cat a.txt new/file.txt node_modules/m $HOME/cache; ls gone.txt 2>&1 || :; git status --porcelain; git rev-parse HEAD";
    expect(await shell(boxOfMoved, all)).toBe(
      `two\nnew\nm\ncache\nls: cannot access 'gone.txt': No such file or directory\n${two}\n`,
    );
  });

  test("a sandbox brings its tree to another commit by itself, and what the agent does then is the change", async () => {
    const engine = testEngine(way);
    using repository = testRepository(first, second);
    const [one = "", two = ""] = repository.commits;
    const owner = { run: "r", sources: repository };
    await using base = await createWorkspace(engine, { ...owner, commit: one });
    await using workspace = await copyWorkspace(engine, base, owner);
    await using sandbox = await sandboxOn(engine, workspace);

    await moveInside(engine, { workspace, sandbox }, two);

    expect(workspace.commit).toBe(two);
    expect(await shell(sandbox, "git status --porcelain; git rev-parse HEAD; cat a.txt new/file.txt; ls")).toBe(
      `${two}\ntwo\nnew\na.txt\nnew\nsame\n`,
    );
    expect(await readChanges(engine, workspace, bounds)).toEqual({ kind: "changes", changes: [] });
    await shell(sandbox, "mv same other; rm -r new; mkdir new; echo x >new/y");
    const changes = await readChanges(engine, workspace, bounds);
    expect(changes.kind === "changes" && changes.changes.map(({ path, mode }) => `${mode} ${path}`)).toEqual([
      "deleted new/file.txt",
      "100644 new/y",
      "100644 other/s.txt",
      "deleted same/s.txt",
    ]);
  });

  test("what is in the way of the other commit gives way, and what else is there stays", async () => {
    const engine = testEngine(way);
    using repository = testRepository(first, second);
    const [one = "", two = ""] = repository.commits;
    const owner = { run: "r", sources: repository };
    await using base = await createWorkspace(engine, { ...owner, commit: one });
    await using workspace = await copyWorkspace(engine, base, owner);
    await using sandbox = await sandboxOn(engine, workspace);
    await shell(sandbox, "mkdir new; echo mine | tee new/file.txt new/other a.txt");

    await moveInside(engine, { workspace, sandbox }, two);

    expect(await shell(sandbox, "git status --porcelain; cat a.txt new/file.txt new/other")).toBe(
      "?? new/other\ntwo\nnew\nmine\n",
    );
  });

  test("folders that were exchanged by renaming are changes, file by file", async () => {
    const engine = testEngine(way);
    using repository = testRepository({ "one/a": "1\n", "one/b": "same\n", "two/a": "2\n", "two/b": "same\n" });
    const [commit = ""] = repository.commits;
    const owner = { run: "r", sources: repository };
    await using base = await createWorkspace(engine, { ...owner, commit });
    await using workspace = await copyWorkspace(engine, base, owner);
    await using sandbox = await sandboxOn(engine, workspace);

    await shell(
      sandbox,
      'python3 -c \'import os; os.rename("one","x"); os.rename("two","one"); os.rename("x","two")\'',
    );

    expect(await readChanges(engine, workspace, bounds)).toEqual({
      kind: "changes",
      changes: [
        { path: "one/a", mode: "100644", bytes: Buffer.from("2\n") },
        { path: "two/a", mode: "100644", bytes: Buffer.from("1\n") },
      ],
    });
  });

  test("two copies of one tree know nothing of each other, and the tree below stays as it was", async () => {
    const engine = testEngine(way);
    using repository = testRepository({ "a.txt": "one\n" });
    const [commit = ""] = repository.commits;
    const owner = { run: "r", sources: repository };
    await using base = await createWorkspace(engine, { ...owner, commit });
    await using left = await copyWorkspace(engine, base, owner);
    await using right = await copyWorkspace(engine, base, owner);
    await using inLeft = await sandboxOn(engine, left);
    await using inRight = await sandboxOn(engine, right);

    await shell(inLeft, "echo left >a.txt; echo l >$HOME/l");
    await shell(inRight, "rm a.txt; git status --porcelain | grep -qx ' D a.txt'; ls $HOME | wc -l | grep -qx 0");

    await using inBase = await sandboxOn(engine, base);
    expect(await shell(inBase, "cat a.txt; ls $HOME")).toBe("one\n");
    expect(await shell(inLeft, "cat a.txt")).toBe("left\n");
  });

  test("a new file comes out with the mode it has, and one that its owner closed is refused unless it is ignored", async () => {
    const engine = testEngine(way);
    using repository = testRepository(first);
    const [commit = ""] = repository.commits;
    const owner = { run: "r", sources: repository };
    await using base = await createWorkspace(engine, { ...owner, commit });
    await using workspace = await copyWorkspace(engine, base, owner);
    await using sandbox = await sandboxOn(engine, workspace);
    const unseen = { ...workspace, volume: { ...workspace.volume, mountpoint: "/nowhere" } };

    await shell(sandbox, "mkdir -p x node_modules; for f in x/run.sh node_modules/shut; do echo 1 >$f; done");
    await shell(sandbox, "chmod 755 x/run.sh; chmod 0 node_modules/shut");
    const here = await readChanges(engine, workspace, bounds);
    const inHelper = await readChanges(engine, unseen, bounds);
    await shell(sandbox, "echo 1 >x/shut; chmod 0 x/shut");
    const closed = await readChanges(engine, workspace, bounds);
    const closedInHelper = await readChanges(engine, unseen, bounds);

    const changes = [{ path: "x/run.sh", mode: "100755", bytes: Buffer.from("1\n") }];
    expect(here).toEqual({ kind: "changes", changes });
    expect(inHelper).toEqual(here);
    const reasons = ["x/shut: Permission denied. Let its owner read it, or remove it."];
    expect(closed).toEqual({ kind: "refused", reasons });
    expect(closedInHelper).toEqual(closed);
  });

  test("the change reads the same in a helper container, where the host can't see the tree", async () => {
    const engine = testEngine(way);
    using repository = testRepository(first);
    const [commit = ""] = repository.commits;
    const owner = { run: "r", sources: repository };
    await using base = await createWorkspace(engine, { ...owner, commit });
    await using workspace = await copyWorkspace(engine, base, owner);
    {
      await using sandbox = await sandboxOn(engine, workspace);
      await shell(
        sandbox,
        "echo two >a.txt; rm gone.txt; mkdir -p x node_modules; printf '\\303\\274\\000' >x/ü; echo 1 >node_modules/1",
      );
    }
    const unseen = { ...workspace, volume: { ...workspace.volume, mountpoint: "/nowhere" } };

    const here = await readChanges(engine, workspace, bounds);
    const inHelper = await readChanges(engine, unseen, bounds);

    expect(inHelper).toEqual(here);
    expect(here).toEqual({
      kind: "changes",
      changes: [
        { path: "a.txt", mode: "100644", bytes: Buffer.from("two\n") },
        { path: "gone.txt", mode: "deleted" },
        { path: "x/ü", mode: "100644", bytes: Buffer.from([0xc3, 0xbc, 0]) },
      ],
    });
  });
});
