import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RepoRef } from "../../src/job.ts";
import { announceHint } from "../../src/prefetch.ts";
import { isHeld, runsDir } from "../../src/runlog.ts";
import { mirrorPath } from "../../worker/checkout.ts";
import { startPrefetch } from "../../worker/prefetch.ts";
import type { PrefetchDeps } from "../../worker/prefetch.ts";
import { tidy } from "../../worker/tidy.ts";
import { createLocalDeps, createLocalHost, job } from "./support.ts";
import type { LocalDeps, LocalHost } from "./support.ts";

let host: LocalHost;
let deps: LocalDeps;
let told: { msg: string; error?: string }[];
let bases: string[];
let fetched: string[];
beforeEach(async () => {
  host = createLocalHost({ "a.txt": "one\n" });
  deps = await createLocalDeps(host.forge);
  [told, bases, fetched] = [[], [], []];
});
afterEach(async () => {
  await deps[Symbol.asyncDispose]();
  host[Symbol.dispose]();
});

const { repo } = job;
const mirrorOf = ({ id }: RepoRef) => mirrorPath(deps.dataDir, String(id));
/** What is left of tokens on this machine. */
const folders = () => (existsSync(runsDir(deps.dataDir)) ? readdirSync(runsDir(deps.dataDir)) : []);

/** Fetches with real git; what an engine would make of a commit is written down, since none is here. */
async function start({ restMs = 0, ...more }: Partial<PrefetchDeps> & { restMs?: number } = {}) {
  const noted: PrefetchDeps = {
    ...deps,
    log: pino({ level: "warn" }, { write: (line) => void told.push(JSON.parse(line) as { msg: string }) }),
    kept: {
      ...deps.kept,
      async base(mirror, sources, commit) {
        expect(sources).toEqual({ mirror });
        bases.push(commit);
        return { layers: [], commit };
      },
    },
    mirrors: {
      fetch: (source, signal) => {
        fetched.push(source.key);
        return deps.mirrors.fetch(source, signal);
      },
    },
    ...more,
  };
  return startPrefetch({ redisUrl: deps.redisUrl, restMs }, noted);
}

/** Fetches that begin, are counted, and end when they are let. */
function gated() {
  const open: PromiseWithResolvers<void>[] = [];
  const fetch: PrefetchDeps["mirrors"]["fetch"] = async (source, signal) => {
    fetched.push(source.key);
    const gate = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => gate.reject(signal.reason));
    open.push(gate);
    await gate.promise;
    return deps.mirrors.fetch(source, signal);
  };
  return { mirrors: { fetch }, letOne: () => open.shift()?.resolve() };
}

const opened = (of: Partial<RepoRef> = {}) => announceHint(deps.redis, { repo: { ...repo, ...of }, mayCreate: true });
const labelled = () => announceHint(deps.redis, { repo, mayCreate: false, urgent: true });
const pushed = () => announceHint(deps.redis, { repo, mayCreate: false });

describe("a hint", () => {
  it("of a new issue brings the mirror and the base tree of the default branch, with one token that is revoked", async () => {
    await using _prefetch = await start();

    await opened();

    await expect.poll(() => bases).toEqual([host.commits.at(-1)]);
    expect(host.git("--git-dir", mirrorOf(repo), "rev-parse", "main")).toBe(host.commits.at(-1));
    expect(deps.host.revoked).toEqual(["token-read-0"]);
    expect([...deps.host.tokens]).toEqual([]);
    expect(folders()).toEqual([]);
    expect(told).toEqual([]);
  });

  it("of a push refreshes the mirror that is there", async () => {
    await using _prefetch = await start();
    await opened();
    await expect.poll(() => bases).toHaveLength(1);
    const pushedCommit = host.git("commit-tree", "main^{tree}", "-p", "main", "-m", "More");
    host.git("update-ref", "refs/heads/main", pushedCommit);

    await pushed();

    await expect.poll(() => bases).toEqual([host.commits.at(-1), pushedCommit]);
  });

  it("of a push costs nothing where no run and no issue has asked for the repository", async () => {
    await using _prefetch = await start();

    await pushed();
    await opened({ id: 8 });

    await expect.poll(() => fetched).toEqual(["8"]);
    expect(existsSync(mirrorOf(repo))).toBe(false);
    await expect.poll(() => deps.host.revoked).toEqual(["token-read-0"]);
  });

  it("of an archived repository, or of an empty one, ends where that shows", async () => {
    using empty = createLocalHost();
    const forges = [
      { ...host.forge, repository: async () => ({ ...(await host.forge.repository()), archived: true }) },
      empty.forge,
    ];
    const forgeWith = () => forges.shift() ?? host.forge;
    await using _prefetch = await start({ host: { ...deps.host, forgeWith } });

    await opened();
    await expect.poll(() => deps.host.revoked).toHaveLength(1);
    expect(fetched).toEqual([]);
    await opened();
    await expect.poll(() => deps.host.revoked).toHaveLength(2);
    await opened();

    await expect.poll(() => bases).toEqual([host.commits.at(-1)]);
    expect(told).toEqual([]);
  });
});

