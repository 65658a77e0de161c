import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { git, gitToken } from "../../sandbox/git.ts";
import { git as plainGit, testRepository } from "../sandbox/support.ts";

const token = "ghs_0123456789abcdefghij";
const basic = Buffer.from(`x-access-token:${token}`).toString("base64");

/** A server on a free port of this machine, which ends every connection with itself. */
async function serve(listener: RequestListener): Promise<{ origin: string } & AsyncDisposable> {
  const server = createServer(listener);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
  };
}

/** The arguments of every process of this machine. */
function allArguments(): string {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        return "";
      }
    })
    .join("\n");
}

describe("git", () => {
  it("gives exactly the bytes that git wrote", async () => {
    using repository = testRepository({ "a.txt": "one\n" });
    const bytes = Buffer.from([0, 255, 13, 10, 128]);

    const oid = await git(["hash-object", "-w", "--stdin"], { gitDir: repository.mirror, stdin: bytes });
    const read = await git(["cat-file", "blob", oid.toString().trim()], { gitDir: repository.mirror });

    expect(read).toEqual(bytes);
  });

  it("fails with git's last words and the name of the command", async () => {
    using repository = testRepository({ "a.txt": "one\n" });

    await expect(git(["cat-file", "blob", "HEAD:none.txt"], { gitDir: repository.mirror })).rejects.toThrow(
      /^git cat-file failed \(128\): .*none\.txt/,
    );
  });

  it("stops a command that says too much, and says that this was the reason", async () => {
    using repository = testRepository({ "a.txt": "one\n" });
    const at = { gitDir: repository.mirror };
    const big = await git(["hash-object", "-w", "--stdin"], { ...at, stdin: Buffer.alloc(32 * 2 ** 20) });

    const flood = git(["cat-file", "--batch"], { ...at, stdin: big.toString().repeat(9) });

    await expect(flood).rejects.toThrow(/git cat-file failed \(more than 256 MB of output\)/);
  });

  it("ends a command at its time limit, and one whose signal aborts with the signal's reason", async () => {
    using repository = testRepository({ "a.txt": "one\n" });
    const asked = Promise.withResolvers<void>();
    await using silent = await serve(() => asked.resolve());
    const abort = new AbortController();
    const ask = ["ls-remote", `${silent.origin}/r.git`];

    await expect(git(ask, { gitDir: repository.mirror, timeoutMs: 300 })).rejects.toThrow("no answer in 300 ms");
    const aborted = git(ask, { gitDir: repository.mirror, signal: abort.signal });
    await asked.promise;
    abort.abort(new Error("stopped: label removed"));

    await expect(aborted).rejects.toThrow("stopped: label removed");
    await expect.poll(allArguments).not.toContain(silent.origin);
  });

  it("fails, and ends nothing, where no file can be opened any more", () => {
    const script = `
      import { openSync } from "node:fs";
      import { git } from ${JSON.stringify(fileURLToPath(new URL("../../sandbox/git.ts", import.meta.url)))};
      try { for (;;) openSync("/dev/null"); } catch {}
      await git(["--version"], { gitDir: "/" }).catch(({ name, message }) => process.stdout.write(name + ": " + message));
    `;
    const command = ["-c", 'ulimit -n 100 && exec "$@"', "sh", process.execPath, "--input-type=module", "-e", script];

    expect(execFileSync("sh", command, { encoding: "utf8" })).toMatch(/^GitFailed: git --version failed \(.*EMFILE\)/);
  });

  it("follows nobody's configuration: not the environment's, not the repository's hooks and filters", async () => {
    using repository = testRepository(
      { "a.txt": "one\n", ".gitattributes": "* diff=x filter=x\n" },
      { "a.txt": "two\n" },
    );
    const fired = join(repository.folder, "fired");
    const at = { gitDir: repository.mirror };
    mkdirSync(join(repository.mirror, "hooks"), { recursive: true });
    await git(["config", "core.fsmonitor", `touch ${fired}`], at);
    await git(["config", "core.hooksPath", join(repository.mirror, "hooks")], at);
    process.env["GIT_EXTERNAL_DIFF"] = `touch ${fired}`;
    try {
      await git(["diff-tree", "-p", repository.commits[0] ?? "", repository.commits[1] ?? ""], at);
    } finally {
      delete process.env["GIT_EXTERNAL_DIFF"];
    }

    expect(existsSync(fired)).toBe(false);
    expect((await git(["config", "core.fsmonitor"], at)).toString()).toBe("false\n");
    expect((await git(["config", "core.hooksPath"], at)).toString()).toBe("/dev/null\n");
  });

  it("reads nothing of the folder in which it is started, and starts no git but the system's", async () => {
    using repository = testRepository({ "a.txt": "one\n" }, { "a.txt": "two\n" });
    const fired = join(repository.folder, "fired");
    const here = join(repository.folder, "here");
    mkdirSync(join(here, "bin"), { recursive: true });
    writeFileSync(join(here, ".gitattributes"), "* binary\n");
    writeFileSync(join(here, "bin", "git"), `#!/bin/sh\ntouch ${fired}\n`, { mode: 0o755 });
    plainGit(here, "init", "-q", "--separate-git-dir", join(repository.folder, "own.git"), here);
    const alternates = join(repository.folder, "own.git", "objects", "info", "alternates");
    writeFileSync(alternates, `${join(repository.mirror, "objects")}\n`);
    const program = `
      import { git } from ${JSON.stringify(new URL("../../sandbox/git.ts", import.meta.url).href)};
      process.stdout.write(await git(${JSON.stringify(["diff-tree", "-p", ...repository.commits])}, { gitDir: "../own.git" }));`;

    const said = execFileSync(process.execPath, ["--input-type=module", "-e", program], {
      cwd: here,
      encoding: "utf8",
      env: { PATH: `${join(here, "bin")}:${process.env["PATH"]}` },
    });

    expect(said).toContain("\n-one\n+two\n");
    expect(existsSync(fired)).toBe(false);
  });

  it("speaks no transport that runs a command", async () => {
    using repository = testRepository({ "a.txt": "one\n" });
    const fired = join(repository.folder, "fired");

    const asked = git(["ls-remote", `ext::touch ${fired}`], { gitDir: repository.mirror });

    await expect(asked).rejects.toThrow(/transport 'ext' not allowed/);
    expect(existsSync(fired)).toBe(false);
  });
});

