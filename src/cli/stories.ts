import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Octokit } from "@octokit/rest";
import { cases } from "../demo/cases/cases.ts";
import { fetchPackage } from "../demo/cases/fetch-package.ts";
import { OutageError } from "../errors.ts";
import { taskBranch } from "../branches.ts";
import { settingsPath } from "../settings.ts";
import { isTerminal, parseStatus } from "../status.ts";
import { configureBranch, dashboardMark, triggerLabel } from "../triggers.ts";
import type { Laptop } from "./laptop.ts";

export interface StoryContext {
  laptop: Laptop;
  say: (line: string) => void;
  caseName?: string | undefined;
}
export interface StoryResult {
  outcome: string;
  pullRequest: string | undefined;
  /** For people: the pull request with its evidence and diff. */
  text: string;
  page: string;
}
export type StoryName = keyof typeof stories;

/** What the demo can show; each acts as a person does, through GitHub's API alone. */
export const stories = { issue: issueStory, review: reviewStory, maintenance: maintenanceStory };

const storyLimitMs = 10 * 60_000;
const name = { owner: "ann", repo: "slugify-title" };
const storyFile = (path: string) => new URL(`../demo/stories/${path}`, import.meta.url);

/** Says nothing, and keeps the repository from getting its first settings beside the story. */
const noSettings = { [settingsPath]: "# Everything is detected.\n" };

async function issueStory({ laptop, say, caseName }: StoryContext): Promise<StoryResult> {
  const { octokit, repository } =
    caseName === undefined ? await openRepository(laptop) : await openCase(laptop, caseName, say);
  const text = (caseName === undefined ? undefined : cases[caseName]?.issue) ?? (await readIssue());
  const { data: filed } = await octokit.rest.issues.create({ ...repository, ...text });
  say(`ann filed #${filed.number}: ${filed.title}`);
  await octokit.rest.issues.addLabels({ ...repository, issue_number: filed.number, labels: [triggerLabel] });
  say(`ann set the label "${triggerLabel}"\n`);
  const body = await answerOn(octokit, { ...repository, number: filed.number });
  return describePull(
    octokit,
    { ...repository, branch: `agent-fix/issue-${filed.number}` },
    { body, page: filed.html_url },
  );
}

async function reviewStory(context: StoryContext): Promise<StoryResult> {
  const first = await issueStory(context);
  if (first.pullRequest === undefined) return first;
  const { laptop, say } = context;
  const octokit = ann(laptop);
  const pull = Number(first.pullRequest.split("/").at(-1));
  await octokit.rest.pulls.createReview({
    ...name,
    pull_number: pull,
    event: "COMMENT",
    comments: await readReview(),
  });
  say(`\nann submitted a review on #${pull}\n`);
  await answerOn(octokit, { ...name, number: pull });
  const { data: comments } = await octokit.rest.issues.listComments({ ...name, issue_number: pull });
  const body = comments
    .map((comment) => comment.body ?? "")
    .findLast((text) => text.startsWith("<!-- agent-fix:reply "));
  const told = [body ?? "", await describeThreads(octokit, pull)].join("\n\n");
  return describePull(octokit, { ...name, branch: "agent-fix/issue-1" }, { body: told, page: first.pullRequest });
}

/** What was said on lines of the pull request, thread by thread. */
async function describeThreads(octokit: Octokit, pull: number): Promise<string> {
  const { data } = await octokit.rest.pulls.listReviewComments({ ...name, pull_number: pull, per_page: 100 });
  const threads = data.filter((one) => one.in_reply_to_id === undefined);
  return threads
    .map((first) => {
      const said = data.filter((one) => one === first || one.in_reply_to_id === first.id);
      const lines = said.map(({ user, body }) => `${user.login}: ${visible(body)}`);
      return [`--- ${first.path}:${first.original_line ?? first.line ?? ""} ---`, ...lines].join("\n");
    })
    .join("\n\n");
}

