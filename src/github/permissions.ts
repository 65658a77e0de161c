import type { Access } from "../forge.ts";

/** What each phase's token may do. Their union is what app.yml asks for; a test compares both. */
export const accessPermissions = {
  report: {
    metadata: "read",
    contents: "read",
    issues: "write",
    pull_requests: "write",
    checks: "read",
    statuses: "read",
  },
  read: { contents: "read", metadata: "read" },
  publish: { metadata: "read", contents: "write", issues: "write", pull_requests: "write" },
  check: { metadata: "read", checks: "write" },
} as const satisfies Record<Access, Record<string, "read" | "write">>;

/** A phase goes on without these, which apps of a former version lack: what is told of checks is missing then. */
const spared: Partial<Record<Access, readonly string[]>> = { report: ["checks", "statuses"] };

/** What an installation that grants this lacks for a phase, as names and levels. */
export function lackedFor(access: Access, granted: Readonly<Record<string, string | undefined>>): [string, string][] {
  return Object.entries(accessPermissions[access]).filter(
    ([name, level]) => granted[name] === undefined || (level === "write" && granted[name] === "read"),
  );
}

/** What is left to ask for without what is lacked; undefined where the phase can't go on without that. */
export function withoutLacked(access: Access, lacked: readonly [string, string][]): Record<string, string> | undefined {
  const names = lacked.map(([name]) => name);
  if (names.length === 0 || !names.every((name) => spared[access]?.includes(name) === true)) return undefined;
  return Object.fromEntries(Object.entries(accessPermissions[access]).filter(([name]) => !names.includes(name)));
}

/** The webhook events that src/triggers.ts answers, beside those of installations, which every app gets. */
export const webhookEvents = [
  "check_suite",
  "issues",
  "issue_comment",
  "pull_request",
  "pull_request_review",
  "pull_request_review_comment",
  "push",
  "status",
] as const;

/** What an app lacks of that, in words, such as "the event push": one that was made before we needed it. */
export function lackedBy({ events, permissions }: { events: readonly string[]; permissions: object }): string[] {
  const has = new Map(Object.entries(permissions));
  const needed = Object.values(accessPermissions).flatMap((all) => Object.entries(all));
  const lacked = needed.filter(([name, level]) => has.get(name) !== "write" && has.get(name) !== level);
  return [
    ...new Set(lacked.map(([name, level]) => `the permission ${name}: ${level}`)),
    ...webhookEvents.filter((name) => !events.includes(name)).map((name) => `the event ${name}`),
  ];
}
