import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { type Change, readChanges } from "../../sandbox/changes.ts";
import type { Engine } from "../../sandbox/engine.ts";
import { createWorkspace, repoDir, type Workspace } from "../../sandbox/workspace.ts";
import { shell, specOf, testEngine, testRepository } from "./support.ts";

const bounds = { maxFiles: 50, maxBytes: 1_000_000 };
const base = {
  "edited.txt": "one\ntwo\n",
  "deleted.txt": "bye\n",
  "mode.sh": "#!/bin/sh\n",
  "old/name.txt": "the same text\n",
  ".gitignore": "node_modules\n*.log\n",
};

interface Edited extends AsyncDisposable {
  engine: Engine;
  workspace: Workspace;
}

/** A workspace in which a sandbox ran these commands as the agent. */
async function edited(commands: string, files: Record<string, string> = base): Promise<Edited> {
  const engine = testEngine();
  const repository = testRepository(files);
  const commit = repository.commits[0] ?? "";
  const workspace = await createWorkspace(engine, { run: "r", sources: repository, commit });
  {
    await using sandbox = await engine.startSandbox(specOf({ mounts: workspace.mounts, cwd: repoDir }));
    await shell(sandbox, commands);
  }
  return {
    engine,
    workspace,
    async [Symbol.asyncDispose]() {
      await workspace[Symbol.asyncDispose]();
      repository[Symbol.dispose]();
    },
  };
}

async function changesAfter(commands: string, files?: Record<string, string>) {
  await using it = await edited(commands, files);
  return await readChanges(it.engine, it.workspace, bounds);
}

test("edits, deletions, modes, binary files, renames and links come out exact; ignored files stay", async () => {
  const result = await changesAfter(`
    printf 'one\\nthree\\n' >edited.txt; rm deleted.txt; chmod +x mode.sh; mkdir -p new/deep
    git mv old/name.txt new/name.txt; ln -s ../edited.txt new/link
    printf '\\000\\001\\377\\r\\n' >new/deep/binary; : >new/empty; printf x >"new/sp ace ü'\\""
    mkdir -p node_modules/x; echo 1 >node_modules/x/y; echo 1 >a.log; git add -A; git -c user.name=a -c user.email=b commit -qm all`);

  const byPath = (left: Change, right: Change) => (left.path < right.path ? -1 : 1);
  expect(result.kind === "changes" ? result.changes.toSorted(byPath) : result).toEqual([
    { path: "deleted.txt", mode: "deleted" },
    { path: "edited.txt", mode: "100644", bytes: Buffer.from("one\nthree\n") },
    { path: "mode.sh", mode: "100755", bytes: Buffer.from("#!/bin/sh\n") },
    { path: "new/deep/binary", mode: "100644", bytes: Buffer.from([0, 1, 255, 13, 10]) },
    { path: "new/empty", mode: "100644", bytes: Buffer.alloc(0) },
    { path: "new/link", mode: "120000", bytes: Buffer.from("../edited.txt") },
    { path: "new/name.txt", mode: "100644", bytes: Buffer.from("the same text\n") },
    { path: "new/sp ace ü'\"", mode: "100644", bytes: Buffer.from("x") },
    { path: "old/name.txt", mode: "deleted" },
  ]);
});

test("what is ignored follows the rules and the files from look to look", async () => {
  await using it = await edited("mkdir -p sub; echo 1 >a.log; echo 1 >sub/b.log; echo 1 >sub/c.txt");
  const look = async (commands: string) => {
    await using sandbox = await it.engine.startSandbox(specOf({ mounts: it.workspace.mounts, cwd: repoDir }));
    await shell(sandbox, commands);
    const result = await readChanges(it.engine, it.workspace, bounds);
    return result.kind === "changes" ? result.changes.map(({ path }) => path) : result.reasons;
  };

  expect(await look("true")).toEqual(["sub/c.txt"]);
  expect(await look("echo 2 >sub/c.txt")).toEqual(["sub/c.txt"]);
  expect(await look("echo '!b.log' >sub/.gitignore")).toEqual(["sub/.gitignore", "sub/b.log", "sub/c.txt"]);
  expect(await look("echo '*.txt' >sub/.gitignore")).toEqual(["sub/.gitignore"]);
  expect(await look("rm sub/.gitignore; echo 1 >sub/d.log; echo 1 >sub/e.txt")).toEqual(["sub/c.txt", "sub/e.txt"]);
});

test("a file that became a folder, and a folder that became a file, come out as both sides", async () => {
  const result = await changesAfter(
    "rm edited.txt; mkdir edited.txt; echo in >edited.txt/in; rm -r old; echo file >old",
  );

  expect(result.kind === "changes" && result.changes.map(({ path, mode }) => `${mode} ${path}`).toSorted()).toEqual([
    "100644 edited.txt/in",
    "100644 old",
    "deleted edited.txt",
    "deleted old/name.txt",
  ]);
});

