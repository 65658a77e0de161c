import { join } from "node:path";
import { existsSync } from "node:fs";
import { lastEvent, readRun, runsDir } from "../src/runlog.ts";
import type { RunEvent } from "../src/runlog.ts";
import type { Change } from "../sandbox/changes.ts";
import type { Layered } from "../sandbox/workspace.ts";
import { changesBetween } from "./rebuild.ts";
import type { Run } from "./run.ts";

/** What a run that goes on from another is told: what that one said to people, and what one of them answered. */
export type Earlier = Omit<Extract<RunEvent, { type: "earlier" }>, "type">;

/** From the log, else from the inbox; undefined where nothing came before, or where Redis lost what was said. */
export async function takeEarlier(run: Pick<Run, "job" | "log" | "inboxMessages">): Promise<Earlier | undefined> {
  const { follows } = run.job;
  const logged = lastEvent(run.log.events, "earlier");
  if (logged !== undefined || follows === undefined) return logged;
  const message = (await run.inboxMessages()).find((one) => one.kind === "earlier");
  if (message === undefined) return undefined;
  const { said, by, answer } = message;
  const earlier = { how: follows.how, said, by, answer };
  await run.log.append({ type: "earlier", ...earlier });
  return earlier;
}

/** A change that an earlier run left, or the harness made, and the folder that has its git objects. */
export interface EarlierWork {
  commit: string;
  changes: Change[];
  objects: string;
  /** The tree to stand on where it is not the base's, as with other dependencies. */
  tree?: Layered | undefined;
}

/**
 * What the run before left of a change, for one that goes on from it: where that run was on this machine, and stood on the
 * same commit.
 */
export async function takeEarlierWork(
  { job: { follows } }: Pick<Run, "job">,
  { dataDir, base }: { dataDir: string; base: string },
): Promise<EarlierWork | undefined> {
  if (follows?.how !== "continue" || follows.run === undefined) return undefined;
  const events = readRun(dataDir, follows.run) ?? [];
  const work = lastEvent(events, "work");
  const repository = join(runsDir(dataDir), follows.run, "repo.git");
  if (work === undefined || lastEvent(events, "base")?.commit !== base || !existsSync(repository)) return undefined;
  const changes = await changesBetween(repository, base, work.commit);
  return { commit: work.commit, changes, objects: join(repository, "objects") };
}