describe("gitToken", () => {
  it("reaches the host it is for, while no process of this machine has it among its arguments", async () => {
    using repository = testRepository({ "a.txt": "one\n" });
    const seen: { header: string | undefined; processes: string }[] = [];
    await using host = await serve((request, response) => {
      seen.push({ header: request.headers.authorization, processes: allArguments() });
      response.writeHead(404).end();
    });
    const url = `${host.origin}/o/r.git`;

    const asked = git(["ls-remote", url], { gitDir: repository.mirror, env: gitToken(url, token) });

    await expect(asked).rejects.toThrow("not found");
    expect(seen[0]?.header).toBe(`Basic ${basic}`);
    expect(seen[0]?.processes).toContain(url);
    expect(seen[0]?.processes).not.toContain(token);
    expect(seen[0]?.processes).not.toContain(basic);
  });

  it("is not told to another host that the first one points to", async () => {
    using repository = testRepository({ "a.txt": "one\n" });
    const told: (string | undefined)[] = [];
    await using other = await serve((request, response) => {
      told.push(request.headers.authorization);
      response.writeHead(404).end();
    });
    await using host = await serve((request, response) => {
      response.writeHead(302, { location: `${other.origin}${request.url ?? ""}` }).end();
    });
    const url = `${host.origin}/o/r.git`;

    await expect(git(["ls-remote", url], { gitDir: repository.mirror, env: gitToken(url, token) })).rejects.toThrow(
      "git ls-remote failed",
    );

    expect(told.length).toBeGreaterThan(0);
    expect(told.filter((header) => header !== undefined)).toEqual([]);
  });
});
