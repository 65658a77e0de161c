import type { Redis } from "ioredis";
import type { Forge, OwnIssue } from "../forge.ts";
import type { RepoRef } from "../job.ts";
import { redisPrefix, within } from "../queue.ts";
import { dashboardMark } from "../triggers.ts";
import { dashboardTitle, fingerprint, withoutBoxes, memoryIn, readTicks, withOwnPart } from "./dashboard.ts";
import type { Tick } from "./dashboard.ts";
import type { Memory } from "./memory.ts";

/** The dashboard issue as it stands. */
export interface BoardIssue {
  issue: OwnIssue | undefined;
  /** What people ticked in the text that we wrote last; in any other text boxes say nothing. */
  ticks: Tick[];
  /** What it remembers of the tasks. */
  memory: Memory;
}

/** Where issues are disabled. */
export const nothingShown: BoardIssue = { issue: undefined, ticks: [], memory: {} };

const writtenKey = (repo: RepoRef) => `${redisPrefix}:dashboard:${repo.id}`;

export async function readBoard(forge: Forge, redis: Redis): Promise<BoardIssue> {
  const issue = await forge.ownIssue(dashboardMark);
  if (issue === undefined) return nothingShown;
  const written = await within(3000, redis.get(writtenKey(forge.repo)));
  // Where Redis forgot what we wrote, a tick that waits is not to be emptied unseen: only people with write access set one.
  const isOurs = written === null || fingerprint(issue.body) === written;
  const ticks = issue.state === "open" && isOurs ? readTicks(issue.body) : [];
  return { issue, ticks, memory: memoryIn(issue.body) };
}

/** Opens the dashboard, or edits it where its text changed. One that a person closed is left alone. */
export async function showBoard(forge: Forge, redis: Redis, { issue }: BoardIssue, rendered: string): Promise<void> {
  if (issue?.state === "closed") return;
  const body = issue === undefined ? rendered : withOwnPart(issue.body.replaceAll("\r\n", "\n"), rendered);
  // What a person ticked meanwhile is not to be lost: the event of it brings us here again.
  const isNew = body !== issue?.body;
  if (isNew && (await forge.ownIssue(dashboardMark))?.body !== issue?.body) return;
  // Remembered first: what a person ticks may come at once. And again where Redis forgot it.
  await within(3000, redis.set(writtenKey(forge.repo), fingerprint(rendered), "EX", 400 * 24 * 3600));
  if (isNew) await forge.ensureIssue(dashboardMark, { title: dashboardTitle, body });
}

/** Where issues are disabled: the same as a check run that judges nothing, on a commit; boxes have no place there. */
export async function showOnCommit(
  checks: Forge,
  redis: Redis,
  commit: string | undefined,
  rendered: string,
): Promise<void> {
  if (commit === undefined) return;
  const now = `${commit} ${fingerprint(rendered)}`;
  if ((await within(3000, redis.get(writtenKey(checks.repo)))) === now) return;
  await checks.ensureCheckRun({
    name: "agent-fix / dashboard",
    commit,
    runId: "dashboard",
    conclusion: "neutral",
    title: dashboardTitle,
    summary: withoutBoxes(rendered),
    annotations: [],
  });
  await within(3000, redis.set(writtenKey(checks.repo), now, "EX", 400 * 24 * 3600));
}
