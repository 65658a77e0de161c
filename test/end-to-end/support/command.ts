import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Octokit } from "@octokit/rest";
import { Redis } from "ioredis";
import { expect } from "vitest";
import type { Engine } from "../../../sandbox/engine.ts";
import { composeTools } from "../../../src/cli/compose.ts";
import { readConfig } from "../../../src/config.ts";
import { startGitHub } from "../../../src/demo/github/server.ts";
import type { EmbeddedGitHub } from "../../../src/demo/github/server.ts";
import { startModel } from "../../../src/demo/model/model.ts";
import type { ScriptedModel } from "../../../src/demo/model/model.ts";
import { createContract, expectNoViolations } from "../../support/contract.ts";
import { answerScripts, brokenProject, personOn } from "./laptop.ts";

type Env = Record<string, string>;

const project = fileURLToPath(new URL("../../../", import.meta.url));
export const launcher = join(project, "src/cli/agent-fix.js");
const outside = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => !folder.includes("node_modules"));
const basics: Env = { PATH: outside.join(delimiter), HOME: process.env["HOME"] ?? "/", LOG_LEVEL: "info" };
/** The machine's own Node, whichever version it is, and the one that comes with the project. */
export const nodes = {
  system: execFileSync("sh", ["-c", "command -v node"], { env: basics, encoding: "utf8" }).trim(),
  own: join(project, "node_modules/node/bin/node"),
};

export interface CommandOptions {
  /** All that the process finds in its environment beside PATH, HOME, LOG_LEVEL and the engine's address. */
  env?: Env;
  /** Default: the system's folder for temporary files, so never the project. */
  cwd?: string;
  /** Default: the project's own. */
  node?: keyof typeof nodes;
  /** Another path to the launcher, such as a symlink. */
  bin?: string;
}
export interface Ended {
  /** Null when a signal ended it. */
  code: number | null;
  stdout: string;
  stderr: string;
}
export interface RunningCommand extends AsyncDisposable {
  pid: number;
  /** The first line of stdout or stderr, also of those that were already said, that has the pattern. */
  line(pattern: RegExp): Promise<string>;
  /** To the process alone, as `kill` does. */
  signal(name: NodeJS.Signals): void;
  /** It and what it started in its group, at once, as when the machine fails. */
  killAll(): void;
  ended: Promise<Ended>;
}

// The guard outlives nobody: when its stdin closes, however this process ended, it kills the group.
const guardScript = 'cat >/dev/null; kill -s KILL -- "-$1"';

