import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Engine } from "../../sandbox/engine.ts";
import { lastEvent } from "../../src/runlog.ts";
import type { RunLog } from "../../src/runlog.ts";
import { testEngine } from "../sandbox/support.ts";
import { startRegistry } from "../support/registry.ts";
import type { PublishedPackage, TestRegistry } from "../support/registry.ts";
import { expectNothingLeft } from "./support/local.ts";
import { bash, createTaskStage, submit } from "./support/task.ts";
import type { TaskRun, TaskSettings, TaskStage, Turn } from "./support/task.ts";

let engine: Engine;
let stage: TaskStage | undefined;
let log: RunLog;
beforeEach(() => {
  engine = testEngine();
});
afterEach(async () => {
  stage?.[Symbol.dispose]();
  await expectNothingLeft(engine);
});

/** One run of the task `it`, on the last commit of a repository with these files. */
async function runTask(
  task: string,
  files: Record<string, string>,
  { turns = [], ...settings }: TaskSettings & { turns?: Turn[] } = {},
): Promise<TaskRun> {
  stage = createTaskStage(task, files, settings);
  const run = await stage.run(engine, { turns });
  ({ log } = run);
  return run;
}

describe("the update of a task", () => {
  it("is where the agent begins, and part of its change", async () => {
    const { result, told, read } = await runTask(
      'task: "Say who made it", update: ["echo made >made.txt; mkdir node_modules; echo x >node_modules/x; echo two >a.txt"]',
      { "a.txt": "one\n" },
      { turns: [bash("git status --porcelain; cat a.txt; echo ann >>made.txt"), submit, submit, submit, submit] },
    );

    expect(result).toMatchObject({ ok: true });
    expect(told[0]).toContain("The harness has begun with it: it ran `echo made >made.txt");
    expect(told[1]).toContain(" M a.txt\n?? made.txt\ntwo\n");
    expect([await read("a.txt"), await read("made.txt"), await read("node_modules/x")]).toEqual([
      "two\n",
      "made\nann\n",
      undefined,
    ]);
  });

  it("becomes a pull request by itself where nothing else is asked for and the checks pass", async () => {
    const { result, told, read } = await runTask(
      'update: ["echo two >a.txt"]',
      { "a.txt": "one\n", "b.txt": "b\n" },
      { checks: "['test -f a.txt']" },
    );

    expect(result).toMatchObject({ ok: true, passed: { submission: { title: "Run the updates of it" } } });
    expect(told).toEqual([]);
    expect(await read("a.txt")).toBe("two\n");
  });

  it("is mended by the agent where the checks fail with it", async () => {
    const { result, told, read } = await runTask(
      'update: ["echo two >a.txt"]',
      { "a.txt": "one\n", "b.txt": "one\n" },
      {
        checks: "['cmp a.txt b.txt']",
        turns: [bash("cp a.txt b.txt"), submit, submit, submit, submit],
      },
    );

    expect(told[0]).toMatch(/It does not pass as it stands: `cmp a\.txt b\.txt` fails[^]*a\.txt b\.txt differ/);
    expect(result).toMatchObject({ ok: true });
    expect([await read("a.txt"), await read("b.txt")]).toEqual(["two\n", "two\n"]);
  });

  it("that fails is named with its last lines, and no model is asked", async () => {
    const { result, told } = await runTask(
      'task: "Go on", update: ["echo so far; echo no such thing >&2; exit 3"]',
      {},
    );

    expect(result).toMatchObject({ ok: false, outcome: { outcome: "needs-input", cause: "update failed" } });
    expect(result.ok ? "" : result.outcome.detail).toMatch(/exit 3`? failed \(exit code 3\)[^]*no such thing/);
    expect(told).toEqual([]);
  });

  it("that changes nothing ends the run quietly, where nothing else is asked for", async () => {
    const { result, told } = await runTask('update: ["true"]', {});

    expect(result).toMatchObject({ ok: false, outcome: { outcome: "no-change", cause: "nothing to update" } });
    expect(told).toEqual([]);
  });

  it("reaches no host but the registries, and that is told", async () => {
    const { result } = await runTask('update: ["curl -fsS -m 5 http://example.com/"]', {});

    expect(result.ok ? "" : result.outcome.detail).toContain("The set-up network refused: `example.com:80`");
  });
});

describe("the measure of a task", () => {
  const task = (measure: string) => `task: "Have fewer lines", measure: "${measure}"`;
  const files = { "list.txt": "a\nb\nc\n" };

  it("is told before and after, each of its own commit", async () => {
    const { result, body } = await runTask(task("echo lines: ; wc -l <list.txt"), files, {
      turns: [bash("echo a >list.txt; echo 9 >uncommitted"), submit, submit, submit, submit],
    });

    expect(result).toMatchObject({ ok: true });
    expect(body()).toContain("`echo lines: ; wc -l <list.txt`: 3 → 1");
  });

  it("that does not improve ends the run quietly", async () => {
    const { result } = await runTask(task("wc -l <list.txt"), files, {
      turns: [bash("echo x >list.txt; echo y >>list.txt; echo z >>list.txt"), submit, submit, submit, submit],
    });

    expect(result).toMatchObject({
      ok: false,
      outcome: { outcome: "no-change", cause: "the measure did not improve" },
    });
    expect(lastEvent(log.events, "gate")?.passed ?? false).toBe(false);
  });

  it("of 0 leaves nothing to do, and no model is asked", async () => {
    const { result, told } = await runTask(task("grep -c zzz list.txt"), files);

    expect(result).toMatchObject({ ok: false, outcome: { outcome: "no-change", cause: "nothing is left to measure" } });
    expect(told).toEqual([]);
  });

  it("that prints no number is shown with what it printed", async () => {
    const { result, told } = await runTask(task("echo many, I guess"), files);

    expect(result).toMatchObject({ ok: false, outcome: { outcome: "needs-input", cause: "measure" } });
    expect(result.ok ? "" : result.outcome.detail).toContain("many, I guess");
    expect(told).toEqual([]);
  });

  it("has no network", async () => {
    await runTask(task("ls /sys/class/net | grep -vcx lo"), files);

    expect(lastEvent(log.events, "measured")).toMatchObject({ leg: "base", value: 0 });
  });
});

describe("the task that updates dependencies", () => {
  const changelog =
    "# Changelog\n\n## 2.0.0\n\n- It is a function now.\n\n## 1.1.0\n\n- Faster. <!-- hidden -->\n\n## 1.0.0\n\n- First.\n";
  const published: PublishedPackage[] = [
    { name: "plain", version: "1.0.0", deprecated: "It loses data", files: { "index.js": "module.exports = 1\n" } },
    { name: "plain", version: "1.1.0", files: { "index.js": "module.exports = 1\n", "CHANGELOG.md": changelog } },
    { name: "plain", version: "2.0.0", files: { "index.js": "module.exports = () => 1\n", "CHANGELOG.md": changelog } },
    { name: "tilde", version: "0.3.1" },
    { name: "tilde", version: "0.3.4" },
    { name: "exact", version: "4.0.0" },
    { name: "exact", version: "4.2.0" },
    { name: "stale", version: "1.0.0", deprecated: "nobody looks after it" },
  ];
  let registry: TestRegistry;
  beforeEach(async () => {
    registry = await startRegistry(published);
  });
  afterEach(async () => {
    await registry[Symbol.asyncDispose]();
  });

  /** A repository that has these packages: by name, the range of the manifest and the version of the lock file. */
  function project(runtime: Record<string, [range: string, version: string]>, dev: typeof runtime = {}) {
    const ranges = (list: typeof runtime) =>
      Object.fromEntries(Object.entries(list).map(([name, [range]]) => [name, range]));
    const own = { name: "it", version: "1.0.0", dependencies: ranges(runtime), devDependencies: ranges(dev) };
    const locked = Object.entries({ ...runtime, ...dev }).map(([name, [, version]]) => [
      `node_modules/${name}`,
      registry.locked(name, version),
    ]);
    const packages = { "": own, ...Object.fromEntries(locked) };
    const lock = { name: "it", version: "1.0.0", lockfileVersion: 3, requires: true, packages };
    return {
      ".npmrc": `registry=${registry.url}/\n`,
      "package.json": `${JSON.stringify(own, null, 2)}\n`,
      "package-lock.json": JSON.stringify(lock),
    };
  }
  type Lock = { packages: Record<string, { version?: string }> };
  const npm = { setup: "['npm ci --no-audit --no-fund']" };
  const manifest = async (read: (path: string) => Promise<string | undefined> | undefined) =>
    JSON.parse((await read("package.json")) ?? "{}") as { dependencies: object; devDependencies: object };

  it("takes minor versions together, each in its range's style, and asks no model where the checks pass", async () => {
    const files = {
      ...project(
        { plain: ["^1.0.0", "1.0.0"], exact: ["4.0.0", "4.0.0"] },
        { tilde: ["~0.3.1", "0.3.1"], stale: ["^1.0.0", "1.0.0"] },
      ),
      "check.js": "process.exit(require('plain') === 1 && require('exact/package.json').version > '3' ? 0 : 1)\n",
    };

    const { result, told, read, body } = await runTask("use: dependencies", files, {
      ...npm,
      checks: "['node check.js']",
    });

    expect(told).toEqual([]);
    expect(result).toMatchObject({
      ok: true,
      passed: { submission: { title: "Update 3 dependencies" }, verdict: { decision: "ready", findings: [] } },
    });
    expect(await manifest(read)).toMatchObject({
      dependencies: { plain: "^1.1.0", exact: "4.2.0" },
      devDependencies: { tilde: "~0.3.4", stale: "^1.0.0" },
    });
    const lock = JSON.parse((await read("package-lock.json")) ?? "{}");
    expect(lock.packages["node_modules/plain"].version).toBe("1.1.0");
    const text = body();
    expect(text).toContain("| `plain` | `1.0.0` | `1.1.0` | It loses data | not known | below |");
    expect(text).toContain("| `tilde` | `0.3.1` | `0.3.4` | – | not known | none found |");
    expect(text).toContain("The registry did not answer the audit: no security facts.");
    expect(text).toContain("Left for a later run: `plain` `1.0.0` → `2.0.0`");
    expect(text).toContain("Deprecated, and nothing newer is there: `stale` `1.0.0` (nobody looks after it)");
    expect(text).toMatch(/Changelogs, in the words of the packages[^]*## 1\.1\.0[^]*Faster/);
    expect(text).not.toMatch(/hidden|It is a function now|First\./);
    expect(text).toContain("- model: none was asked");
  });

  it("takes a major version alone, and lets the agent mend what it breaks, with the changelog before it", async () => {
    const files = {
      ...project({ plain: ["^1.1.0", "1.1.0"], exact: ["^4.2.0", "4.2.0"] }),
      "index.js": "module.exports = require('plain') + 1\n",
      "check.js": "process.exit(require('./index.js') === 2 ? 0 : 1)\n",
    };

    const { result, told, read, body } = await runTask("use: dependencies", files, {
      ...npm,
      checks: "['node check.js']",
      turns: [
        bash("git status --porcelain; sed -i \"s/('plain')/('plain')()/\" index.js; node check.js && echo mended"),
        submit,
        submit,
      ],
    });

    expect(told[0]).toContain("it updated `plain` from `1.1.0` to `2.0.0`");
    expect(told[0]).toContain("It does not pass as it stands: `node check.js` fails");
    expect(told[0]).toMatch(/BEGIN changelog of plain[^]*It is a function now/);
    expect(told[0]).not.toContain("Faster");
    expect(told[1]).toMatch(/ M package-lock\.json\n M package\.json\nmended/);
    expect(result).toMatchObject({ ok: true, passed: { verdict: { decision: "ready", claim: "adaptation" } } });
    expect(await read("index.js")).toContain("require('plain')()");
    expect(await manifest(read)).toMatchObject({ dependencies: { plain: "^2.0.0", exact: "^4.2.0" } });
    expect(body()).toContain("| `plain` | `1.1.0` | `2.0.0` |");
  });

  it("updates workspaces with the repository, each manifest in its own style", async () => {
    const { "package-lock.json": text, ...files } = project({ exact: ["^4.0.0", "4.0.0"] });
    const lock = JSON.parse(text) as { packages: Record<string, object> };
    const own = { name: "x", version: "1.0.0", dependencies: { exact: "4.0.0", tilde: "~0.3.1" } };
    const root = { name: "it", version: "1.0.0", workspaces: ["packages/*"], dependencies: { exact: "^4.0.0" } };
    Object.assign(lock.packages, {
      "": root,
      "packages/x": own,
      "node_modules/x": { resolved: "packages/x", link: true },
      "node_modules/tilde": registry.locked("tilde", "0.3.1"),
    });

    const { result, read, body } = await runTask(
      "use: dependencies",
      {
        ...files,
        "package.json": JSON.stringify(root),
        "packages/x/package.json": JSON.stringify(own),
        "package-lock.json": JSON.stringify(lock),
      },
      npm,
    );

    expect(result).toMatchObject({ ok: true, passed: { submission: { title: "Update 2 dependencies" } } });
    expect(await manifest(read)).toMatchObject({ dependencies: { exact: "^4.2.0" } });
    expect(JSON.parse((await read("packages/x/package.json")) ?? "{}")).toMatchObject({
      dependencies: { exact: "4.2.0", tilde: "~0.3.4" },
    });
    expect(body()).toContain("| `exact` in `packages/x` | `4.0.0` | `4.2.0` |");
  });

  it("ends quietly where everything is as new as it can be", async () => {
    const { result, told } = await runTask("use: dependencies", project({ exact: ["^4.2.0", "4.2.0"] }), npm);

    expect(result).toMatchObject({ ok: false, outcome: { outcome: "no-change", cause: "nothing to update" } });
    expect(told).toEqual([]);
  });

  it.each([
    ["pnpm-lock.yaml", "lockfileVersion: '9.0'\n", "npx --yes pnpm update --latest"],
    ["yarn.lock", "# yarn lockfile v1\n", "npx --yes yarn upgrade --latest"],
  ])("names what it found, and what to say instead, where %s is all that locks", async (name, text, command) => {
    const { "package-lock.json": _lock, ...files } = project({ exact: ["4.0.0", "4.0.0"] });

    const { result } = await runTask("use: dependencies", { ...files, [name]: text });

    expect(result).toMatchObject({ ok: false, outcome: { outcome: "needs-input", cause: "no updater" } });
    expect(result.ok ? "" : result.outcome.detail).toContain(`\`${name}\``);
    expect(result.ok ? "" : result.outcome.detail).toContain(`\`update: ["${command}"]\``);
  });

  it("leaves out what npm can't install beside the rest, and says why", async () => {
    await registry[Symbol.asyncDispose]();
    registry = await startRegistry([
      ...published,
      { name: "picky", version: "1.0.0" },
      { name: "picky", version: "1.1.0", peerDependencies: { exact: "^3.0.0" } },
    ]);
    const files = project({ exact: ["4.0.0", "4.0.0"], picky: ["^1.0.0", "1.0.0"] });

    const { result, read, body } = await runTask("use: dependencies", files, npm);

    expect(result).toMatchObject({ ok: true, passed: { submission: { title: "Update exact to 4.2.0" } } });
    expect(await manifest(read)).toMatchObject({ dependencies: { exact: "4.2.0", picky: "^1.0.0" } });
    expect(body()).toMatch(/Not updated: `picky`, since npm can't install 1\.1\.0: /);
  });

  it("names all that the lock file has of many, where some could be had together and others not", async () => {
    await registry[Symbol.asyncDispose]();
    const names = Array.from({ length: 42 }, (_, n) => `many-${n}`);
    registry = await startRegistry([
      ...names.flatMap((name) => ["1.0.0", "1.1.0"].map((version) => ({ name, version }))),
      { name: "picky", version: "1.0.0" },
      { name: "picky", version: "1.1.0", peerDependencies: { "many-0": "^3.0.0" } },
    ]);
    const many = Object.fromEntries(names.map((name): [string, [string, string]] => [name, ["^1.0.0", "1.0.0"]]));
    const files = project({ ...many, picky: ["~1.0.0", "1.0.0"] });

    const { result, read } = await runTask("use: dependencies", files, npm);

    const { packages } = JSON.parse((await read("package-lock.json")) ?? "{}") as Lock;
    const isNew = (name: string) => packages[`node_modules/${name}`]?.version === "1.1.0";
    const facts = lastEvent(log.events, "updates");
    expect(result).toMatchObject({ ok: true, passed: { submission: { title: "Update 42 dependencies" } } });
    expect(facts?.updated.map(({ name }) => name).toSorted()).toEqual(
      Object.keys({ ...many, picky: 1 })
        .filter(isNew)
        .toSorted(),
    );
    expect([facts?.later, facts?.left.map(({ name }) => name)]).toEqual([[], ["picky"]]);
  });

  it("on its own open pull request takes what belongs to that alone", async () => {
    const files = project({ plain: ["^1.0.0", "1.0.0"], exact: ["4.0.0", "4.0.0"] });
    const inPull = project({ plain: ["^2.0.0", "2.0.0"], exact: ["4.0.0", "4.0.0"] });

    const { result } = await runTask("use: dependencies", files, { ...npm, more: [inPull] });

    expect(result).toMatchObject({ ok: false, outcome: { outcome: "no-change", cause: "nothing to update" } });
  });
});

/** An index of Python packages that has these files. */
async function startIndex(files: Record<string, string[]>): Promise<AsyncDisposable & { url: string }> {
  const server = createServer((request, response) => {
    const name = /^\/simple\/([^/]+)\/$/.exec(request.url ?? "")?.[1] ?? "";
    const links = (files[name] ?? []).map((file) => `<a href="/files/${file}">${file}</a>`);
    response.writeHead(links.length === 0 ? 404 : 200, { "content-type": "text/html" });
    response.end(`<!DOCTYPE html><html><body>${links.join("\n")}</body></html>`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/simple`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe("the same task where pip's requirements are pinned", () => {
  const wheel = (name: string, version: string) => `${name}-${version}-py3-none-any.whl`;

  it("takes minor versions together, each in its file, and leaves major ones for later", async () => {
    await using index = await startIndex({
      small: [wheel("small", "1.0"), wheel("small", "1.2.1"), wheel("small", "2.0.0")],
      large: [wheel("large", "3.0.0"), wheel("large", "4.0.0"), wheel("large", "5.0.0rc1")],
    });
    const files = {
      "requirements.txt": `--index-url ${index.url}\nsmall==1.0  # pinned\nabsent==1.0.0\n`,
      "dev-requirements.txt": "large==3.0.0\n",
    };

    const { result, told, read, body } = await runTask("use: dependencies", files);

    expect(told).toEqual([]);
    expect(result).toMatchObject({ ok: true, passed: { submission: { title: "Update small to 1.2.1" } } });
    expect(await read("requirements.txt")).toBe(files["requirements.txt"].replace("small==1.0 ", "small==1.2.1 "));
    expect(await read("dev-requirements.txt")).toBe("large==3.0.0\n");
    expect(body()).toContain("| `small` in `requirements.txt` | `1.0` | `1.2.1` |");
    expect(body()).toContain("Left for a later run: `large` `3.0.0` → `4.0.0`, `small` `1.0` → `2.0.0`");
    expect(body()).toContain("Not updated: `absent`, since the registry told nothing of it");
    expect(body()).toContain("No audit was made, since pip has none: no security facts.");
  });

  it("goes on with a major version in the task's paths where minor ones were turned down", async () => {
    await using index = await startIndex({
      small: [wheel("small", "1.0"), wheel("small", "1.2.1")],
      large: [wheel("large", "3.0.0"), wheel("large", "3.1.0"), wheel("large", "4.0.0")],
    });
    const files = {
      "requirements.txt": "small==1.0\n",
      "dev-requirements.txt": `--index-url ${index.url}\nlarge==3.0.0\n`,
    };
    const leftOut = { turnedDown: ["minor"], failed: {} };

    const { read, body, log } = await runTask("use: dependencies, paths: [dev-*.txt]", files, { leftOut });

    expect(await read("requirements.txt")).toBe("small==1.0\n");
    expect(await read("dev-requirements.txt")).toContain("large==4.0.0");
    expect(lastEvent(log.events, "updates")).toMatchObject({ turn: { content: "large@4" }, later: [] });
    expect(body()).toContain("Not updated: `large`, since a pull request with that was closed unmerged (`3.1.0`)");
  });

  it("keeps each line of a package at its own leading number, and takes only the newest of them further", async () => {
    await using index = await startIndex({
      split: ["1.0", "1.4", "2.0", "2.5", "3.0"].map((version) => wheel("split", version)),
    });
    const lines = (older: string, newer: string) =>
      `--index-url ${index.url}\nsplit==${older}; python_version < "3.8"\nsplit==${newer}; python_version >= "3.8"\n`;

    const minor = await runTask("use: dependencies", { "requirements.txt": lines("1.0", "2.0") });
    const text = await minor.read("requirements.txt");
    const body = minor.body();
    stage?.[Symbol.dispose]();
    const major = await runTask("use: dependencies", { "requirements.txt": lines("1.4", "2.5") });

    expect(text).toBe(lines("1.4", "2.5"));
    expect(body).toContain("| `split` in `requirements.txt` | `1.0` | `1.4` |");
    expect(body).toContain("Left for a later run: `split` `2.0` → `3.0`");
    expect(await major.read("requirements.txt")).toBe(lines("1.4", "3.0"));
  });
});
