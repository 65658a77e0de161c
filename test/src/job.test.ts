import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { intakeJob, runIdOf, runJob, snapshotHash, subjectKey } from "../../src/job.ts";
import type { RepoRef, Subject } from "../../src/job.ts";

const repos: fc.Arbitrary<RepoRef> = fc.record({
  id: fc.nat(),
  owner: fc.string(),
  name: fc.string(),
  installationId: fc.nat(),
});
const subjects: fc.Arbitrary<Subject> = fc.oneof(
  fc.record({ kind: fc.constant("issue" as const), number: fc.nat() }),
  fc.record({ kind: fc.constant("task" as const), key: fc.stringMatching(/^[a-z0-9-]{1,40}$/) }),
  fc.record({
    kind: fc.constant("review" as const),
    pull: fc.nat(),
    branch: fc.nat().map((number) => `agent-fix/issue-${number}`),
  }),
);

const alike: Subject[] = [
  { kind: "issue", number: 1 },
  { kind: "issue", number: 11 },
  { kind: "task", key: "1" },
  { kind: "task", key: "issue-1" },
];

describe("runIdOf", () => {
  it("is the same for the same trigger, whatever the repository and its owner are called by now", () => {
    fc.assert(
      fc.property(repos, subjects, fc.string(), fc.string(), (repo, subject, trigger, renamed) => {
        const again = runIdOf({ ...repo, name: renamed, owner: renamed }, structuredClone(subject), trigger);

        expect(again).toBe(runIdOf(repo, subject, trigger));
      }),
    );
  });

  it("differs by repository, subject and trigger", () => {
    const few = fc.tuple(
      repos.map((repo) => ({ ...repo, id: repo.id % 2 })),
      fc.constantFrom(...alike),
      fc.nat(1),
    );
    fc.assert(
      fc.property(few, few, (a, b) => {
        const [[repoA, subjectA, triggerA], [repoB, subjectB, triggerB]] = [a, b];
        const same = repoA.id === repoB.id && subjectA === subjectB && triggerA === triggerB;

        expect(runIdOf(repoA, subjectA, `${triggerA}`) === runIdOf(repoB, subjectB, `${triggerB}`)).toBe(same);
      }),
    );
  });

  it("is a name for a folder, a branch and a key", () => {
    fc.assert(
      fc.property(repos, subjects, fc.string(), (repo, subject, trigger) => {
        expect(runIdOf(repo, subject, trigger)).toMatch(/^[\da-f]{20}$/);
      }),
    );
  });
});

it("subjectKey is one for all that work on the same branch", () => {
  const review = (branch: string): Subject => ({ kind: "review", pull: 9, branch });

  expect(subjectKey({ kind: "issue", number: 5 })).toBe("issue-5");
  expect(subjectKey(review("agent-fix/issue-5"))).toBe("issue-5");
  expect(subjectKey({ kind: "task", key: "lint" })).toBe("task-lint");
  expect(subjectKey(review("agent-fix/task/lint"))).toBe("task-lint");
});

it("snapshotHash changes with the title and with the body", () => {
  const hash = snapshotHash({ title: "It breaks", body: "Badly" });

  expect(hash).toBe(snapshotHash({ title: "It breaks", body: "Badly" }));
  expect(hash).not.toBe(snapshotHash({ title: "It breaks", body: "badly" }));
  expect(hash).not.toBe(snapshotHash({ title: "it breaks", body: "Badly" }));
});

it.each([
  ["agent-fix/issue-5-2", { kind: "issue", number: 5 }],
  ["agent-fix/task/lint-12", { kind: "task", key: "lint" }],
  ["agent-fix/configure-2", { kind: "onboarding" }],
] as const)("a review on %s, a later branch of a subject, waits for the subject's own run", (branch, subject) => {
  expect(subjectKey({ kind: "review", pull: 9, branch })).toBe(subjectKey(subject));
});

it("what comes out of Redis is checked", () => {
  const repo = { id: 1, owner: "o", name: "r", installationId: 7 };
  const run = {
    runId: "r",
    repo,
    subject: { kind: "task", key: "lint" },
    actor: { id: 2, login: "ann" },
    trigger: "t",
  };

  expect(runJob.parse({ ...run, title: "more" })).toEqual(run);
  expect(runJob.safeParse({ ...run, subject: { kind: "task" } }).success).toBe(false);
  expect(runJob.safeParse(undefined).success).toBe(false);
  expect(intakeJob.parse({ kind: "sweep" })).toEqual({ kind: "sweep" });
  expect(intakeJob.safeParse({ kind: "label", repo }).success).toBe(false);
});
