import { createHash } from "node:crypto";
import type { Redis } from "ioredis";
import type { Forge } from "../forge.ts";
import { redisPrefix, within } from "../queue.ts";
import { settingsPath } from "../settings.ts";
import { say } from "./say.ts";
import type { SettingsResult } from "../settings.ts";

const title = "Action Required: fix agent-fix configuration";
const mark = "<!-- agent-fix:settings ";
/** An issue that we closed has no problems in its mark any more: the same ones open another. */
const closedMark = `${mark}-->`;
const rightMark = "<!-- agent-fix:settings-right -->";
/** How long what was told is taken to stand there; in seconds. */
const toldFor = 3600;

/**
 * Tells in one issue of ours what is wrong with the settings, and closes it once nothing is, or the file is gone. An issue
 * that a person closed stays closed until something else is wrong. Nothing where issues are disabled. Safe to repeat, by one
 * process at a time.
 */
export async function tellSettings(forge: Forge, result: SettingsResult, redis: Redis): Promise<void> {
  const problems = result.ok ? [] : result.problems;
  const told = `${redisPrefix}:settings-told:${forge.repo.id}`;
  const now = hashOf(problems);
  if ((await within(3000, redis.get(told))) === now) return;
  await (result.ok ? closeOwn(forge) : openOwn(forge, problems));
  await within(3000, redis.set(told, now, "EX", toldFor));
}

async function openOwn(forge: Forge, problems: readonly string[]): Promise<void> {
  // Where a problem stands is no other problem.
  const known = `${mark}${hashOf(problems.map((problem) => problem.replace(/^line \d+: /, "")))} -->`;
  const own = await forge.ownIssue(mark);
  if (own?.state === "closed" && own.body.startsWith(known)) return;
  const { cloneUrl } = await forge.repository();
  const file = `${cloneUrl.replace(/\.git$/, "")}/blob/HEAD/${settingsPath}`;
  await forge.ensureIssue(mark, { title, body: `${known}\n${render(problems, file)}` });
}

function render(problems: readonly string[], file: string): string {
  const shown = problems.map((one) => `- ${one.replace(/^line (\d+)/, `[line $1](${file}#L$1)`)}`);
  return [
    `[\`${settingsPath}\`](${file}) on the default branch can't be used. Nothing is started and no scheduled task runs until it is mended:`,
    shown.join("\n"),
    "This issue closes by itself once the file is right. Where you close it before, it stays closed until something else is wrong.",
  ].join("\n\n");
}

async function closeOwn(forge: Forge): Promise<void> {
  const own = await forge.ownIssue(mark);
  if (own?.state !== "open") return;
  await forge.ensureIssue(mark, { title: own.title, body: own.body.replace(/^<!--.*?-->/, closedMark) });
  await say(forge, own.number, rightMark, `There is nothing wrong with \`${settingsPath}\` any more.`);
  await forge.closeIssue(own.number);
}

function hashOf(problems: readonly string[]): string {
  return createHash("sha256").update(problems.join("\n")).digest("hex").slice(0, 16);
}
