import { lastEvent } from "../src/runlog.ts";
import type { RunEvent } from "../src/runlog.ts";
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
