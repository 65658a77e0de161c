import type { Redis } from "ioredis";
import type { Forge } from "./forge.ts";
import { withLock } from "./lock.ts";
import { parseStatus, statusMark } from "./status.ts";
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
 * one. Writes nothing where `isCovered` says so of what stands there.
 */
export async function writeStatus(
  { redis, forge, number }: StatusPlace,
  body: string,
  isCovered?: (found: StatusMarker | undefined) => boolean,
): Promise<void> {
  await withLock(redis, `status-${forge.repo.id}-${number}`, turnLimitMs, async () => {
    if (isCovered !== undefined && isCovered(await readStatus(forge, number))) return;
    await forge.ensureComment(number, statusMark, body);
  });
}

/** What the status comment says of the last run; undefined where there is none, or none of ours. */
export async function readStatus(forge: Forge, number: number): Promise<StatusMarker | undefined> {
  return parseStatus((await forge.findComment(number, statusMark))?.body ?? "");
}