/** `agent-fix` as a process of its own; it and what it started in its group are gone when it is disposed. */
export function startCommand(args: readonly string[], options: CommandOptions = {}): RunningCommand {
  const { env = {}, cwd = tmpdir(), node = "own", bin = launcher } = options;
  const engine = process.env["DOCKER_HOST"];
  const child = spawn(nodes[node], [bin, ...args], {
    cwd,
    env: { ...basics, ...(engine === undefined ? {} : { DOCKER_HOST: engine }), ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${nodes[node]} could not be started`);
  const guard = spawn("sh", ["-c", guardScript, "sh", String(pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  const guarded = new Promise<void>((resolve) => guard.once("close", () => resolve()));
  const said = { stdout: "", stderr: "" };
  const waiting = new Set<() => void>();
  let over = false;
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
      waiting.forEach((look) => look());
    });
  const ended = new Promise<Ended>((resolve) => {
    child.once("close", (code) => {
      over = true;
      resolve({ code, ...said });
      waiting.forEach((look) => look());
    });
  });
  const find = (pattern: RegExp) => `${said.stdout}\n${said.stderr}`.split("\n").find((line) => pattern.test(line));

  return {
    pid,
    ended,
    signal: (name) => child.kill(name),
    killAll: () => process.kill(-pid, "SIGKILL"),
    line: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const line = find(pattern);
          if (line === undefined && !over) return;
          waiting.delete(look);
          if (line !== undefined) resolve(line);
          else reject(new Error(`agent-fix ended without ${String(pattern)}:\n${said.stdout}\n${said.stderr}`));
        };
        waiting.add(look);
        look();
      }),
    async [Symbol.asyncDispose]() {
      guard.stdin.end();
      await Promise.all([ended, guarded]);
    },
  };
}

export async function runCommand(args: readonly string[], options: CommandOptions = {}): Promise<Ended> {
  await using command = startCommand(args, options);
  return await command.ended;
}

/** How wrong usage or configuration ends: nothing on stdout, and each of the texts, but no stack, on stderr. */
export function refusal(...texts: string[]) {
  const says = (text: string) => texts.every((one) => text.includes(one)) && !/^\s+at /m.test(text);
  return { code: 2, stdout: "", stderr: expect.toSatisfy(says, `says ${texts.join(", ")}`) as string };
}

/** A connection to the server at a unix socket; undefined where none answers. */
export async function connectTo(socket: string): Promise<Redis | undefined> {
  const redis = new Redis(socket, { retryStrategy: () => null, maxRetriesPerRequest: 0, lazyConnect: true });
  redis.on("error", () => {});
  try {
    await redis.connect();
    return redis;
  } catch {
    redis.disconnect();
    return undefined;
  }
}

/** The same for the redis-server that `up` keeps in this DATA_DIR. */
export function serverIn(dataDir: string): Promise<Redis | undefined> {
  return connectTo(join(dataDir, "redis", "redis.sock"));
}

export interface Folder extends AsyncDisposable {
  path: string;
}

/** A new folder to use as DATA_DIR; a redis-server that was left in it is ended before it goes. */
export function createFolder(): Folder {
  const path = mkdtempSync(join(tmpdir(), "agent-fix-command-"));
  return {
    path,
    async [Symbol.asyncDispose]() {
      const redis = await serverIn(path);
      await redis?.shutdown("NOSAVE").catch(() => {});
      redis?.disconnect();
      rmSync(path, { recursive: true, force: true });
    },
  };
}

export interface Site extends AsyncDisposable {
  dataDir: string;
  github: EmbeddedGitHub;
  model: ScriptedModel;
  /** What an operator sets for this GitHub and this model, with a free port. */
  env: Env;
  /** GitHub's API with a person's token. */
  as(login: string): Octokit;
}

/** The world around the command: GitHub, held against its own description, and the scripted model. */
export async function startSite(): Promise<Site> {
  const stack = new AsyncDisposableStack();
  try {
    const dataDir = stack.use(createFolder()).path;
    const contract = createContract();
    stack.defer(() => expectNoViolations(contract));
    stack.defer(async () => expect(await (await engineOf(dataDir)).list(), "containers left behind").toEqual([]));
    const webhookSecret = randomBytes(32).toString("hex");
    const app = { id: 4242, slug: "agent-fix", webhookSecret };
    const github = stack.use(await startGitHub({ ...contract, dataDir: join(dataDir, "github"), app }));
    const model = stack.use(await startModel({ scripts: answerScripts }));
    const env = {
      APP_ID: String(github.app.id),
      PRIVATE_KEY: github.app.privateKey,
      WEBHOOK_SECRET: webhookSecret,
      GHE_HOST: new URL(github.url).host,
      GHE_PROTOCOL: "http",
      PORT: "0",
      DATA_DIR: dataDir,
      MODEL_BASE_URL: model.url,
    };
    const as = (login: string) => personOn(github, login);
    return { dataDir, github, model, env, as, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** The engine as the installation in this DATA_DIR sees it: its containers and volumes alone. */
export async function engineOf(dataDir: string): Promise<Engine> {
  return (await composeTools(readConfig({ DATA_DIR: dataDir }))).engine;
}

/** A model server that answers everything with this status. */
export async function startFailingModel(status: number, message: string): Promise<AsyncDisposable & { url: string }> {
  const body = JSON.stringify({ error: { message, type: "error", param: null, code: status } });
  const server = createServer((_request, response) =>
    response.writeHead(status, { "content-type": "application/json" }).end(body),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** The command lines of all processes that have the text in them. */
export function processesWith(text: string): string[] {
  const lines = execFileSync("ps", ["-A", "-o", "args"], { encoding: "utf8", maxBuffer: 2 ** 26 }).split("\n");
  return lines.filter((line) => line.includes(text));
}

const waitMs = 90_000;

/** Files an issue on a new project as ann and sets the label; waits for the pull request that answers it. */
export async function expectPullRequest(site: Site, name: string): Promise<void> {
  await site.github.addRepository({ owner: "ann", name, files: brokenProject });
  site.github.install({ repositories: [`ann/${name}`] });
  const where = { owner: "ann", repo: name };
  const octokit = site.as("ann");
  const { data: issue } = await octokit.rest.issues.create({ ...where, title: "The answer is wrong", body: "41?" });
  await octokit.rest.issues.addLabels({ ...where, issue_number: issue.number, labels: ["agent-fix"] });
  const pulls = async () => (await octokit.rest.pulls.list({ ...where, state: "all" })).data;
  const comments = async () =>
    (await octokit.rest.issues.listComments({ ...where, issue_number: issue.number })).data.map(({ body }) => body);
  await expect.poll(comments, { timeout: waitMs, interval: 200 }).toEqual([expect.stringMatching(/Opened .*#2/)]);
  expect(await pulls()).toMatchObject([{ title: "Give the right answer", state: "open", number: 2 }]);
}

/** The address that a command says it serves, in the line that matches. */
export async function urlOf(command: RunningCommand, line: RegExp): Promise<string> {
  return /http:\/\/[\d.]+:\d+/.exec(await command.line(line))?.[0] ?? "";
}
