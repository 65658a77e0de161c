import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { existsSync, mkdirSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readChanges } from "../../sandbox/changes.ts";
import type { Engine } from "../../sandbox/engine.ts";
import { copyWorkspace, repoDir, sealSetup } from "../../sandbox/workspace.ts";
import type { Workspace } from "../../sandbox/workspace.ts";
import { createMirrors } from "../../worker/checkout.ts";
import { readCommitChange, readPatch, rebuildCommit } from "../../worker/rebuild.ts";
import { shell, specOf, testEngine } from "../sandbox/support.ts";
import { createStage, expectNothingLeft, legOf } from "./support/local.ts";
import type { Stage } from "./support/local.ts";

const never = new AbortController().signal;
const files = { "a.txt": "one\n", "b.txt": "one\n", "dir/c.txt": "two\n", ".gitignore": "node_modules\n" };
const inside = "/workspace/home/fired";
// No path of any machine is in it but this one.
const onHost = `/tmp/agent-fix-fired-${randomBytes(6).toString("hex")}`;

/** Something that an agent can write, and the ordinary command that runs it. */
interface Vector {
  plant: string;
  fire: string;
  /** What comes out when it is a change that may not leave. */
  refused?: RegExp;
  /** The first git that knows it. */
  since?: number;
}

// $FIRE is a command, $HOME/fire a program; both leave a mark inside and, if they ever run there, on the host.
const commit = "git commit -q --allow-empty -m x";
const hook = (name: string, folder = ".git/hooks") => `mkdir -p ${folder}; cp $HOME/fire ${folder}/${name}`;
const attributes = (file: string, text: string) => `mkdir -p .git/info; echo '${text}' >${file}; echo more >>a.txt`;
const other = "git init -q --bare /workspace/home/other.git; git remote add other /workspace/home/other.git";
const nested = "git init -q inner; git -C inner commit -q --allow-empty -m x";