async function maintenanceStory({ laptop, say }: StoryContext): Promise<StoryResult> {
  const { octokit } = await openRepository(laptop, {});
  say("ann puts the app on her repository, which has no settings yet\n");
  const openOn = async (branch: string) =>
    (await octokit.rest.pulls.list({ ...name, head: `${name.owner}:${branch}`, state: "open" })).data[0];
  const first = await poll("the pull request with the first settings", () => openOn(configureBranch));
  say(`\n--- #${first.number} ${first.title} ---\n${visible(first.body ?? "")}\n`);
  await octokit.rest.pulls.merge({ ...name, pull_number: first.number });
  const settings = await readFile(storyFile("maintenance.yml"), "utf8");
  const commit = { branch: "main", message: "Have unused exports removed", author: "ann" };
  await laptop.github.push(`${name.owner}/${name.repo}`, { [settingsPath]: settings }, commit);
  say("ann merged it, and added a task of her own");
  const now = new Date();
  await laptop.web.sweep(now);
  say("the sweep has seen the task's schedule; now a week passes\n");
  await laptop.web.sweep(new Date(now.getTime() + 8 * 24 * 3600_000));
  const branch = taskBranch("unused");
  const pull = await poll("the scheduled task's pull request", () => openOn(branch));
  const board = await poll("the dashboard that shows it", async () => {
    const { data } = await octokit.rest.issues.listForRepo({ ...name, state: "open" });
    return data.find(({ body }) => body?.startsWith(dashboardMark) === true && body.includes(`#${pull.number}`));
  });
  say(`\n--- #${board.number} ${board.title} ---\n${visible(board.body ?? "")}\n`);
  return describePull(octokit, { ...name, branch }, { body: "", page: laptop.github.url });
}

/** What ann says about the lines of the first pull request: a wish, a suggestion and a question. */
async function readReview(): Promise<{ path: string; line: number; body: string }[]> {
  const wish = await readFile(storyFile("review.md"), "utf8");
  const suggestion = '  assert.equal(slugify("The quick -- brown  fox"), "the-quick-brown-fox");';
  return [
    { path: "src/slug.js", line: 7, body: wish },
    { path: "test/slug.test.js", line: 10, body: `\`\`\`suggestion\n${suggestion}\n\`\`\`` },
    { path: "src/slug.js", line: 4, body: "Why NFKD, and not NFD?" },
  ];
}

async function readIssue(): Promise<{ title: string; body: string }> {
  const [first = "", ...rest] = (await readFile(storyFile("issue.md"), "utf8")).split("\n");
  return { title: first.replace(/^# /, ""), body: rest.join("\n").trim() };
}

async function openRepository(laptop: Laptop, files: Record<string, string> = noSettings) {
  await laptop.github.addRepository({
    owner: name.owner,
    name: name.repo,
    fromDir: fileURLToPath(storyFile("repository")),
    files,
  });
  laptop.github.install({ repositories: [`${name.owner}/${name.repo}`] });
  return { octokit: ann(laptop), repository: name };
}

async function openCase(laptop: Laptop, caseName: string, say: (line: string) => void) {
  const chosen = cases[caseName];
  if (chosen === undefined) throw new Error(`there is no case ${caseName}`);
  say(`fetching ${chosen.package}@${chosen.version} from the registry`);
  const repository = { owner: name.owner, repo: chosen.package };
  await laptop.github.addRepository({
    owner: repository.owner,
    name: repository.repo,
    files: { ...noSettings, ...(await fetchPackage(chosen.package, chosen.version)) },
  });
  laptop.github.install({ repositories: [`${repository.owner}/${repository.repo}`] });
  return { octokit: ann(laptop), repository };
}

function ann(laptop: Laptop): Octokit {
  return new Octokit({ auth: laptop.github.addUser("ann"), baseUrl: laptop.github.apiUrl });
}

/** Our status comment once it is final. */
async function answerOn(octokit: Octokit, where: typeof name & { number: number }): Promise<string> {
  const { number, ...repository } = where;
  return poll(`the answer on #${number}`, async () => {
    const { data } = await octokit.rest.issues.listComments({ ...repository, issue_number: number });
    return data.map((comment) => comment.body ?? "").find((body) => isTerminal(parseStatus(body)?.state ?? "working"));
  });
}

async function describePull(
  octokit: Octokit,
  where: typeof name & { branch: string },
  { body, page }: { body: string; page: string },
): Promise<StoryResult> {
  const { branch, ...repository } = where;
  const { data } = await octokit.rest.pulls.list({
    ...repository,
    head: `${repository.owner}:${branch}`,
    state: "open",
  });
  const pull = data[0];
  if (pull === undefined)
    return { outcome: parseStatus(body)?.state ?? "no answer", pullRequest: undefined, text: body, page };
  const diff = await octokit.request("GET /repos/{owner}/{repo}/pulls/{pull_number}", {
    ...repository,
    pull_number: pull.number,
    mediaType: { format: "diff" },
  });
  const answer = body === "" ? [] : ["--- the answer ---", visible(body), ""];
  const text = [
    ...answer,
    `--- #${pull.number} ${pull.title} ---`,
    visible(pull.body ?? ""),
    "",
    "--- the diff ---",
    (diff.data as unknown as string).trimEnd(),
  ].join("\n");
  return { outcome: "published", pullRequest: pull.html_url, text, page: pull.html_url };
}

function visible(body: string): string {
  return body.replaceAll(/<!--[\s\S]*?-->\s*/g, "").trim();
}

async function poll<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + storyLimitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new OutageError(`${what} did not come within ${storyLimitMs / 60_000} minutes`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
