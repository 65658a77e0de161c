import { expect, test } from "vitest";
import { type Engine, type Sandbox } from "../../sandbox/engine.ts";
import { readChanges } from "../../sandbox/changes.ts";
import { copyWorkspace, createWorkspace, repoDir, sealSetup, type Workspace } from "../../sandbox/workspace.ts";
import { git, shell, specOf, testEngine, testRepository } from "./support.ts";

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

test("what set-up wrote is no change: tracked files go back, the rest is known, hooks and configuration are gone", async () => {
  const engine = testEngine();
  using repository = testRepository({ "a.txt": "one\n", "package.json": "{}\n", ".gitignore": "node_modules\n" });
  await using workspace = await createWorkspace(engine, {
    run: "r",
    sources: repository,
    commit: repository.commits[0] ?? "",
  });
  await using sandbox = await sandboxOn(engine, workspace);
  await shell(
    sandbox,
    `echo '{"x":1}' >package.json; rm a.txt; echo lock >package-lock.json; echo other >other.txt; mkdir node_modules
     echo m >node_modules/m; git config core.fsmonitor 'touch /tmp/fired'; echo 'touch /tmp/fired' >.git/hooks-pre`,
  );

  await sealSetup(engine, workspace);

  expect(await readChanges(engine, workspace, bounds)).toEqual({ kind: "changes", changes: [] });
  expect(await shell(sandbox, "cat a.txt package.json node_modules/m; git config core.fsmonitor || echo none")).toBe(
    "one\n{}\nm\nnone\n",
  );
  await shell(sandbox, "echo edited >package-lock.json; rm other.txt");
  expect(await readChanges(engine, workspace, bounds)).toEqual({
    kind: "changes",
    changes: [{ path: "package-lock.json", mode: "100644", bytes: Buffer.from("edited\n") }],
  });
});

test("a copy has everything, and with a commit its tracked files become exactly that commit's", async () => {
  const engine = testEngine();
  using repository = testRepository(
    { "a.txt": "one\n", "gone.txt": "old\n", "same.txt": "same\n", ".gitignore": "node_modules\n" },
    { "a.txt": "two\n", "gone.txt": undefined, "new/file.txt": "new\n" },
  );
  const [first = "", second = ""] = repository.commits;
  await using workspace = await createWorkspace(engine, { run: "r", sources: repository, commit: first });
  {
    await using sandbox = await sandboxOn(engine, workspace);
    await shell(
      sandbox,
      "mkdir node_modules; echo m >node_modules/m; echo cache >$HOME/cache; echo changed >a.txt; mkdir new; echo x >new/file.txt",
    );
  }

  await using whole = await copyWorkspace(engine, workspace, { run: "r", sources: repository });
  await using moved = await copyWorkspace(engine, workspace, { run: "r", sources: repository, commit: second });

  await using one = await sandboxOn(engine, whole);
  expect(await shell(one, "cat a.txt gone.txt node_modules/m $HOME/cache; git rev-parse HEAD")).toBe(
    `changed\nold\nm\ncache\n${first}\n`,
  );
  await using two = await sandboxOn(engine, moved);
  expect(
    await shell(
      two,
      "cat a.txt new/file.txt node_modules/m $HOME/cache; ls gone.txt 2>&1 || :; git status --porcelain; git rev-parse HEAD",
    ),
  ).toBe(`two\nnew\nm\ncache\nls: cannot access 'gone.txt': No such file or directory\n${second}\n`);
});

test("disposing of a workspace removes its volume", async () => {
  const engine = testEngine();
  using repository = testRepository({ a: "1" });
  {
    await using workspace = await createWorkspace(engine, {
      run: "r",
      sources: repository,
      commit: repository.commits[0] ?? "",
    });
    expect((await engine.list()).map(({ kind, id, run }) => ({ kind, id, run }))).toEqual([
      { kind: "volume", id: workspace.volume, run: "r" },
    ]);
  }

  expect(await engine.list()).toEqual([]);
});
