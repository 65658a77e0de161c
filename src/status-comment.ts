import type { Redis } from "ioredis";
import type { Forge } from "./forge.ts";
import { withLock } from "./lock.ts";
import { parseStatus, remarkedStatus, statusMark } from "./status.ts";
import type { StatusMarker } from "./status.ts";

const turnLimitMs = 60_000;

/** An issue or pull request that carries a status comment. */
export interface StatusPlace {
  redis: Redis;
  forge: Forge;
  number: number;
}

/**
 * Creates or edits the status comment, one writer at a time among all processes: two that find none would each create
 * one. Writes nothing where `isCovered` says so of what stands there; a `body` that has to be asked for is asked for
 * after that.
 */
export async function writeStatus(
  place: StatusPlace,
  body: string | (() => Promise<string>),
  isCovered?: (found: StatusMarker | undefined) => boolean,
): Promise<void> {
  await inTurn(place, async ({ forge, number }) => {
    if (isCovered !== undefined && isCovered(await readStatus(forge, number))) return;
    await forge.ensureComment(number, statusMark, typeof body === "string" ? body : await body());
  });
}

/** Changes what the status comment remembers, and nothing that people read; nothing where `change` gives nothing. */
export async function amendStatus(
  place: StatusPlace,
  change: (status: StatusMarker) => StatusMarker | undefined,
): Promise<void> {
  await inTurn(place, async ({ forge, number }) => {
    const body = (await forge.findComment(number, statusMark))?.body ?? "";
    const status = parseStatus(body);
    const changed = status && change(status);
    if (changed !== undefined) await forge.ensureComment(number, statusMark, remarkedStatus(body, changed));
  });
}

/** What the status comment says of the last run; undefined where there is none, or none of ours. */
export async function readStatus(forge: Forge, number: number): Promise<StatusMarker | undefined> {
  return parseStatus((await forge.findComment(number, statusMark))?.body ?? "");
}

/** Writes one run's texts. */
export interface StatusWriter {
  /** News of the work. A comment that a person deletes is made anew once; deleted again, nothing is told until the end. */
  tell(body: string): Promise<void>;
  /** The run's one answer: also written where nothing was to be told any more, since nothing else remembers the run. */
  end(body: string): Promise<void>;
}

export function createStatusWriter(place: StatusPlace): StatusWriter {
  let known: number | undefined;
  let deletions = 0;
  return {
    async tell(body) {
      if (deletions > 1) return;
      await inTurn(place, async ({ forge, number }) => {
        if (known !== undefined && (await forge.editComment(known, body))) return;
        if (known !== undefined) deletions++;
        if (deletions <= 1) known = (await forge.ensureComment(number, statusMark, body)).id;
      });
    },
    end: (body) => writeStatus(place, body),
  };
}

async function inTurn(place: StatusPlace, work: (place: StatusPlace) => Promise<void>): Promise<void> {
  const { redis, forge, number } = place;
  await withLock(redis, `status-${forge.repo.id}-${number}`, turnLimitMs, () => work(place));
}
