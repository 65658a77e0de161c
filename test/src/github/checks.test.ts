import { expect, it } from "vitest";
import { shop, startTestGitHub } from "../../demo/github/support.ts";
import { forgeOf, openPull } from "./support.ts";

it("checks are those of every app and every status, each by its newest result", async () => {
  await using github = await startTestGitHub();
  const { head: commit } = await openPull(github);
  const { rest } = github.as("ann");
  const ci = { app: "ci", commit };
  await github.otherApps.check("ann/shop", { ...ci, name: "test", conclusion: "failure" });
  const test = await github.otherApps.check("ann/shop", { ...ci, name: "test", conclusion: "success" });
  const lint = await github.otherApps.check("ann/shop", { ...ci, name: "lint" });
  const other = await github.otherApps.check("ann/shop", { app: "o", commit, name: "test", conclusion: "timed_out" });
  for (const state of ["pending", "error"] as const)
    await rest.repos.createCommitStatus({ ...shop, sha: commit, state, context: "test", target_url: "http://ci/1" });
  await rest.repos.createCommitStatus({ ...shop, sha: commit, state: "pending", context: "slow" });
  await rest.repos.createCommitStatus({ ...shop, sha: commit, state: "success", context: "quick" });

  const checks = await forgeOf(github, "report").checksOn(commit);

  const since = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]+Z$/) as string;
  const page = (run: number) => ({ run, since, url: `${github.url}/ann/shop/runs/${run}` });
  const status = { app: undefined, run: undefined, url: undefined, since };
  expect(checks.toSorted((a, b) => `${a.app} ${a.name}`.localeCompare(`${b.app} ${b.name}`))).toEqual([
    { name: "lint", app: "ci", state: "pending", ...page(lint) },
    { name: "test", app: "ci", state: "passed", ...page(test) },
    { name: "test", app: "o", state: "failed", ...page(other) },
    { name: "quick", ...status, state: "passed" },
    { name: "slow", ...status, state: "pending" },
    { name: "test", ...status, state: "failed", url: "http://ci/1" },
  ]);
});

it.each([
  ["success", "passed"],
  ["failure", "failed"],
  ["timed_out", "failed"],
  ["neutral", "neutral"],
  ["skipped", "neutral"],
  ["cancelled", "neutral"],
  ["action_required", "action-required"],
] as const)("a check run that ended as %s is %s", async (conclusion, state) => {
  await using github = await startTestGitHub();
  const { head: commit } = await openPull(github);
  await github.otherApps.check("ann/shop", { app: "ci", commit, name: "test", conclusion });

  expect(await forgeOf(github, "report").checksOn(commit)).toMatchObject([{ state }]);
});

it("checks and annotations are all read where there are more than GitHub gives at once", async () => {
  await using github = await startTestGitHub();
  const { head: commit, repository } = await openPull(github);
  const { rest } = github.as("ann");
  const id = await github.otherApps.check("ann/shop", { app: "ci", commit, name: "0", conclusion: "failure" });
  const [run] = repository.checkRuns;
  if (run === undefined) throw new Error("there is no check run");
  for (let n = 1; n < 130; n++) repository.checkRuns.push({ ...run, id: github.state.nextId(), name: String(n) });
  await rest.repos.createCommitStatus({ ...shop, sha: commit, state: "success" });
  const [status] = repository.statuses;
  if (status === undefined) throw new Error("there is no status");
  for (let n = 1; n < 130; n++) repository.statuses.push({ ...status, id: github.state.nextId(), context: String(n) });
  const annotation = {
    path: "a.txt",
    end_line: 9,
    annotation_level: "failure" as const,
    title: null,
    message: "It fails.",
  };
  for (let start_line = 1; start_line <= 120; start_line++) run.annotations.push({ ...annotation, start_line });
  const forge = forgeOf(github, "report");

  expect(await forge.checksOn(commit)).toHaveLength(260);
  expect(await forge.annotations(id)).toEqual(
    Array.from({ length: 120 }, (_, index) => ({
      path: "a.txt",
      line: index + 1,
      title: "",
      message: "It fails.",
      level: "failure",
    })),
  );
});
