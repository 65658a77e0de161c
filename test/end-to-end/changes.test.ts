import { existsSync } from "node:fs";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Engine } from "../../sandbox/engine.ts";
import { git } from "../../sandbox/git.ts";
import { readCommitChange, readPatch } from "../../worker/rebuild.ts";
import { testEngine } from "../sandbox/support.ts";
import { changesOf, commitOf, createStage, expectNothingLeft, legOf } from "./support/local.ts";
import type { Stage } from "./support/local.ts";

let engine: Engine;
beforeEach(() => {
  engine = testEngine();
});
afterEach(async () => {
  await expectNothingLeft(engine);
});

const files = { "a.txt": "one\n", "old.txt": "old\n", "dir/b.txt": "two\n", ".gitignore": "node_modules\n" };

/** What reaches the code host, by path. */
async function published(stage: Stage, commands: string, tried?: string) {
  const built = await commitOf(stage, commands, tried);
  const change = await readCommitChange(stage.path, stage.base, built.commit);
  const rows = change.files.map(({ path, mode, bytes }) => [path, { mode, bytes }] as const);
  return { ...built, files: Object.fromEntries(rows), deleted: change.deleted };
}

describe("a change on its way from the sandbox to the code host", () => {
  it("keeps every byte of binary and large files", async () => {
    await using stage = await createStage(engine, files);
    const make = `const { writeFileSync } = require("fs");
      writeFileSync("all", Buffer.from(Array.from({ length: 65536 }, (_, i) => (i * 7 + (i >> 8)) % 256)));
      writeFileSync("large", Buffer.alloc(20 * 2 ** 20, "0123456789abcdef\\r\\n\\0"));`;

    const change = await published(stage, `node -e '${make}'; rm old.txt; printf 'one' >a.txt`);

    const all = Buffer.from(Array.from({ length: 65536 }, (_, i) => (i * 7 + (i >> 8)) % 256));
    expect(Object.keys(change.files)).toEqual(["a.txt", "all", "large"]);
    expect(change.files["all"]?.bytes.equals(all)).toBe(true);
    expect(change.files["large"]?.bytes.equals(Buffer.alloc(20 * 2 ** 20, "0123456789abcdef\r\n\0"))).toBe(true);
    expect(change.files["a.txt"]).toEqual({ mode: "100644", bytes: Buffer.from("one") });
    expect(change.deleted).toEqual(["old.txt"]);
  });

  it("carries a link as its target's name, never what it points to on the way", async () => {
    await using stage = await createStage(engine, { ...files, etc: "link:/etc/passwd" });

    const change = await published(
      stage,
      "ln -s ../run/repo.git/HEAD near; ln -sfn a.txt etc; ln -s none dir/dangling; ln -s dir folder",
    ).catch((error: unknown) => String(error));
    const inside = await published(
      stage,
      "ln -sfn a.txt etc; ln -s none dir/dangling; ln -s dir folder; mv a.txt b.txt",
    );

    expect(change).toContain("near: it points out of the repository");
    expect(inside.files).toEqual({
      "b.txt": { mode: "100644", bytes: Buffer.from("one\n") },
      "dir/dangling": { mode: "120000", bytes: Buffer.from("none") },
      etc: { mode: "120000", bytes: Buffer.from("a.txt") },
      folder: { mode: "120000", bytes: Buffer.from("dir") },
    });
  });

  it("runs nothing on this machine, whatever the workspace's git folder, attributes and nested repositories say", async () => {
    await using stage = await createStage(engine, files);
    const marker = `/tmp/agent-fix-fired-${randomBytes(6).toString("hex")}`;
    const fire = `sh -c 'touch ${marker} ${stage.folder}/fired'`;
    const poison = `
      cat >$HOME/.gitconfig <<'END'
[core]
 fsmonitor = "${fire}"
 hooksPath = .git/hooks
 sshCommand = "${fire}"
 pager = "${fire}"
[filter "x"]
 clean = "${fire}"
 smudge = "${fire}"
 required = true
[diff]
 external = "${fire}"
[diff "x"]
 textconv = "${fire}"
 command = "${fire}"
[merge "x"]
 driver = "${fire}"
[uploadpack]
 packObjectsHook = "${fire}"
END
      cp $HOME/.gitconfig .git/config.new; cat .git/config >>.git/config.new; mv .git/config.new .git/config
      mkdir -p .git/hooks node_modules/inner/.git
      for hook in pre-commit post-checkout post-index-change reference-transaction pre-auto-gc update; do
        printf '#!/bin/sh\\n${fire.replaceAll("'", "'\\''")}\\n' >.git/hooks/$hook; chmod +x .git/hooks/$hook; done
      cp $HOME/.gitconfig node_modules/inner/.git/config; cp $HOME/.gitconfig .gitconfig; cp $HOME/.gitconfig config
      echo /tmp >.git/objects/info/alternates
      printf '* filter=x diff=x merge=x text eol=crlf ident export-subst\\n' >.gitattributes
      printf '[submodule "x"]\\n\\tpath = dir\\n\\turl = ext::${fire.replaceAll("'", "'\\''")}\\n' >.gitmodules
      /bin/echo mended >a.txt`;

    const inside = `git status >/dev/null 2>&1; git diff >/dev/null 2>&1; ls ${marker}`;
    const change = await published(stage, poison, inside);
    const patch = await readPatch(stage.path, stage.base, change.commit);
    const head = await legOf(stage, change.commit, ["true"]);

    // In the agent's own container the same folder does run them.
    expect(change.tried).toMatchObject({ end: "exited", code: 0 });
    expect(Object.keys(change.files)).toEqual([".gitattributes", ".gitconfig", ".gitmodules", "a.txt", "config"]);
    expect(change.files["a.txt"]?.bytes.toString()).toBe("mended\n");
    expect(patch).toContain("\n-one\n+mended\n");
    expect(head).toMatchObject([{ passed: true }]);
    expect([marker, join(stage.folder, "fired")].filter((path) => existsSync(path))).toEqual([]);
    const kept = await git(["config", "--file", join(stage.path, "config"), "--list"], { gitDir: stage.path });
    expect(kept.toString()).not.toMatch(/fsmonitor|hookspath|filter|diff|merge/i);
  });

  it("refuses a repository inside the tree, so that nothing of it reaches a commit", async () => {
    await using stage = await createStage(engine, files);

    const nested =
      "git init -q inner; echo x >inner/file; git -C inner -c user.name=a -c user.email=b commit -q --allow-empty -m x";

    expect((await changesOf(stage, nested)).changes).toEqual({
      kind: "refused",
      reasons: ["inner: it is a repository of its own inside the tree. Remove its .git, or the whole folder."],
    });
  });

  it("refuses more than a change may hold, and says what to do", async () => {
    await using stage = await createStage(engine, files);

    const large = await changesOf(stage, "truncate -s 40M huge");
    const many = await changesOf(stage, "mkdir many; for i in $(seq 1100); do : >many/$i; done");

    expect(large.changes).toMatchObject({
      kind: "refused",
      reasons: [expect.stringContaining("33554432 bytes. Delete what was generated")],
    });
    expect(many.changes).toMatchObject({ kind: "refused", reasons: [expect.stringContaining("at most 1000 files")] });
  });

  it("takes names for names, also where they look like options, patterns or commands", async () => {
    await using stage = await createStage(engine, files);
    const names = [
      "--upload-pack=x",
      "-rf",
      "$(touch fired)",
      "`id`",
      "a b  c",
      "*",
      "[a]",
      "!x",
      "#x",
      "ü",
      "'q\"",
      "HEAD",
      "refs",
      "@{-1}",
      "a;b&c|d",
      "~",
      "%s",
      "...",
      "{}",
    ];
    const quoted = names.map((name) => `'${name.replaceAll("'", "'\\''")}'`).join(" ");

    const change = await published(
      stage,
      `for name in ${quoted}; do printf %s "$name" >"./$name"; done; mkdir -- -d; printf in >./-d/--in`,
    );
    const head = await legOf(stage, change.commit, [
      `for name in ${quoted}; do [ "$(cat "./$name")" = "$name" ] || exit 9; done; test ! -e fired`,
    ]);

    const got = Object.entries(change.files).map(([path, { bytes }]) => [path, bytes.toString()] as const);
    const wanted = [...names.map((name) => [name, name] as const), ["-d/--in", "in"] as const];
    expect(new Map(got)).toEqual(new Map(wanted));
    expect(head).toMatchObject([{ passed: true, tail: "" }]);
  });
});
