import type { Subject } from "../job.ts";
import type { LiveRun } from "../queue.ts";
import { waitText } from "../waiting.ts";
import type { Wait } from "../waiting.ts";
import type { CheckCounts } from "./checks.ts";

/** A run that waits or works, with its place among those that wait. */
export interface ShownRun extends LiveRun {
  wait?: Wait | undefined;
}

/** What works or waits on an issue or pull request, in one line of Markdown; undefined for what has another place. */
export function lineOf(one: ShownRun): string | undefined {
  const about = aboutOf(one.run.subject);
  return about === undefined ? undefined : `- ${about}${timesOf(one)}`;
}

const kinds: Partial<Record<Subject["kind"], string>> = {
  review: ": a review",
  checks: ": checks that fail",
  merge: ": a merge of its base",
  question: ": a question",
};

function aboutOf(subject: Subject): string | undefined {
  const what = kinds[subject.kind] ?? "";
  if ("pull" in subject) return `#${subject.pull}${what}`;
  return "number" in subject ? `#${subject.number}${what}` : undefined;
}

/** Since when it works, or where it waits: no age, which would be another with each minute that passes. */
export function timesOf(run: ShownRun | undefined): string {
  if (run?.since !== undefined) return `, since ${utc(new Date(run.since).toISOString())}`;
  return run?.wait === undefined ? "" : `, ${waitText(run.wait)}`;
}

/** What others' checks say, behind the pull request that they are of. */
export function countsOf(counts: CheckCounts | undefined): string {
  const named = Object.entries({ ...counts }).filter(([, count]) => count > 0);
  return named.length === 0 ? "" : ` (checks: ${named.map(([state, count]) => `${count} ${state}`).join(", ")})`;
}

/** Such as "2026-11-23 05:00 UTC", of a time in ISO 8601. */
export function utc(time: string): string {
  return `${time.slice(0, 16).replace("T", " ")} UTC`;
}
