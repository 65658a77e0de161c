import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  commitOf,
  createMirrors,
  createRunRepository,
  fetchedSince,
  forkOf,
  mirrorPath,
  readCommit,
} from "../../worker/checkout.ts";
import { git } from "../../sandbox/git.ts";
import { git as plainGit, testRepository } from "../sandbox/support.ts";

const never = new AbortController().signal;

function dataFolder(): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "agent-fix-data-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** A host that answers nobody until it is told to refuse. */
async function startSlowHost() {
  const release = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const server = createServer((_request, response) => {
    asked.resolve();
    void release.promise.then(() => response.writeHead(404).end());
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/r.git`,
    asked: asked.promise,
    refuse: release.resolve,
    async [Symbol.asyncDispose]() {
      release.resolve();
      server.close();
    },
  };
}

/** Every file below a folder, as text. */
function contents(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1")).join("\n");
}

describe("fetchedSince", () => {
  it("is true of a fetch that began no earlier and succeeded, and of nothing else", async () => {
    using data = dataFolder();
    using repository = testRepository({ "a.txt": "one\n" });
    const mirror = mirrorPath(data.path, "7");
    const none = await fetchedSince(mirror, 0, never);
    const mirrors = createMirrors(data.path);

    const before = Date.now();
    await mirrors.fetch({ key: "7", url: repository.mirror }, never);
    const after = Date.now() + 1;
    await mirrors.fetch({ key: "7", url: join(data.path, "nothing") }, never).catch(() => {});

    expect(none).toBe(false);
    expect(await fetchedSince(mirror, before, never)).toBe(true);
    expect(await fetchedSince(mirror, after, never)).toBe(false);
  });

  it("waits for one that is under way", async () => {
    using data = dataFolder();
    using repository = testRepository({ "a.txt": "one\n" });
    await using slow = await startSlowHost();
    const mirrors = createMirrors(data.path);
    await mirrors.fetch({ key: "7", url: repository.mirror }, never);
    const order: string[] = [];

    const fetching = mirrors.fetch({ key: "7", url: slow.url }, never).catch(() => order.push("fetch failed"));
    await slow.asked;
    const asked = fetchedSince(mirrorPath(data.path, "7"), Date.now(), never).then((fresh) => order.push(`${fresh}`));
    slow.refuse();
    await Promise.all([fetching, asked]);

    expect(order).toEqual(["fetch failed", "false"]);
  });
});

describe("createMirrors", () => {
  it("brings a mirror up to date: new commits come, deleted branches go", async () => {
    using data = dataFolder();
    using repository = testRepository({ "a.txt": "one\n" }, { "a.txt": "two\n" });
    const [first = "", second = ""] = repository.commits;
    plainGit(repository.mirror, "update-ref", "refs/heads/main", first);
    plainGit(repository.mirror, "update-ref", "refs/heads/old", first);
    const mirrors = createMirrors(data.path);
    const source = { key: "7", url: repository.mirror };

    const path = await mirrors.fetch(source, never);
    const before = [await commitOf(path, "main"), await commitOf(path, "old")];
    plainGit(repository.mirror, "update-ref", "refs/heads/main", second);
    plainGit(repository.mirror, "update-ref", "-d", "refs/heads/old");
    await mirrors.fetch(source, never);

    expect(path).toBe(join(data.path, "mirrors", "7.git"));
    expect(before).toEqual([first, first]);
    expect([await commitOf(path, "main"), await commitOf(path, "old")]).toEqual([second, undefined]);
  });

  it("gives an empty repository a mirror without commits", async () => {
    using data = dataFolder();
    using repository = testRepository();

    const path = await createMirrors(data.path).fetch({ key: "7", url: repository.mirror }, never);

    expect(await commitOf(path, "main")).toBeUndefined();
  });

  it("lets fetches of one repository wait for each other, also behind one that fails", async () => {
    using data = dataFolder();
    using repository = testRepository({ "a.txt": "one\n" });
    await using slow = await startSlowHost();
    const mirrors = createMirrors(data.path);
    const order: string[] = [];

    const first = mirrors.fetch({ key: "7", url: slow.url }, never).catch(() => order.push("first failed"));
    await slow.asked;
    const second = mirrors.fetch({ key: "7", url: repository.mirror }, never).then(() => order.push("second"));
    const other = await mirrors.fetch({ key: "8", url: repository.mirror }, never);
    order.push("another repository");
    slow.refuse();
    await Promise.all([first, second]);

    expect(order).toEqual(["another repository", "first failed", "second"]);
    expect(await commitOf(other, "main")).toBe(repository.commits[0]);
  });

  it("fetches over the lock files of a git that was killed", async () => {
    using data = dataFolder();
    using repository = testRepository({ "a.txt": "one\n" }, { "a.txt": "two\n" });
    const [first = "", second = ""] = repository.commits;
    plainGit(repository.mirror, "update-ref", "refs/heads/main", first);
    plainGit(repository.mirror, "update-ref", "refs/heads/deep/er", first);
    const source = { key: "7", url: repository.mirror };
    const path = await createMirrors(data.path).fetch(source, never);
    mkdirSync(join(path, "refs", "heads", "deep"), { recursive: true });
    const locks = ["packed-refs.lock", "refs/heads/main.lock", "refs/heads/deep/er.lock"];
    for (const lock of locks) writeFileSync(join(path, lock), "");
    plainGit(repository.mirror, "update-ref", "refs/heads/main", second);
    plainGit(repository.mirror, "update-ref", "-d", "refs/heads/deep/er");

    await createMirrors(data.path).fetch(source, never);

    expect([await commitOf(path, "main"), await commitOf(path, "deep/er")]).toEqual([second, undefined]);
  });

  it("waits for a fetch that others began on the same mirror, and stops waiting with its signal", async () => {
    using data = dataFolder();
    using repository = testRepository({ "a.txt": "one\n" });
    await using slow = await startSlowHost();
    const stop = new AbortController();
    const done: string[] = [];

    const other = createMirrors(data.path)
      .fetch({ key: "7", url: slow.url }, never)
      .catch(() => done.push("theirs"));
    await slow.asked;
    const mirrors = createMirrors(data.path);
    const stopped = mirrors.fetch({ key: "7", url: repository.mirror }, stop.signal);
    const waiting = mirrors.fetch({ key: "7", url: repository.mirror }, never).then(() => done.push("ours"));
    stop.abort(new Error("not needed any more"));
    await expect(stopped).rejects.toThrow("not needed any more");
    // More than the fetch that waits would need.
    await mirrors.fetch({ key: "8", url: repository.mirror }, never);
    const before = [...done];
    slow.refuse();
    await Promise.all([other, waiting]);

    expect(before).toEqual([]);
    expect(done).toEqual(["theirs", "ours"]);
  });

  it("keeps no token in the mirror", async () => {
    using data = dataFolder();
    using repository = testRepository({ "a.txt": "one\n" });
    const token = "ghs_0123456789abcdefghij";
    const mirrors = createMirrors(data.path);

    const gone = mirrors.fetch({ key: "7", url: "http://127.0.0.1:9/o/r.git", token }, never);
    await expect(gone).rejects.toThrow("git fetch failed");
    const path = await mirrors.fetch({ key: "7", url: repository.mirror }, never);

    expect(contents(path)).not.toContain(token);
    expect(contents(path)).not.toContain(Buffer.from(`x-access-token:${token}`).toString("base64"));
  });

  it("takes an address that looks like an option for an address", async () => {
    using data = dataFolder();
    const fired = join(data.path, "fired");

    const hostile = createMirrors(data.path).fetch({ key: "7", url: `--upload-pack=touch ${fired};` }, never);

    await expect(hostile).rejects.toThrow("git fetch failed");
    expect(existsSync(fired)).toBe(false);
  });
});

describe("commitOf", () => {
  it("knows exactly the branch that it is asked for", async () => {
    using repository = testRepository({ "a.txt": "one\n" });
    plainGit(repository.mirror, "update-ref", "refs/heads/release/1.0", repository.commits[0] ?? "");

    const commits = await Promise.all(
      ["main", "release/1.0", "release", "*", "ma[i]n", "--upload-pack=touch x", "../heads/main", "main\nmain", ""].map(
        (branch) => commitOf(repository.mirror, branch),
      ),
    );

    expect(commits).toEqual([repository.commits[0], repository.commits[0], ...Array(7).fill(undefined)]);
  });
});

describe("forkOf", () => {
  it("is the last commit that a branch and another one have in common", async () => {
    using repository = testRepository({ "a.txt": "1" }, { "a.txt": "2" }, { "a.txt": "3" });
    const [first = "", second = "", third = ""] = repository.commits;
    const { mirror } = repository;
    const aside = plainGit(mirror, "commit-tree", `${first}^{tree}`, "-p", second, "-m", "aside").trim();

    const forks = [
      await forkOf(mirror, third, aside),
      await forkOf(mirror, third, third),
      await forkOf(mirror, third, first),
    ];

    expect(forks).toEqual([second, third, first]);
  });

  it("is none where one of them was begun anew", async () => {
    using repository = testRepository({ "a.txt": "1" });
    const [only = ""] = repository.commits;
    const anew = plainGit(repository.mirror, "commit-tree", `${only}^{tree}`, "-m", "anew").trim();

    expect(await forkOf(repository.mirror, only, anew)).toBeUndefined();
    await expect(forkOf(repository.mirror, only, "f".repeat(40))).rejects.toThrow("merge-base");
  });
});

describe("readCommit", () => {
  it("reads files as data: attributes convert nothing, links are not followed, folders and submodules are no files", async () => {
    using repository = testRepository({
      "a.txt": "one\r\n",
      ".gitattributes": "*.txt text eol=crlf filter=x ident\n",
      "dir/run.sh": "$Id$\n",
      link: "link:a.txt",
      out: "link:/etc/passwd",
      folder: "link:dir",
    });
    const tree = join(repository.folder, "tree");
    plainGit(tree, "update-index", "--add", "--cacheinfo", `160000,${repository.commits[0]},vendor`);
    plainGit(tree, "commit", "-q", "-m", "submodule");
    plainGit(tree, "push", "-q", repository.mirror, "HEAD:main");
    const commit = plainGit(tree, "rev-parse", "HEAD").trim();

    const files = await readCommit(repository.mirror, commit);

    expect(files.top.toSorted()).toEqual([".gitattributes", "a.txt", "dir/", "folder", "link", "out", "vendor"]);
    expect(await files.read("dir/run.sh")).toBe("$Id$\n");
    const others = ["link", "out", "folder/run.sh", "dir", "dir/", "vendor", "none", "dir/../a.txt", ".git/config"];
    const read = await Promise.all(others.map((path) => files.read(path)));
    expect(others.filter((_path, i) => read[i] !== undefined)).toEqual([]);
    expect([await files.has("dir/run.sh"), await files.has("dir"), await files.has("none")]).toEqual([
      true,
      true,
      false,
    ]);
  });

  it("takes names as they are, whatever stands in them", async () => {
    using repository = testRepository({ "go.mod\tx": "1", "line\nbreak": "2", "*": "3", '"ü"': "4", "a.txt": "5" });

    const files = await readCommit(repository.mirror, repository.commits[0] ?? "");

    expect(files.top.toSorted()).toEqual(['"ü"', "*", "a.txt", "go.mod\tx", "line\nbreak"]);
    expect(await files.read("*")).toBe("3");
    expect(await files.has("go.mod")).toBe(false);
  });
});

describe("createRunRepository", () => {
  it("stands on the mirror's objects, adds nothing to it, and may be made again after a crash", async () => {
    using data = dataFolder();
    using repository = testRepository({ "a.txt": "one\n" });
    const commit = repository.commits[0] ?? "";

    const first = await createRunRepository(data.path, repository.mirror);
    const oid = (await git(["hash-object", "-w", "--stdin"], { gitDir: first, stdin: "new" })).toString().trim();
    const again = await createRunRepository(data.path, repository.mirror);

    expect(again).toBe(first);
    expect((await git(["cat-file", "blob", `${commit}:a.txt`], { gitDir: again })).toString()).toBe("one\n");
    expect((await git(["cat-file", "blob", oid], { gitDir: again })).toString()).toBe("new");
    await expect(git(["cat-file", "blob", oid], { gitDir: repository.mirror })).rejects.toThrow(oid);
  });
});