test("line endings that attributes ask for do not make a change of untouched files", async () => {
  const files = { "a.bat": "one\ntwo\n", ".gitattributes": "*.bat text eol=crlf\n" };

  const untouched = await changesAfter("cat a.bat | od -c | grep -q '\\\\r'; touch a.bat", files);
  const touched = await changesAfter("printf 'three\\r\\n' >>a.bat", files);

  expect(untouched).toEqual({ kind: "changes", changes: [] });
  expect(touched).toEqual({
    kind: "changes",
    changes: [{ path: "a.bat", mode: "100644", bytes: Buffer.from("one\ntwo\nthree\n") }],
  });
});

test("poisoned git configuration, hooks, filters and a poisoned repository inside run nothing anywhere and change nothing", async () => {
  const fire = "touch /workspace/fired; touch /tmp/agent-fix-fired";
  await using it = await edited(`
    git config core.fsmonitor '${fire}'; git config filter.x.clean '${fire}; cat'; git config filter.x.required true
    git config core.hooksPath .git/hooks; mkdir -p .git/hooks .git/info
    for h in pre-commit post-index-change reference-transaction; do printf '#!/bin/sh\\n${fire}\\n' >.git/hooks/$h; chmod +x .git/hooks/$h; done
    git config diff.x.textconv '${fire}'; git config diff.external '${fire}'; git config core.excludesFile /workspace/all; echo '*' >/workspace/all
    echo '*' >.git/info/exclude; echo '* filter=x diff=x' >.gitattributes; printf '[core]\\n fsmonitor = ${fire}\\n' >$HOME/.gitconfig
    echo new >new.txt`);

  const result = await readChanges(it.engine, it.workspace, bounds);

  expect(result.kind === "changes" && result.changes.map(({ path }) => path)).toEqual([".gitattributes", "new.txt"]);
  await using sandbox = await it.engine.startSandbox(specOf({ mounts: it.workspace.mounts }));
  expect(await shell(sandbox, "ls /workspace", "/tmp")).toBe("all\nhome\nrepo\n");
  expect(existsSync("/tmp/agent-fix-fired")).toBe(false);
});

test("a repository inside the tree is refused by name, with or without commits", async () => {
  const committed = await changesAfter(`
    git init -q nested; cd nested; git -c user.name=a -c user.email=b commit -q --allow-empty -m x; git config core.fsmonitor 'touch /workspace/fired'`);
  const empty = await changesAfter("git init -q nested; echo x >nested/file");

  const reasons = ["nested: it is a repository of its own inside the tree. Remove its .git, or the whole folder."];
  expect(committed).toEqual({ kind: "refused", reasons });
  expect(empty).toEqual({ kind: "refused", reasons });
});

test("names that other systems take for .git, odd names and links out of the tree are refused, each with its reason", async () => {
  const result = await changesAfter(`
    mkdir .GIT 'git~1'; echo x >.GIT/config; echo x >'git~1/config'; mkdir "$(printf '.g\\342\\200\\214it')"; echo x >"$(printf '.g\\342\\200\\214it')/config"
    ln -s /etc/passwd absolute; ln -s ../../etc/passwd climbing; ln -s old/../../x twisting; ln -s edited.txt .gitattributes
    echo x >'back\\slash'; echo x >'c:d'; echo x >"$(printf 'bad\\377')"; echo x >"$(printf 'line\\nbreak')"; echo x >AUX.txt
    echo x >Case; echo x >case`);

  expect(result.kind === "refused" && result.reasons.toSorted()).toEqual([
    ".GIT/config: a component of its path is .git, or is taken for it by a file system. Remove it.",
    ".g\\u{200c}it/config: a component of its path is .git, or is taken for it by a file system. Remove it.",
    ".gitattributes: git reads this file, and it may not be a link. Write the file itself.",
    'AUX.txt: "AUX.txt" is a reserved name on Windows. Rename it.',
    "absolute: it points out of the repository. Use a relative target.",
    'back\\slash: its name has a "\\" or ":", which is no file name on Windows. Rename it.',
    "badÿ: its name is not UTF-8. Rename it.",
    'c:d: its name has a "\\" or ":", which is no file name on Windows. Rename it.',
    "case and Case are one name where case does not count. Rename one.",
    "climbing: it points out of the repository. Use a target inside, with .. only at its start.",
    "git~1/config: a component of its path is .git, or is taken for it by a file system. Remove it.",
    "line\\u{a}break: its name has control characters. Rename it.",
    "twisting: it points out of the repository. Use a target inside, with .. only at its start.",
  ]);
});

test("a folder of the host is not read through a link, and a tree that was replaced by a link is refused", async () => {
  const throughLink = await changesAfter("rm -r old; ln -s /etc old");
  const replaced = await changesAfter("cd /workspace; mv repo moved; ln -s /etc repo");

  expect(throughLink).toEqual({
    kind: "refused",
    reasons: ["old: it points out of the repository. Use a relative target."],
  });
  expect(replaced.kind === "refused" && replaced.reasons[0]).toContain("the repository's folder itself must stay");
});

