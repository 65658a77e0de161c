import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { dirname, join, resolve as absolute } from "node:path";
import { git } from "../../sandbox/git.ts";
import { issueBranch, openPull } from "../branches.ts";
import type { Config } from "../config.ts";
import { ConfigError, OutageError, messageOf } from "../errors.ts";
import type { Forge } from "../forge.ts";
import { forgeWithToken } from "../github/client.ts";
import { statusOf } from "../github/status.ts";
import type { TaskText } from "../job.ts";
import { createRedact } from "../redact.ts";

export interface SubjectOptions {
  repo?: string;
  issue?: string;
  out?: string;
  branch?: string;
  publish?: boolean;
}

/** What `agent-fix resolve` works on: an issue, and the repository that it is about. */
export interface Subject {
  text: TaskText;
  name: string;
  number: number | undefined;
  /** The branch that is worked on. */
  branch: string;
  source: { key: string; url: string; token?: string };
  forge: Forge | undefined;
  localDir: string | undefined;
}

/** Reads the issue and makes sure, before any work, that the result can be delivered. Throws ConfigError. */
export async function findSubject(url: string | undefined, options: SubjectOptions, config: Config): Promise<Subject> {
  if (options.out !== undefined) await requireWritable(options.out);
  return url === undefined ? localSubject(options) : remoteSubject(url, options, config);
}

async function localSubject({ repo, issue, branch, publish }: SubjectOptions): Promise<Subject> {
  if (repo === undefined || issue === undefined)
    throw new ConfigError("Give an issue's URL, or both --repo DIR and --issue FILE.md.");
  if (publish === true)
    throw new ConfigError(
      "--publish needs an issue's URL: a local repository has no pull requests. Use --out or --branch.",
    );
  const dir = absolute(repo);
  const text = await readIssue(issue);
  const current = await currentBranch(dir);
  if (branch !== undefined) await requireFree(dir, branch);
  const key = `local-${createHash("sha256").update(dir).digest("hex").slice(0, 16)}`;
  const source = { key, url: dir };
  return { text, name: dir, number: undefined, branch: current, source, forge: undefined, localDir: dir };
}

async function remoteSubject(url: string, options: SubjectOptions, config: Config): Promise<Subject> {
  const match = URL.canParse(url) ? /^\/([\w.-]+)\/([\w.-]+)\/issues\/(\d+)\/?$/.exec(new URL(url).pathname) : null;
  if (match === null)
    throw new ConfigError(
      `${JSON.stringify(url)} is not an issue's address, such as https://github.com/owner/repository/issues/12.`,
    );
  if (options.repo !== undefined || options.issue !== undefined)
    throw new ConfigError("Give either an issue's URL, or --repo DIR and --issue FILE.md.");
  if (options.branch !== undefined)
    throw new ConfigError(
      "--branch needs --repo: it creates the branch in a local repository. Use --publish or --out.",
    );
  const token = config.githubToken;
  if (token === undefined)
    throw new ConfigError(
      "GITHUB_TOKEN is not set. `resolve` reads the issue with it, and with --publish writes the branch and the pull request.",
    );
  const [, owner = "", repo = "", number = ""] = match;
  const { apiUrl, webUrl } = config.github;
  requireSameSite(url, webUrl);
  const connected = forgeWithToken({ apiUrl, throttle: true, redact: createRedact(config.secrets) }, token, {
    owner,
    repo,
  });
  const { forge, issue, facts, open } = await connected
    .then((there) => lookAround(there, Number(number), options))
    .catch((error: unknown) => explainRefusal(error, url));
  requireSameSite(facts.cloneUrl, webUrl);
  if (open !== undefined)
    throw new ConfigError(`${url} has an open pull request: ${open.url}. Close it first, or use --out.`);
  const source = { key: String(forge.repo.id), url: facts.cloneUrl, token };
  const name = `${owner}/${repo}`;
  return { text: issue, name, number: issue.number, branch: facts.defaultBranch, source, forge, localDir: undefined };
}

async function lookAround(forge: Forge, number: number, { publish }: SubjectOptions) {
  const [issue, facts, open] = await Promise.all([
    forge.issue(number),
    forge.repository(),
    publish === true ? openPull(forge, issueBranch(number)) : undefined,
  ]);
  return { forge, issue, facts, open };
}

/** GITHUB_TOKEN goes to the one site that the operator set, whatever an address says. */
function requireSameSite(url: string, webUrl: string): void {
  if (new URL(url).origin === new URL(webUrl).origin) return;
  throw new ConfigError(
    `${url} is not on ${webUrl}, so GITHUB_TOKEN is not sent there. Set GHE_HOST, and GHE_PROTOCOL where it is http, to that host if you trust it with the token.`,
  );
}

function explainRefusal(error: unknown, url: string): never {
  const cause = { cause: error };
  if (statusOf(error) === 401)
    throw new ConfigError(`${new URL(url).host} refused GITHUB_TOKEN. Set it to a token that is valid there.`, cause);
  if (statusOf(error) === 403)
    throw new ConfigError(`GITHUB_TOKEN may not read ${url}. Give it read access to issues and contents.`, cause);
  if (statusOf(error) === 404 || statusOf(error) === 410)
    throw new ConfigError(
      `${url} is not there, or GITHUB_TOKEN may not read it. Check the address and the token.`,
      cause,
    );
  throw new OutageError(`${new URL(url).host} could not be asked: ${messageOf(error)}`, cause);
}

async function readIssue(file: string): Promise<TaskText> {
  const content = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new ConfigError(`--issue is ${JSON.stringify(file)}, which cannot be read. Name a Markdown file.`, { cause });
  });
  const [first = "", ...rest] = content.split("\n");
  const title = first.replace(/^#+\s*/, "").trim();
  if (title === "")
    throw new ConfigError(`${file} is empty. Its first line is the title, the rest describes the problem.`);
  return { title, body: rest.join("\n").trim() };
}

async function currentBranch(dir: string): Promise<string> {
  const gitDir = join(dir, ".git");
  const name = await git(["symbolic-ref", "--short", "HEAD"], { gitDir }).catch((cause: unknown) => {
    throw new ConfigError(
      `${dir} is not a repository on a branch. Name the folder that holds .git, with a branch checked out.`,
      { cause },
    );
  });
  const branch = name.toString().trim();
  if (!(await succeeds(dir, ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])))
    throw new ConfigError(`${dir} has no commit on \`${branch}\` yet, so there is nothing to work on.`);
  return branch;
}

async function requireFree(dir: string, branch: string): Promise<void> {
  if (!(await succeeds(dir, ["check-ref-format", `refs/heads/${branch}`])))
    throw new ConfigError(`--branch is ${JSON.stringify(branch)}, which git does not take as a branch's name.`);
  if (await succeeds(dir, ["rev-parse", "--verify", "--quiet", `refs/heads/${branch}`]))
    throw new ConfigError(`--branch is ${JSON.stringify(branch)}, which exists in ${dir}. Name a new branch.`);
}

async function succeeds(dir: string, args: readonly string[]): Promise<boolean> {
  return git(args, { gitDir: join(dir, ".git") }).then(
    () => true,
    () => false,
  );
}

async function requireWritable(out: string): Promise<void> {
  const [folder, file] = await Promise.all(
    [dirname(absolute(out)), out].map((path) => stat(path).catch(() => undefined)),
  );
  if (folder?.isDirectory() !== true || file?.isDirectory() === true)
    throw new ConfigError(
      `--out is ${JSON.stringify(out)}, which cannot be written. Name a file in a folder that exists.`,
    );
}