describe("many hints", () => {
  it("of one repository while it is fetched cost one fetch more", async () => {
    const { mirrors, letOne } = gated();
    await using _prefetch = await start({ mirrors });
    await opened();
    await expect.poll(() => fetched).toHaveLength(1);

    await Promise.all(Array.from({ length: 1000 }, pushed));
    await opened({ id: 8 });
    await expect.poll(() => fetched).toEqual(["7", "8"]);
    letOne();
    await expect.poll(() => fetched).toEqual(["7", "8", "7"]);
    letOne();
    letOne();
    await expect.poll(() => bases).toHaveLength(3);
    await opened({ id: 9 });

    await expect.poll(() => fetched).toEqual(["7", "8", "7", "9"]);
    letOne();
  });

  it("leave a repository to rest between two fetches, and others need not wait for it", async () => {
    await using _prefetch = await start({ restMs: 3_600_000 });
    await opened();
    await expect.poll(() => bases).toHaveLength(1);

    await opened();
    await opened({ id: 8 });

    await expect.poll(() => fetched).toEqual(["7", "8"]);
  });

  it("of a run that begins at once waits for no rest", async () => {
    await using _prefetch = await start({ restMs: 3_600_000 });
    await opened();
    await expect.poll(() => bases).toHaveLength(1);

    await labelled();
    await expect.poll(() => bases).toHaveLength(2);
    await opened();
    await opened({ id: 8 });

    await expect.poll(() => fetched).toEqual(["7", "7", "8"]);
  });

  it("of many repositories are worked on two at a time", async () => {
    const { mirrors, letOne } = gated();
    await using _prefetch = await start({ mirrors });

    for (const id of [1, 2, 3, 4]) await opened({ id });

    await expect.poll(() => fetched.toSorted()).toEqual(["1", "2"]);
    letOne();
    await expect.poll(() => fetched.toSorted()).toEqual(["1", "2", "3"]);
    letOne();
    await expect.poll(() => fetched.toSorted()).toEqual(["1", "2", "3", "4"]);
    letOne();
    letOne();
  });
});

describe("a fetch ahead that fails", () => {
  it("is told of, gives its token back, and the next one is made", async () => {
    const broken = new Error("the host is away");
    const answers = [broken];
    const fetch: typeof deps.mirrors.fetch = (source, signal) => {
      const failure = answers.shift();
      return failure === undefined ? deps.mirrors.fetch(source, signal) : Promise.reject(failure);
    };
    await using _prefetch = await start({ mirrors: { fetch } });

    await opened();
    await expect.poll(() => told).toMatchObject([{ repo: "o/r", error: "the host is away" }]);
    await opened();

    await expect.poll(() => bases).toHaveLength(1);
    expect(deps.host.revoked).toEqual(["token-read-0", "token-read-1"]);
    expect(told).toHaveLength(1);
  });

  it("for want of a token or an engine leaves the worker alone", async () => {
    const away = () => Promise.reject(new Error("502"));
    const mints = [away];
    const mint: typeof deps.host.mint = (of, access) => mints.shift()?.() ?? deps.host.mint(of, access);
    await using _prefetch = await start({ host: { ...deps.host, mint }, kept: deps.kept });

    await opened();
    await expect.poll(() => told).toMatchObject([{ error: "502" }]);
    await opened();

    await expect.poll(() => told).toMatchObject([{ error: "502" }, { error: expect.stringContaining("none.sock") }]);
    expect(existsSync(mirrorOf(repo))).toBe(true);
    expect(folders()).toEqual([]);
  });

  it("to give its token back leaves it on disk for the next one here", async () => {
    deps.host.unrevokable.add("token-read-0");
    await using _prefetch = await start();
    await opened();
    await expect.poll(() => bases).toHaveLength(1);
    const left = folders();
    deps.host.unrevokable.clear();

    await opened();

    await expect.poll(() => bases).toHaveLength(2);
    expect(left).toEqual([`prefetch-${repo.id}-${process.pid}`]);
    expect(deps.host.revoked).toContain("token-read-0");
    await expect.poll(folders).toEqual([]);
  });
});

it("the tidying leaves a token in use alone, and revokes that of a process that died", async () => {
  const { mirrors, letOne } = gated();
  await using _prefetch = await start({ mirrors });
  await opened();
  await expect.poll(() => fetched).toHaveLength(1);
  // Larger than any process id.
  const dead = join(runsDir(deps.dataDir), "prefetch-7-4194305");
  mkdirSync(dead, { recursive: true });
  writeFileSync(join(dead, "pid"), "4194305");
  writeFileSync(join(dead, "tokens"), "token-left\n");

  await tidy({ ...deps, isLive: async (id) => isHeld(deps.dataDir, id) });

  expect(deps.host.revoked).toEqual(["token-left"]);
  letOne();
  await expect.poll(() => bases).toHaveLength(1);
});

it("disposing ends a fetch under way, gives its token back, and is no failure", async () => {
  const { mirrors } = gated();
  const prefetch = await start({ mirrors });
  for (const id of [1, 2, 3]) await opened({ id });
  await expect.poll(() => fetched).toHaveLength(2);

  await prefetch[Symbol.asyncDispose]();
  await opened();

  expect([...deps.host.tokens]).toEqual([]);
  expect(deps.host.revoked).toHaveLength(2);
  expect(folders()).toEqual([]);
  expect(fetched).toHaveLength(2);
  expect(told).toEqual([]);
});