const vectors: Record<string, Vector> = {
  "core.fsmonitor -> status": { plant: 'git config core.fsmonitor "$FIRE"', fire: "git status" },
  "core.fsmonitor -> diff": { plant: 'git config core.fsmonitor "$FIRE"', fire: "git diff" },
  "core.fsmonitor -> add": { plant: 'git config core.fsmonitor "$FIRE"', fire: "git add -A" },
  "core.fsmonitor in the home folder -> status": {
    plant: 'git config --global core.fsmonitor "$FIRE"',
    fire: "git status",
  },
  "include.path -> status": {
    plant: 'git config --file $HOME/more core.fsmonitor "$FIRE"; git config include.path $HOME/more',
    fire: "git status",
  },
  "hooks/pre-commit -> commit": { plant: hook("pre-commit"), fire: commit },
  "core.hooksPath -> commit": {
    plant: `${hook("pre-commit", "tools")}; git config core.hooksPath tools`,
    fire: commit,
  },
  "hooks/post-index-change -> add": { plant: hook("post-index-change"), fire: "echo more >>a.txt; git add -A" },
  "hooks/reference-transaction -> commit": { plant: hook("reference-transaction"), fire: commit },
  "hooks/post-checkout -> checkout": { plant: hook("post-checkout"), fire: "git checkout -q -b side" },
  "hooks/pre-push -> push": { plant: `${other}; ${hook("pre-push")}`, fire: "git push other HEAD:refs/heads/x" },
  "hook.X.command -> add": {
    plant: 'git config hook.x.command "$FIRE"; git config hook.x.event post-index-change',
    fire: "echo more >>a.txt; git add -A",
    since: 54,
  },
  "filter.X.clean by .gitattributes -> add": {
    plant: `git config filter.x.clean "$FIRE"; ${attributes(".gitattributes", "* filter=x")}`,
    fire: "git add -A",
  },
  "filter.X.process by .gitattributes -> diff": {
    plant: `git config filter.x.process "$FIRE"; ${attributes(".gitattributes", "* filter=x")}`,
    fire: "git diff",
  },
  "filter.X.clean by info/attributes -> diff": {
    plant: `git config filter.x.clean "$FIRE"; ${attributes(".git/info/attributes", "* filter=x")}`,
    fire: "git diff",
  },
  "filter.X.process by info/attributes -> add": {
    plant: `git config filter.x.process "$FIRE"; ${attributes(".git/info/attributes", "* filter=x")}`,
    fire: "git add -A",
  },
  "filter.X.smudge -> checkout": {
    plant: `git config filter.x.smudge "$FIRE"; ${attributes(".gitattributes", "* filter=x")}; rm b.txt`,
    fire: "git checkout b.txt",
  },
  "diff.X.textconv -> diff": {
    plant: `git config diff.x.textconv "$FIRE"; ${attributes(".gitattributes", "*.txt diff=x")}`,
    fire: "git diff",
  },
  "diff.X.command -> diff": {
    plant: `git config diff.x.command "$FIRE"; ${attributes(".gitattributes", "*.txt diff=x")}`,
    fire: "git diff",
  },
  "diff.external -> diff": { plant: 'git config diff.external "$FIRE"; echo more >>a.txt', fire: "git diff" },
  "merge.X.driver -> merge": {
    plant: `git config merge.x.driver "$FIRE"; ${attributes(".git/info/attributes", "a.txt merge=x")}
      git commit -qam left; git checkout -q -b right HEAD~; echo other >>a.txt; git commit -qam right`,
    fire: "git merge -q @{-1}",
  },
  "trailer.X.command -> commit": {
    plant: 'git config trailer.x.key X; git config trailer.x.command "$FIRE"',
    fire: `${commit} --trailer x=1`,
  },
  "submodule.X.update -> submodule update": {
    plant: `git init -q /workspace/home/sub; git -C /workspace/home/sub commit -q --allow-empty -m x
      git update-index --add --cacheinfo 160000,$(git -C /workspace/home/sub rev-parse HEAD),sub
      printf '[submodule "x"]\\n path = sub\\n url = /workspace/home/sub\\n' >.gitmodules; mkdir -p sub
      git config submodule.x.url /workspace/home/sub; git config submodule.x.update "!$FIRE"; git config submodule.x.active true`,
    fire: "git -c protocol.file.allow=always submodule update",
    refused: /^sub: it is a repository of its own/,
  },
  "gpg.program -> commit": { plant: "git config gpg.program $HOME/fire", fire: `${commit} -S` },
  "gpg.ssh.program -> commit": {
    plant: "git config gpg.format ssh; git config gpg.ssh.program $HOME/fire; git config user.signingKey /dev/null",
    fire: `${commit} -S`,
  },
  "log.showSignature -> log": {
    plant: `git config gpg.program $HOME/fire; git config log.showSignature true
      git cat-file commit HEAD | sed '0,/^$/s/^$/gpgsig -----BEGIN PGP SIGNATURE-----\\n \\n x\\n -----END PGP SIGNATURE-----\\n/' >/tmp/signed
      git update-ref --no-deref HEAD $(git hash-object -t commit -w --literally /tmp/signed)`,
    fire: "git log -1",
  },
  "core.sshCommand -> fetch": { plant: 'git config core.sshCommand "$FIRE"', fire: "git fetch ssh://nowhere/x" },
  "ext:: remote -> fetch": {
    plant: 'git config protocol.ext.allow always; git remote add e "ext::$HOME/fire"',
    fire: "git fetch e",
  },
  "url.X.insteadOf -> fetch": {
    plant: 'git config protocol.ext.allow always; git config "url.ext::$HOME/fire .insteadOf" https://nowhere/',
    fire: "git fetch https://nowhere/x",
  },
  "remote.X.receivepack -> push": {
    plant: `${other}; git config remote.other.receivepack "$FIRE"`,
    fire: "git push other HEAD:refs/heads/x",
  },
  "alternates with core.alternateRefsCommand -> rev-list": {
    plant: `${other}; echo /workspace/home/other.git/objects >>.git/objects/info/alternates
      git config core.alternateRefsCommand "$FIRE"`,
    fire: "git rev-list --all --alternate-refs",
  },
  ".git as a file that names another folder -> status": {
    plant: 'git config core.fsmonitor "$FIRE"; mv .git /workspace/home/else; echo "gitdir: /workspace/home/else" >.git',
    fire: "git status",
  },
  "a repository inside, by its own status": {
    plant: `${nested}; git -C inner config core.fsmonitor "$FIRE"; git add inner`,
    fire: "git status",
    refused: /^inner: it is a repository of its own/,
  },
  "a repository inside whose .git is a file": {
    plant: `git init -q --separate-git-dir=/workspace/home/hidden inner; git -C inner commit -q --allow-empty -m x
      git -C inner config core.fsmonitor "$FIRE"; git add inner`,
    fire: "git diff",
    refused: /^inner: it is a repository of its own/,
  },
  "a repository inside an ignored folder": {
    plant: `mkdir node_modules; cd node_modules; ${nested}; git -C inner config core.fsmonitor "$FIRE"; cd ..`,
    fire: "git add -f node_modules/inner; git status",
  },
};

const tools = `mkdir -p $HOME; git config --global user.name a; git config --global user.email b
  FIRE='touch ${onHost} ${inside}; :'; printf '#!/bin/sh\\n%s\\n' "$FIRE" >$HOME/fire; chmod +x $HOME/fire`;