test("too many files, too many bytes and unreadable files are refused and not read", async () => {
  const many = await changesAfter("for i in $(seq 1 60); do echo $i >f$i; done");
  const large = await changesAfter("truncate -s 7G sparse");
  const unreadable = await changesAfter("echo x >locked; chmod 0 locked");
  const closed = await changesAfter("mkdir closed; echo x >closed/file; chmod 0 closed");
  const closedBase = await changesAfter("echo x >old/name.txt; chmod 0 old");

  expect(many.kind === "refused" && many.reasons[0]).toContain("at most 50 files");
  expect(large.kind === "refused" && large.reasons[0]).toContain("at most 50 files and 1000000 bytes");
  expect(unreadable.kind === "refused" && unreadable.reasons[0]).toContain("locked");
  expect(closed.kind === "refused" && closed.reasons[0]).toContain("closed/");
  expect(closedBase.kind === "refused" && closedBase.reasons[0]).toContain("old/");
});

test("pipes and sockets in the tree are no files, and do not hold the reading up", async () => {
  const result = await changesAfter("mkfifo pipe; rm edited.txt; mkfifo edited.txt");

  expect(result).toEqual({ kind: "changes", changes: [{ path: "edited.txt", mode: "deleted" }] });
});

test("hooks and filters that are configured in every place git looks run nothing while changes are read", async () => {
  const fire = "touch /workspace/fired";
  await using it = await edited(`
    git config hook.spy.command '${fire}'; git config hook.spy.event post-index-change
    git config filter.x.process '${fire}'; git config filter.x.smudge '${fire}'; echo '* filter=x diff=x merge=x' >.git/info/attributes
    git config merge.x.driver '${fire}'; git config core.pager '${fire}'; git config core.sshCommand '${fire}'
    mkdir -p $HOME/.config/git sub; cp .git/config $HOME/.gitconfig; cp .git/config $HOME/.config/git/config; echo '* filter=x' >$HOME/.config/git/attributes
    echo '* filter=x diff=x' >sub/.gitattributes; echo new >sub/new.txt; echo x >>edited.txt
    mv .git /workspace/elsewhere; echo 'gitdir: /workspace/elsewhere' >.git`);

  const result = await readChanges(it.engine, it.workspace, bounds);

  expect(result.kind === "changes" && result.changes.map(({ path }) => path).toSorted()).toEqual([
    "edited.txt",
    "sub/.gitattributes",
    "sub/new.txt",
  ]);
  await using sandbox = await it.engine.startSandbox(specOf({ mounts: it.workspace.mounts }));
  expect(await shell(sandbox, "ls /workspace", "/tmp")).toBe("elsewhere\nhome\nrepo\n");
});

test("a submodule that the agent adds is refused by name, with its .git inside or elsewhere", async () => {
  const added = await changesAfter(`
    git init -q vendor; git -C vendor -c user.name=a -c user.email=b commit -q --allow-empty -m x
    printf '[submodule "v"]\n path = vendor\n url = ext::sh -c id\n' >.gitmodules; git add -A`);
  const gitfile = await changesAfter(
    `git init -q --separate-git-dir=/workspace/hidden vendor; git -C vendor -c user.name=a -c user.email=b commit -q --allow-empty -m x`,
  );

  const reasons = ["vendor: it is a repository of its own inside the tree. Remove its .git, or the whole folder."];
  expect(added).toEqual({ kind: "refused", reasons });
  expect(gitfile).toEqual({ kind: "refused", reasons });
});

test("links that git would follow for its own files, and names of .git as files or links, are refused by name", async () => {
  const result = await changesAfter(
    "ln -s edited.txt .gitmodules; mkdir a b c; echo x >a/.Git; ln -s ../old b/.giT; ln -s ../.git/config c/inside; mkfifo pipe; rm edited.txt; mkfifo edited.txt",
  );

  expect(result.kind === "refused" && result.reasons.toSorted()).toEqual([
    ".gitmodules: git reads this file, and it may not be a link. Write the file itself.",
    "a/.Git: a component of its path is .git, or is taken for it by a file system. Remove it.",
    "b/.giT: a component of its path is .git, or is taken for it by a file system. Remove it.",
    "c/inside: it points into .git. Remove the link.",
  ]);
});

test("a file that changed by its mode, its link target or its kind alone is a change", async () => {
  const files = { "run.sh": "#!/bin/sh\n", link: "link:run.sh", "plain.txt": "run.sh" };

  const result = await changesAfter(
    "chmod +x run.sh; ln -sf plain.txt link; rm plain.txt; ln -s run.sh plain.txt",
    files,
  );

  expect(result).toEqual({
    kind: "changes",
    changes: [
      { path: "link", mode: "120000", bytes: Buffer.from("plain.txt") },
      { path: "plain.txt", mode: "120000", bytes: Buffer.from("run.sh") },
      { path: "run.sh", mode: "100755", bytes: Buffer.from("#!/bin/sh\n") },
    ],
  });
});
