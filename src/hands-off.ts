import type { Commit, Forge, Pull } from "./forge.ts";
import type { Actor } from "./job.ts";
import { inlineText } from "./text.ts";
import { taskPrefix } from "./triggers.ts";

const mark = "<!-- agent-fix:hands-off ";

/** What GitHub calls itself where it makes a commit for an app. */
const host = "GitHub";

/** Whether a run of ours, or `/agent-fix ci`, made the commit. One that a person amended or picked keeps its trailer and its author. */
export function isOwnCommit(
  { message, author, committer }: Pick<Commit, "message" | "author" | "committer">,
  botLogin: string,
): boolean {
  const isMadeByUs = author === botLogin && (committer === botLogin || committer === host);
  return isMadeByUs && /^Agent-Fix-(?:Run|CI): /m.test(message);
}

/** Whether the branch of our pull request is a person's now: its newest commit is theirs, and nobody handed it back to us. */
export async function isPersons(
  forge: Forge,
  { number, head }: Pick<Pull, "number" | "head">,
  botLogin: string,
): Promise<boolean> {
  return !isOwnCommit(await forge.commit(head.commit), botLogin) && !(await isHandedBack(forge, number, head.commit));
}

/** Says on our pull request, in one comment that is edited, that a person's commit keeps us off its branch. */
export async function sayHandsOff(forge: Forge, { number, head }: Pick<Pull, "number" | "head">): Promise<void> {
  const { branch, commit } = head;
  // Somebody may have handed it back since it was looked at.
  if (await isHandedBack(forge, number, commit)) return;
  const isTask = branch.startsWith(taskPrefix);
  const over = isTask
    ? " Where this repository has a dashboard, a box there starts the task over, without these commits."
    : "";
  await tell(forge, number, {
    state: `kept ${commit}`,
    text: `You pushed \`${commit.slice(0, 7)}\`; I do not touch this branch by myself until somebody with write says \`/agent-fix continue\`. A review, or a comment that names me, brings a commit as before.${over}`,
  });
}

/** Says in the same comment that a person had us give the pull request up for a new one. */
export async function sayStartedOver(
  forge: Forge,
  { number, head }: Pick<Pull, "number" | "head">,
  by: Actor,
): Promise<void> {
  await tell(forge, number, {
    state: `over ${head.commit}`,
    text: `Closed, since ${inlineText(by.login)} asked me to start this task over. Its commits stay on this branch.`,
  });
}

/** Remembers that a person lets us go on from the commit. */
export async function handBack(forge: Forge, number: number, { head, by }: { head: string; by: Actor }): Promise<void> {
  await tell(forge, number, {
    state: `back ${head}`,
    text: `${inlineText(by.login)} handed the branch back to me at \`${head.slice(0, 7)}\`: I see to its checks and conflicts again.`,
  });
}

async function isHandedBack(forge: Forge, number: number, head: string): Promise<boolean> {
  return (await forge.findComment(number, mark))?.body.startsWith(begin(`back ${head}`)) ?? false;
}

async function tell(forge: Forge, number: number, { state, text }: { state: string; text: string }): Promise<void> {
  await forge.ensureComment(number, mark, `${begin(state)}\n${text}`);
}

function begin(state: string): string {
  return `${mark}${state} -->`;
}