let engine: Engine;
let stage: Stage;
beforeAll(async () => {
  engine = testEngine();
  stage = await createStage(engine, files);
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await expectNothingLeft(engine);
});

it.each(Object.entries(vectors))(
  "%s runs in the agent's container, and nowhere on the way out",
  async (_name, vector) => {
    const owner = { run: "r", sources: stage.prepared.sources };
    await using workspace = await copyWorkspace(engine, stage.prepared, owner);
    let live = "";
    {
      await using sandbox = await engine.startSandbox(specOf({ mounts: workspace.mounts, cwd: repoDir }));
      await shell(sandbox, `${tools}\n${vector.plant}\necho new >new.txt\nrm -f ${inside}`);
      const version = await shell(sandbox, "git version | cut -d. -f2");
      const fired = await shell(
        sandbox,
        `{ ${vector.fire}; } >/tmp/said 2>&1; test -e ${inside} && echo yes || cat /tmp/said`,
      );
      live = fired === "yes\n" || Number(version) < (vector.since ?? 0) ? "live" : fired;
      await shell(sandbox, `rm -f ${inside}`);
      await sandbox.freeze();
    }

    const seen = await watched(() => wayOut(workspace));

    expect(live).toBe("live");
    expect(seen.result).toMatch(vector.refused ?? /^passed$/);
    expect(existsSync(onHost)).toBe(false);
    await using sandbox = await engine.startSandbox(specOf({ mounts: workspace.mounts }));
    expect(await shell(sandbox, `test -e ${inside} && echo fired || echo quiet`, "/tmp")).toBe("quiet\n");
    expect(seen.shimRan).toBe(false);
    expect(seen.processes.length).toBeGreaterThan(0);
    expect(seen.processes.filter(({ own }) => !own)).toEqual([]);
  },
);

/** Everything that we do with what an agent left: read it, make a commit of it, show it, check it, build on it. */
async function wayOut(workspace: Workspace): Promise<string> {
  const changes = await readChanges(engine, workspace, { maxFiles: 1000, maxBytes: 2 ** 20 });
  let end = "";
  if (changes.kind === "refused") end = changes.reasons.join("\n");
  else {
    const { commit } = await rebuildCommit(stage.path, stage.base, changes.changes, never);
    await readPatch(stage.path, stage.base, commit);
    await readCommitChange(stage.path, stage.base, commit);
    const look = `git status && git diff && git add -A && git log && test ! -e ${inside} && test -e new.txt`;
    end = (await legOf(stage, commit, [look])).map((check) => check.end).join();
  }
  await sealSetup(engine, workspace);
  await createMirrors(stage.folder).fetch({ key: "1", url: stage.mirror }, never);
  return end;
}

interface Started {
  line: string;
  /** It is git, on a folder of ours. */
  own: boolean;
}

/** Runs something with programs of every likely name first on the PATH, and notes each process that this one starts. */
async function watched<T>(work: () => Promise<T>): Promise<{ result: T; shimRan: boolean; processes: Started[] }> {
  const shims = join(stage.folder, "shims");
  const ran = join(stage.folder, "shim-ran");
  mkdirSync(shims, { recursive: true });
  for (const name of ["git", "npm", "node", "sh", "bash", "docker", "tar", "touch"]) {
    writeFileSync(join(shims, name), `#!/bin/sh\necho "$0 $*" >>${ran}\n`, { mode: 0o755 });
  }
  const processes: Started[] = [];
  const note = (message: unknown) => {
    if (!isStart(message)) return;
    message.process.once("spawn", () => processes.push(startedOf(message.process)));
  };
  const path = process.env["PATH"];
  process.env["PATH"] = `${shims}:${path}`;
  subscribe("child_process", note);
  try {
    return { result: await work(), shimRan: existsSync(ran), processes };
  } finally {
    unsubscribe("child_process", note);
    process.env["PATH"] = path;
  }
}

function isStart(message: unknown): message is { process: ChildProcess } {
  return typeof message === "object" && message !== null && "process" in message;
}

function startedOf({ pid, spawnfile, spawnargs }: ChildProcess): Started {
  const gitDir = spawnargs.find((word) => word.startsWith("--git-dir="))?.slice("--git-dir=".length) ?? "";
  const places = [gitDir, folderOf(pid)];
  const ours = places.every(
    (place) => place === "/" || place.startsWith(stage.folder) || place.startsWith("/tmp/agent-fix-"),
  );
  const own = spawnfile === "git" && ours;
  return { line: spawnargs.join(" "), own };
}

/** Where a process is; one that ended already is nowhere. */
function folderOf(pid: number | undefined): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return "/";
  }
}
