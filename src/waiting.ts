import type { Redis } from "ioredis";
import type { CodeHost } from "./forge.ts";
import type { RunJob, Subject } from "./job.ts";
import { redisPrefix, within } from "./queue.ts";
import type { Queues } from "./queue.ts";
import { readStatus, writeStatus } from "./status-comment.ts";
import { renderStatus } from "./status.ts";
import type { StatusMarker } from "./status.ts";
import { inlineText } from "./text.ts";

/** How many waiting runs have their places told: behind them it is a long time in any case. */
const mostTold = 20;
const tookKey = `${redisPrefix}:took`;
const mostKept = 20;
/** With fewer, what one run took says little of the next. */
const leastKept = 3;

/** Where a run stands in the queue. */
export interface Wait {
  /** From 1. */
  place: number;
  /** When it may start, in milliseconds from now; undefined where too little is known. */
  expectedMs: number | undefined;
}

/** Keeps how long a run took, in milliseconds, for what is expected of the next ones. */
export async function keepDuration(redis: Redis, ms: number): Promise<void> {
  await within(
    3000,
    redis
      .multi()
      .lpush(tookKey, Math.round(ms))
      .ltrim(tookKey, 0, mostKept - 1)
      .exec(),
  );
}

/** Where a run stands that waits; undefined for one that does not, or that a worker takes at once. */
export async function waitOf(queues: Queues, runId: string): Promise<Wait | undefined> {
  const { runs, atWork } = await queues.waiting(mostTold);
  const index = runs.findIndex((run) => run.runId === runId);
  if (index === -1 || atWork === 0) return undefined;
  const wait = await expectFor(queues.redis, { place: index + 1, atWork });
  await within(3000, queues.redis.set(placeKey(runId), wait.place, "EX", 24 * 3600));
  return wait;
}

/** Where those stand that wait, by their runs' ids: the first ones, and none where workers take them at once. */
export async function waits(queues: Queues): Promise<Map<string, Wait>> {
  const { runs, atWork } = await queues.waiting(mostTold);
  if (atWork === 0) return new Map();
  const expecting = runs.map(async ({ runId }, index) => {
    return [runId, await expectFor(queues.redis, { place: index + 1, atWork })] as const;
  });
  return new Map(await Promise.all(expecting));
}

/** The status comment of a run that waits. */
export function renderQueued(marker: Omit<StatusMarker, "state">, run: RunJob, wait: Wait | undefined): string {
  const snapshot =
    run.subject.kind === "issue" ? " I work on the text as it stands now; later edits do not reach the run." : "";
  return renderStatus({ ...marker, state: "queued" }, headerOf(wait), [
    `Asked for by ${inlineText(run.actor.login)}.${snapshot}`,
    "`/agent-fix stop` takes it out of the queue.",
  ]);
}

/** Says in the status comments of those that wait where they stand now, if that is another place than they were told. */
export async function tellPlaces({ host, queues }: { host: CodeHost; queues: Queues }): Promise<void> {
  const { runs, atWork } = await queues.waiting(mostTold);
  for (const [index, run] of runs.entries()) {
    const place = index + 1;
    const { subject } = run;
    const number = statusPlaceOf(subject);
    if (number === undefined || !(await isNews(queues.redis, run.runId, place))) continue;
    const at = { redis: queues.redis, forge: host.forge(run.repo, "report"), number };
    const status = await readStatus(at.forge, number);
    if (!isWaiting(status, run)) continue;
    const wait = await expectFor(queues.redis, { place, atWork });
    await writeStatus(at, renderQueued(status, run, wait), (found) => !isWaiting(found, run));
  }
}

/** The issue or pull request that carries the status comment of a run; undefined for one that has none. */
export function statusPlaceOf(subject: Subject): number | undefined {
  if (subject.kind === "issue") return subject.number;
  return "pull" in subject ? subject.pull : undefined;
}

function isWaiting(status: StatusMarker | undefined, { runId }: RunJob): status is StatusMarker {
  return status?.run === runId && status.state === "queued";
}

async function isNews(redis: Redis, runId: string, place: number): Promise<boolean> {
  return (await within(3000, redis.set(placeKey(runId), place, "EX", 24 * 3600, "GET"))) !== String(place);
}

const placeKey = (runId: string) => `${redisPrefix}:place:${runId}`;

async function expectFor(redis: Redis, { place, atWork }: { place: number; atWork: number }): Promise<Wait> {
  const took = (await within(3000, redis.lrange(tookKey, 0, -1))).map(Number).sort((a, b) => a - b);
  const usual = took[Math.floor(took.length / 2)];
  const isKnown = usual !== undefined && took.length >= leastKept && atWork > 0;
  return { place, expectedMs: isKnown ? (usual * place) / atWork : undefined };
}

function headerOf(wait: Wait | undefined): string {
  return wait === undefined ? "Queued" : `Queued: ${waitText(wait)}`;
}

/** Such as "place 2, about 14 min". */
export function waitText({ place, expectedMs }: Wait): string {
  const expected = expectedMs === undefined ? "" : `, about ${Math.max(1, Math.round(expectedMs / 60_000))} min`;
  return `place ${place}${expected}`;
}
