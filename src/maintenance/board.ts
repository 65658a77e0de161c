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
  /** Names its text, whatever is ticked in it; undefined where that is not as we wrote it. */
  print: string | undefined;
  /** What people ticked in it; in a text that is not as we wrote it boxes say nothing. */
  ticks: Tick[];
  /** What it remembers of the tasks. */
  memory: Memory;
}

/** Where issues are disabled. */
export const nothingShown: BoardIssue = { issue: undefined, print: undefined, ticks: [], memory: {} };

const keepSeconds = 400 * 24 * 3600;
/** The names of the texts that may stand there: while one is written, the one before and the new one. */
export const boardKey = (repo: RepoRef) => `${redisPrefix}:dashboard:${repo.id}`;

export async function readBoard(forge: Forge, redis: Redis): Promise<BoardIssue> {
  const issue = await forge.ownIssue(dashboardMark);
  if (issue === undefined) return nothingShown;
  const written = await within(3000, redis.get(boardKey(forge.repo)));
  const found = fingerprint(issue.body);
  // Where Redis forgot what we wrote, a tick that waits is not to be emptied unseen: only people with write access set one.
  const print = written === null || written.split(" ").includes(found) ? found : undefined;
  const ticks = issue.state === "open" && print !== undefined ? readTicks(issue.body) : [];
  return { issue, print, ticks, memory: memoryIn(issue.body) };
}

interface Place {
  forge: Forge;
  redis: Redis;
  /** What a body passes before it is sent. */
  clean: (body: string) => string;
}

/** Opens the dashboard, or edits it where its text changed. One that a person closed is left alone. */
export async function showBoard(
  { forge, redis, clean }: Place,
  { issue, print }: BoardIssue,
  rendered: string,
): Promise<void> {
  // Nobody looks on its account any more.
  if (issue?.state === "closed") return void (await within(3000, redis.del(boardKey(forge.repo))));
  const body = clean(issue === undefined ? rendered : withOwnPart(issue.body.replaceAll("\r\n", "\n"), rendered));
  const remember = (...prints: string[]) =>
    within(3000, redis.set(boardKey(forge.repo), prints.join(" "), "EX", keepSeconds));
  // Also where nothing changed: Redis may have forgotten it.
  if (body === issue?.body) return void (await remember(fingerprint(body)));
  // What a person ticked meanwhile is not to be lost: the event of it brings us here again.
  if ((await forge.ownIssue(dashboardMark))?.body !== issue?.body) return;
  // Remembered before it is written: what a person ticks may come at once, in this text or in the one before.
  await remember(...(print === undefined ? [] : [print]), fingerprint(body));
  const shown = await forge.ensureIssue(dashboardMark, { title: dashboardTitle, body });
  if (shown !== undefined) await remember(fingerprint(shown.body));
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
  if ((await within(3000, redis.get(boardKey(checks.repo)))) === now) return;
  await checks.ensureCheckRun({
    name: "agent-fix / dashboard",
    commit,
    runId: "dashboard",
    conclusion: "neutral",
    title: dashboardTitle,
    summary: withoutBoxes(rendered),
    annotations: [],
  });
  await within(3000, redis.set(boardKey(checks.repo), now, "EX", keepSeconds));
}
