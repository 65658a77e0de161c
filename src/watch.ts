import { createHash } from "node:crypto";
import type { Check } from "./forge.ts";
import type { Watch } from "./status.ts";

/** What is known of our pull request when its checks are looked at. */
export interface Watched {
  isOurs: boolean;
  isOpen: boolean;
  /** `checksWatch` of the settings. */
  settings: { fix: boolean; attempts: number };
  head: string;
  /** The commit of the branch that it is to be merged into. */
  base: string;
  /** Whether the head commit is one of ours, or was handed to us by a person. */
  isHeadOurs: boolean;
  conflicts: "clean" | "conflict" | "unknown";
  /** Of the head commit, by others than us. */
  checks: readonly Check[];
  /** Names of checks that fail on the base commit too. */
  redOnBase: readonly string[];
  /** Names of failing checks whose own words say that the machine failed, and not the code. */
  infrastructure: readonly string[];
  isBusy: boolean;
  before: Watch | undefined;
  now: Date;
}

/** Why nothing is done. Each stands in the log. */
export type Skip =
  | "not-ours"
  | "disabled"
  | "waiting"
  | "needs-maintainer"
  | "green"
  /** No check has judged it, so far. */
  | "no-verdict"
  | "infrastructure"
  | "all-failing-on-base"
  | "human-commit"
  | "already-handled"
  | "attempts-used-up"
  | "busy";

/** A run on what fails, or on the merge of the base. `key`: what it sees to, which is done once. */
type Start = { do: "start"; key: string } & ({ what: "checks"; failing: Check[] } | { what: "merge" });
export type WatchDecision =
  | Start
  /** `tells`: what a check run beside the others says of it, where people would wonder. */
  | { do: "nothing"; why: Skip; tells?: { title: string; summary: string } };

/** How long a check may take to end. One that never starts (a path filter, a runner that is gone) holds nobody up for longer. */
const longestPendingMs = 24 * 3600_000;

/** Pure: what to do about the checks of a pull request, and its conflicts. The first rule that fits decides. */
export function decideWatch(watched: Watched): WatchDecision {
  const { isOurs, isOpen, settings, isHeadOurs, conflicts, base, now } = watched;
  if (!isOurs || !isOpen) return skip("not-ours");
  if (!settings.fix) return skip("disabled");
  if (conflicts === "conflict") {
    const start = { do: "start", what: "merge", key: mergeKey(watched.head, base) } as const;
    return isHeadOurs ? unlessDone(watched, start, "The base conflicts with this branch.") : skip("human-commit");
  }
  const checks = watched.checks.filter(({ state, since }) => state !== "pending" || !isLate(since, now));
  if (checks.some(({ state }) => state === "pending")) return skip("waiting");
  const red = checks.filter(({ state }) => state === "failed");
  if (red.length === 0) return withoutRed(checks);
  const broken = red.filter(({ name }) => watched.infrastructure.includes(name));
  if (broken.length === red.length)
    return skip("infrastructure", {
      title: "The machine failed, and not the code",
      summary: `${listed(broken)}\n\nRun them again: I can't, since that needs a permission that I do not ask for.`,
    });
  const own = red.filter(({ name }) => !watched.redOnBase.includes(name) && !watched.infrastructure.includes(name));
  if (own.length === 0)
    return skip("all-failing-on-base", {
      title: "Red on the base as well",
      summary: `${listed(red)}\n\nThese fail on the base commit ${base} too, so I leave them alone.`,
    });
  if (!isHeadOurs) return skip("human-commit");
  const key = keyOf([watched.head, ...own.map(({ name }) => name).toSorted()]);
  return unlessDone(watched, { do: "start", what: "checks", key, failing: own }, listed(own));
}

/** Names a merge of two commits: it is tried once. */
export function mergeKey(head: string, base: string): string {
  return keyOf(["merge", head, base]);
}

function keyOf(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}

function isLate(since: string | undefined, now: Date): boolean {
  return since !== undefined && now.getTime() - Date.parse(since) > longestPendingMs;
}

function withoutRed(checks: readonly Check[]): WatchDecision {
  const waiting = checks.filter(({ state }) => state === "action-required");
  if (waiting.length === 0) return skip(checks.some(({ state }) => state === "passed") ? "green" : "no-verdict");
  return skip("needs-maintainer", {
    title: "Waiting for a maintainer",
    summary: `${listed(waiting)}\n\nThese go on when somebody has allowed it on their page.`,
  });
}

/** `about`: what there is to be done, for people. */
function unlessDone({ settings, before, isBusy }: Watched, start: Start, about: string): WatchDecision {
  if (before?.handled === start.key) return skip("already-handled");
  if ((before?.attempts ?? 0) >= settings.attempts)
    return skip("attempts-used-up", {
      title: "Tried often enough",
      summary: `I tried ${settings.attempts} times and stopped, so as not to go round in circles. \`/agent-fix continue\` has me count anew, as it does when every check passes.\n\n${about}`,
    });
  return isBusy ? skip("busy") : start;
}

function skip(why: Skip, tells?: { title: string; summary: string }): WatchDecision {
  return { do: "nothing", why, ...(tells !== undefined && { tells }) };
}

function listed(checks: readonly Check[]): string {
  return checks.map(({ name, url }) => `- ${url === undefined ? name : `[${name}](${url})`}`).join("\n");
}

// What runners and registries say when they fail themselves.
const infrastructure =
  /lost communication with the server|no space left on device|received a shutdown signal|runner has (?:received|lost)|failed to (?:initialize|initialise|start) container|rpc (?:failed|error)|the operation was canceled|(?:50[0234]|429) (?:bad gateway|service unavailable|gateway time-?out|internal server error|too many requests)|toomanyrequests|could not resolve host|network is unreachable/i;

/** Whether a check's annotations say that its machine failed. */
export function isInfrastructure(annotations: readonly { title: string; message: string; level: string }[]): boolean {
  const failures = annotations.filter(({ level }) => level === "failure");
  return failures.length > 0 && failures.every(({ title, message }) => infrastructure.test(`${title}\n${message}`));
}
