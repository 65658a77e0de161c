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
  /** Whether the head commit is one of ours. */
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
}

/** Why nothing is done. Each stands in the log. */
export type Skip =
  | "not-ours"
  | "disabled"
  | "conflict"
  | "waiting"
  | "green"
  | "infrastructure"
  | "all-failing-on-base"
  | "human-commit"
  | "already-handled"
  | "attempts-used-up"
  | "busy";

export type WatchDecision =
  | { do: "start"; key: string; failing: Check[] }
  /** `tells`: what a check run beside the others says of it, where people would wonder. */
  | { do: "nothing"; why: Skip; tells?: { title: string; summary: string } };

/** Pure: what to do about the checks of a pull request. The first rule that fits decides. */
export function decideWatch(watched: Watched): WatchDecision {
  const { isOurs, isOpen, settings, isHeadOurs, conflicts, checks, base } = watched;
  if (!isOurs || !isOpen) return skip("not-ours");
  if (!settings.fix) return skip("disabled");
  if (conflicts === "conflict")
    return skip("conflict", {
      title: "Conflicts with the base",
      summary: `This branch and its base, which stands at ${base}, change the same lines. Merge the base into it: no branch is rebased or forced by me.`,
    });
  if (checks.some(({ state }) => state === "pending")) return skip("waiting");
  const red = checks.filter(({ state }) => state === "failed");
  if (red.length === 0) return skip("green");
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
  if (!isHeadOurs) return humanCommit();
  return startUnlessDone(watched, own);
}

function startUnlessDone({ settings, before, isBusy, head }: Watched, failing: Check[]): WatchDecision {
  const key = createHash("sha256")
    .update(JSON.stringify([head, ...failing.map(({ name }) => name).toSorted()]))
    .digest("hex")
    .slice(0, 16);
  if (before?.handled === key) return skip("already-handled");
  if ((before?.attempts ?? 0) >= settings.attempts)
    return skip("attempts-used-up", {
      title: "Tried often enough",
      summary: `I tried ${settings.attempts} times and stopped, so as not to go round in circles. Push a commit, or say in a comment what to do.\n\n${listed(failing)}`,
    });
  return isBusy ? skip("busy") : { do: "start", key, failing };
}

function humanCommit(): WatchDecision {
  return skip("human-commit", {
    title: "In a person's hands",
    summary:
      "The newest commit is not mine, so I do not touch this branch by myself. A review or a comment that names me brings me back.",
  });
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
