import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Octokit } from "@octokit/rest";
import { expect } from "vitest";
import { composeTools } from "../../../src/cli/compose.ts";
import { startLaptop } from "../../../src/cli/laptop.ts";
import type { Laptop, LaptopOptions } from "../../../src/cli/laptop.ts";
import type { EmbeddedGitHub, NewRepository } from "../../../src/demo/github/server.ts";
import { readScripts } from "../../../src/demo/model/script.ts";
import { isTerminal, parseStatus } from "../../../src/status.ts";
import { createContract, expectNoViolations } from "../../support/contract.ts";

/** A laptop in a folder of its own, every call on it held against GitHub's description when it is disposed. */
export interface TestLaptop extends Laptop {
  dataDir: string;
  /** GitHub's API with a person's token. */
  as(login: string): Octokit;
}

const waitLimitMs = 300_000;

export async function startTestLaptop(options: Omit<LaptopOptions, "dataDir"> = {}): Promise<TestLaptop> {
  const dataDir = mkdtempSync(join(tmpdir(), "agent-fix-test-"));
  const contract = createContract();
  const laptop = await startLaptop({
    ...options,
    dataDir,
    settings: { LOG_LEVEL: "fatal", ...options.settings },
    github: { ...contract, ...options.github },
  });
  const as = (login: string) => personOn(laptop.github, login);
  return Object.assign(Object.create(laptop) as Laptop, {
    dataDir,
    as,
    async [Symbol.asyncDispose]() {
      const left = laptop.parts.config;
      await laptop[Symbol.asyncDispose]();
      const { engine } = await composeTools(left);
      const containers = await engine.list();
      rmSync(dataDir, { recursive: true, force: true });
      expectNoViolations(contract);
      expect(containers, "containers and volumes left behind").toEqual([]);
    },
  });
}

export function personOn(github: EmbeddedGitHub, login: string): Octokit {
  return new Octokit({ auth: github.addUser(login), baseUrl: github.apiUrl });
}

/** A small project with one check that fails while its number is wrong; quick, since only `sh` runs. */
export const brokenProject = {
  "README.md": "# answer\n",
  "answer.txt": "41\n",
  "check.sh": 'grep -qx 42 answer.txt || { echo "the answer is wrong"; exit 1; }\n',
  ".github/agent-fix.yml": "checks:\n  - sh check.sh\n",
};

/** Says nothing, and keeps a repository from getting its first settings as a pull request. */
const noSettings = { ".github/agent-fix.yml": "# Everything is detected.\n" };

/** Adds a repository of ann's with the app on it, with settings that say nothing where none are given; without files it has no commit. */
export async function addProject(
  laptop: Laptop,
  name: string,
  files: NewRepository["files"] | null = brokenProject,
  more: Partial<NewRepository> = {},
): Promise<{ owner: string; repo: string }> {
  const all = files === null ? {} : { files: { ...noSettings, ...files } };
  await laptop.github.addRepository({ owner: "ann", name, ...all, ...more });
  laptop.github.install({ repositories: [`ann/${name}`] });
  return { owner: "ann", repo: name };
}

/** The conversations for `brokenProject`. */
export const answerScripts = readScripts(new URL("conversations/", import.meta.url));

type Where = { owner: string; repo: string };

/** Files an issue as ann and sets the label. Returns its number. */
export async function fileLabelled(
  laptop: TestLaptop,
  where: Where,
  issue: { title: string; body?: string } = { title: "The answer is wrong", body: "It should be 42." },
): Promise<number> {
  const octokit = laptop.as("ann");
  const { data } = await octokit.rest.issues.create({ ...where, ...issue });
  await octokit.rest.issues.addLabels({ ...where, issue_number: data.number, labels: ["agent-fix"] });
  return data.number;
}

/** What we said on an issue or pull request beside the status comment. */
export async function repliesOn(laptop: TestLaptop, where: Where, number: number): Promise<string[]> {
  const { data } = await laptop.as("ann").rest.issues.listComments({ ...where, issue_number: number });
  const ours = data.filter((comment) => comment.user?.login === "agent-fix[bot]").map(({ body = "" }) => body);
  return ours.filter((body) => parseStatus(body) === undefined);
}

/** Our status comments on an issue or pull request, as they stand. */
export async function statusesOn(laptop: TestLaptop, where: Where, number: number) {
  const { data } = await laptop.as("ann").rest.issues.listComments({ ...where, issue_number: number });
  return data
    .filter((comment) => comment.user?.login === "agent-fix[bot]")
    .map(({ body = "" }) => ({ body, marker: parseStatus(body) }))
    .filter(({ marker }) => marker !== undefined);
}

/** Waits for the final status comment; fails where there is more than one. */
export async function finalStatus(laptop: TestLaptop, where: Where, number: number) {
  await expect
    .poll(
      async () => (await statusesOn(laptop, where, number)).map(({ marker }) => isTerminal(marker?.state ?? "working")),
      {
        timeout: waitLimitMs,
        interval: 100,
      },
    )
    .toEqual([true]);
  const [status] = await statusesOn(laptop, where, number);
  if (status?.marker === undefined) throw new Error(`no status comment on #${number}`);
  return { ...status, marker: status.marker };
}

export async function pullsOf(laptop: TestLaptop, where: Where) {
  return (await laptop.as("ann").rest.pulls.list({ ...where, state: "all" })).data;
}
