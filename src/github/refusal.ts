import { z } from "zod";
import { LimitedError, RefusedError, workflowsRefused } from "../errors.ts";
import type { Refusal } from "../errors.ts";
import { statusOf } from "./status.ts";

const response = z.object({ headers: z.record(z.string(), z.union([z.string(), z.number()]).optional()) }).optional();
const failure = z.object({
  message: z.string(),
  status: z.number(),
  request: z.object({ method: z.string(), url: z.string() }),
  response,
});

/** What octokit threw, as an error of ours where GitHub is sure of its no, or wants to be left alone; else as it is. */
export function explainFailure(error: unknown, owner: string): unknown {
  return explainLimit(error) ?? explainRefusal(error, owner) ?? error;
}

const limited = z.object({ message: z.string(), response });
const leastMs = 60_000;
/** The primary limit is counted by the hour. */
const mostMs = 65 * 60_000;

/**
 * The refusal of one request too many, with the time until which GitHub wants to be left alone. As it documents it:
 * `retry-after`, or the time of the reset where nothing remains, or a minute.
 */
export function explainLimit(error: unknown, now: number = Date.now()): LimitedError | undefined {
  if (error instanceof LimitedError) return error;
  const status = statusOf(error);
  const read = limited.safeParse(error);
  if ((status !== 403 && status !== 429) || !read.success) return undefined;
  const { message, response } = read.data;
  const { "retry-after": after, "x-ratelimit-remaining": left, "x-ratelimit-reset": reset } = response?.headers ?? {};
  const until = (ms: number) => new LimitedError(new Date(now + bounded(ms)), { cause: error });
  if (after !== undefined) return until(Number(after) * 1000);
  if (Number(left) === 0 && reset !== undefined) return until(Number(reset) * 1000 - now);
  return status === 429 || /rate limit/i.test(message) ? until(leastMs) : undefined;
}

function bounded(ms: number): number {
  return Number.isNaN(ms) ? leastMs : Math.min(mostMs, Math.max(1000, ms));
}

function explainRefusal(error: unknown, owner: string): RefusedError | undefined {
  const read = failure.safeParse(error);
  if (!read.success) return undefined;
  const { message, status, request, response } = read.data;
  const refused = (why: Refusal, text: string) => new RefusedError(why, text, { status, cause: error });
  const what = `${request.method} ${new URL(request.url).pathname}`;
  const [, workflow] = /refusing to allow .* to create or update workflow `?([^`\s]+)/i.exec(message) ?? [];
  if (workflow !== undefined) return workflowsRefused(workflow, { status, cause: error });
  if (status === 404 || status === 410)
    return refused("gone", `GitHub does not have it, or not for me: ${what} was answered with ${status}.`);
  if (status !== 403 && status !== 451) return undefined;
  if (/suspended/i.test(message)) return suspended(owner, error);
  if (/archived/i.test(message))
    return refused("archived", "The repository is archived, so nothing can be written to it. Unarchive it.");
  if (/is locked/i.test(message))
    return refused("locked", "The conversation is locked, and GitHub lets no app speak there. Unlock it.");
  if (!/not accessible by integration/i.test(message)) return refused("refused", `GitHub refused ${what}: ${message}`);
  const wanted = response?.headers["x-accepted-github-permissions"] ?? "one that GitHub does not name";
  return refused("permission", `GitHub refused ${what}. ${lacking(owner, String(wanted))}`);
}

/** Why no token was given. `lacks` names the permissions that were asked for and are not granted, such as "contents: write". */
export async function explainMint(error: unknown, owner: string, lacks: () => Promise<string[]>): Promise<unknown> {
  const read = failure.safeParse(error);
  if (!read.success) return error;
  const { message, status } = read.data;
  const refused = (why: Refusal, text: string) => new RefusedError(why, text, { cause: error });
  if (status === 403 && /suspended/i.test(message)) return suspended(owner, error);
  if (status === 404)
    return refused("gone", `The app is not installed on ${owner} any more. Install it again to go on.`);
  if (status !== 422) return error;
  if (/repository/i.test(message))
    return refused("gone", `The app's installation on ${owner} does not cover the repository any more.`);
  return refused("permission", lacking(owner, (await lacks()).join(", ")));
}

function suspended(owner: string, cause: unknown): RefusedError {
  return new RefusedError(
    "suspended",
    `The app's installation on ${owner} is suspended. Its owner lifts that in the settings, under GitHub Apps.`,
    { cause },
  );
}

function lacking(owner: string, permissions: string): string {
  return `The app's installation on ${owner} lacks the permission \`${permissions}\`. An owner grants it in the settings, under GitHub Apps, where it waits to be accepted.`;
}
