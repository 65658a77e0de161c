import type { Redis } from "ioredis";
import type { Forge } from "./forge.ts";
import { withLock } from "./lock.ts";
import { redisPrefix, within } from "./queue.ts";
import { parseStatus, remarkedStatus, remembering, statusMark, statusMarker } from "./status.ts";
import type { Memory, StatusMarker } from "./status.ts";

const turnLimitMs = 60_000;
const copySeconds = 90 * 24 * 3600;

/** An issue or pull request that carries a status comment. */
export interface StatusPlace {
  redis: Redis;
  forge: Forge;
  number: number;
}

/**
 * Creates or edits the status comment, one writer at a time among all processes: two that find none would each create
 * one. What stands there as its memory stays, whatever `body` says of it. Writes nothing where `isCovered` says so of what
 * stands there; a `body` that has to be asked for is asked for after that.
 */
export async function writeStatus(
  place: StatusPlace,
  body: string | (() => Promise<string>),
  isCovered?: (found: StatusMarker | undefined) => boolean,
): Promise<void> {
  await inTurn(place, async () => {
    const found = await recallStatus(place);
    if (isCovered?.(found) === true) return;
    await put(place, remembering(typeof body === "string" ? body : await body(), found ?? {}));
  });
}

/** Changes what the status comment remembers, and nothing that people read; nothing where `change` gives nothing. */
export async function amendStatus(
  place: StatusPlace,
  change: (status: StatusMarker) => StatusMarker | undefined,
): Promise<void> {
  await inTurn(place, () => remark(place, change));
}

async function remark(place: StatusPlace, change: (status: StatusMarker) => StatusMarker | undefined): Promise<void> {
  const body = (await place.forge.findComment(place.number, statusMark))?.body ?? "";
  const shown = parseStatus(body);
  const status = shown ?? (await copyOf(place));
  const changed = status && change(status);
  if (changed === undefined) return;
  // A person may have deleted the comment: then the copy alone remembers.
  if (shown === undefined) await keepMarker(place, changed);
  else await put(place, remarkedStatus(body, changed));
}

/** What the status comment says of the last run; undefined where there is none, or none of ours. */
export async function readStatus(forge: Forge, number: number): Promise<StatusMarker | undefined> {
  return parseStatus((await forge.findComment(number, statusMark))?.body ?? "");
}

/** The same; where a person deleted the comment, what it said at last. */
export async function recallStatus(place: StatusPlace): Promise<StatusMarker | undefined> {
  return (await readStatus(place.forge, place.number)) ?? copyOf(place);
}

/** Writes one run's texts, each with what the place remembers by then. */
export interface StatusWriter {
  /** News of the work. A comment that a person deletes is made anew once; deleted again, nothing is told until the end. */
  tell(body: string): Promise<void>;
  /** The run's one answer: also written where nothing was to be told any more, since nothing else remembers the run. */
  end(body: string): Promise<void>;
}

/**
 * `remember`: what a run makes of what stands there as the place's memory. Nothing, by default. `stays`: whether what
 * stands there at the end stays, but for that.
 */
export function createStatusWriter(
  place: StatusPlace,
  remember: (memory: Memory) => Memory = (memory) => memory,
  stays: (found: StatusMarker) => boolean = () => false,
): StatusWriter {
  let known: number | undefined;
  let deletions = 0;
  let memory: Memory = {};
  return {
    async tell(body) {
      if (deletions > 1) return;
      await inTurn(place, async () => {
        // From the first time on the copy is as new as the comment, and costs no question to the code host.
        memory = remember((known === undefined ? await recallStatus(place) : await copyOf(place)) ?? memory);
        const text = remembering(body, memory);
        if (known !== undefined && (await place.forge.editComment(known, text))) return keepCopy(place, text);
        if (known !== undefined) deletions++;
        if (deletions <= 1) known = await put(place, text);
      });
    },
    async end(body) {
      await inTurn(place, async () => {
        const found = await recallStatus(place);
        if (found !== undefined && stays(found)) return remark(place, (status) => ({ ...status, ...remember(status) }));
        await put(place, remembering(body, remember(found ?? memory)));
      });
    },
  };
}

async function put(place: StatusPlace, body: string): Promise<number> {
  const { id } = await place.forge.ensureComment(place.number, statusMark, body);
  await keepCopy(place, body);
  return id;
}

const copyKey = ({ forge, number }: StatusPlace) => `${redisPrefix}:status:${forge.repo.id}:${number}`;

async function keepCopy(place: StatusPlace, body: string): Promise<void> {
  const status = parseStatus(body);
  if (status !== undefined) await keepMarker(place, status);
}

async function keepMarker(place: StatusPlace, status: StatusMarker): Promise<void> {
  await within(3000, place.redis.set(copyKey(place), JSON.stringify(status), "EX", copySeconds));
}

async function copyOf(place: StatusPlace): Promise<StatusMarker | undefined> {
  const copy = await within(3000, place.redis.get(copyKey(place)));
  return copy === null ? undefined : statusMarker.safeParse(JSON.parse(copy)).data;
}

async function inTurn(place: StatusPlace, work: () => Promise<void>): Promise<void> {
  const { redis, forge, number } = place;
  await withLock(redis, `status-${forge.repo.id}-${number}`, turnLimitMs, work);
}
