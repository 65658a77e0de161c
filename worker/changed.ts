import type { Forge } from "../src/forge.ts";
import { snapshotHash } from "../src/job.ts";
import { lastEvent } from "../src/runlog.ts";
import type { Run } from "./run.ts";

/** What people have to know where the issue is not any more what the run works on; undefined where it still is. */
export async function changedText(
  { job, log }: Pick<Run, "job" | "log">,
  forge: Pick<Forge, "issue">,
  number: number,
): Promise<string | undefined> {
  const snapshot = lastEvent(log.events, "snapshot");
  if (snapshot === undefined || snapshotHash(await forge.issue(number)) === snapshot.hash) return undefined;
  const taken = job.askedAt === undefined ? snapshot.at : new Date(job.askedAt).toISOString();
  return `The issue was changed after it was approved; I worked on the text of ${taken.slice(0, 16).replace("T", " ")} UTC.`;
}
