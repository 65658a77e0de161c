import { isCommand } from "../src/commands.ts";
import { mayWrite } from "../src/forge.ts";
import type { Author, Forge, Remark } from "../src/forge.ts";
import { lastEvent } from "../src/runlog.ts";
import type { RunEvent } from "../src/runlog.ts";
import { cut } from "../src/text.ts";
import { labelTrigger, triggerLabel } from "../src/triggers.ts";
import type { Run } from "./run.ts";

/** What people said below an issue before a run was asked for. */
export type Said = Extract<RunEvent, { type: "remarks" }>["said"];

/** The newest so many are taken, each at most so long. */
const mostRemarks = 50;
const mostCharacters = 8000;

/**
 * The comments of people with write access that stood there when the run was asked for, and were not edited since. From
 * the log, so that a second try has the same.
 */
export async function takeRemarks(run: Pick<Run, "job" | "log">, forge: Forge, number: number): Promise<Said> {
  const logged = lastEvent(run.log.events, "remarks");
  if (logged !== undefined) return logged.said;
  const remarks = await forge.remarks(number);
  const asked = remarks.length === 0 ? undefined : await askedAt(run, forge, { number, remarks });
  const authors = new Map(remarks.filter(({ author }) => !author.isBot).map(({ author }) => [author.login, author]));
  const allowed = [...authors.keys()].map(async (login) =>
    mayWrite(await forge.permission(login)) ? login : undefined,
  );
  const trusted = new Set(await Promise.all(allowed));
  const { said, left } = remarksBefore(remarks, { asked, trusts: ({ login }) => trusted.has(login) });
  await run.log.append({ type: "remarks", said, left });
  if (left > 0)
    await run.log.append({
      type: "note",
      text: `comments that were left out, since they are not by people with write access, or are newer than the request: ${left}`,
    });
  return said;
}

/** Pure: which comments count, oldest first, and how many do not. `asked` is an ISO time; without it none is older. */
export function remarksBefore(
  remarks: readonly Remark[],
  { asked, trusts }: { asked: string | undefined; trusts: (author: Author) => boolean },
): { said: Said; left: number } {
  const others = remarks.filter((one) => !isOurs(one) && !isCommand(one.body) && one.body.trim() !== "");
  const isBefore = (at: string) => asked !== undefined && Date.parse(at) < Date.parse(asked);
  const heard = others.filter(
    ({ author, createdAt, editedAt }) =>
      !author.isBot && trusts(author) && isBefore(createdAt) && (editedAt === undefined || isBefore(editedAt)),
  );
  const said = heard.slice(-mostRemarks).map(({ author, body }) => ({
    by: author.login,
    body: cut(body, mostCharacters),
  }));
  return { said, left: others.length - said.length };
}

/** Each of ours begins with a mark. */
function isOurs({ author, body }: Remark): boolean {
  return author.isBot && body.startsWith("<!-- agent-fix:");
}

/** When the code host saw the label set or the comment made; else when we heard of it. */
async function askedAt(
  { job: { trigger, askedAt: heard } }: Pick<Run, "job">,
  forge: Forge,
  { number, remarks }: { number: number; remarks: readonly Remark[] },
): Promise<string | undefined> {
  const comment = remarks.find(({ id }) => trigger === `comment-${id}`);
  if (comment !== undefined) return comment.createdAt;
  const event = await forge.labelEvent(number, triggerLabel);
  if (event !== undefined && labelTrigger(event.id) === trigger) return event.at;
  return heard === undefined ? undefined : new Date(heard).toISOString();
}
