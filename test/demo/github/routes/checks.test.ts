import { describe, expect, it } from "vitest";
import { ensureCheckRun } from "../../../../src/github/checks.ts";
import { addShop, refusal, shop, startTestGitHub } from "../support.ts";
import type { TestGitHub } from "../support.ts";

const output = { title: "Ready", summary: "All passes." };
const annotation = {
  path: "a.txt",
  start_line: 1,
  end_line: 1,
  annotation_level: "failure" as const,
  title: "adds",
  message: "It fails.",
};

async function start(github: TestGitHub) {
  await addShop(github);
  const { rest } = github.with(await github.mint());
  const head_sha = (await rest.git.getRef({ ...shop, ref: "heads/main" })).data.object.sha;
  return { rest, head_sha };
}

describe("a check run", () => {
  it("stands beside its commit, and is found by its name", async () => {
    await using github = await startTestGitHub();
    const { rest, head_sha } = await start(github);
    const made = await rest.checks.create({
      ...shop,
      name: "agent-fix",
      head_sha,
      external_id: "run-1",
      details_url: "http://host/pull/1",
      conclusion: "success",
      output,
    });
    await rest.checks.create({ ...shop, name: "other", head_sha });

    expect(made.data).toMatchObject({ status: "completed", conclusion: "success", external_id: "run-1", output });
    const named = await rest.checks.listForRef({ ...shop, ref: "main", check_name: "agent-fix" });
    expect(named.data).toMatchObject({ total_count: 1, check_runs: [{ id: made.data.id }] });
    const all = await rest.checks.listForRef({ ...shop, ref: head_sha });
    expect(all.data.check_runs.map(({ name, status }) => [name, status])).toEqual([
      ["other", "queued"],
      ["agent-fix", "completed"],
    ]);
  });

  it("keeps its annotations when it is edited, and takes those of the edit beside them", async () => {
    await using github = await startTestGitHub();
    const { rest, head_sha } = await start(github);
    const { data } = await rest.checks.create({ ...shop, name: "agent-fix", head_sha });
    const which = { ...shop, check_run_id: data.id };

    await rest.checks.update({ ...which, output: { ...output, annotations: [annotation] } });
    await rest.checks.update({ ...which, output: { ...output, annotations: [annotation] }, conclusion: "neutral" });

    expect((await rest.checks.listAnnotations(which)).data).toMatchObject([annotation, annotation]);
  });

  it("is made by apps with the permission alone, on commits that exist", async () => {
    await using github = await startTestGitHub();
    const { rest, head_sha } = await start(github);
    const check = { ...shop, name: "agent-fix", head_sha };
    const reader = github.with(await github.mint({ permissions: { contents: "write" } })).rest;

    expect(await refusal(reader.checks.create(check))).toMatchObject({ status: 403 });
    expect(await refusal(github.as("ann").rest.checks.create(check))).toMatchObject({
      status: 403,
      message: "You must authenticate via a GitHub App.",
    });
    expect(await refusal(rest.checks.update({ ...shop, check_run_id: 1, name: "x" }))).toMatchObject({ status: 404 });
  });
});

describe("ensureCheckRun", () => {
  it("makes one check run of a run, also when it is called again, and another for another run", async () => {
    await using github = await startTestGitHub();
    const { rest, head_sha } = await start(github);
    const octokit = github.with(await github.mint({ permissions: { checks: "write" } }));
    const check = {
      commit: head_sha,
      runId: "run-1",
      conclusion: "failure" as const,
      url: "http://host/pull/1",
      title: "Rejected",
      summary: "| | base |",
      annotations: [{ path: "a.txt", title: "adds", message: "It fails." }],
    };

    await ensureCheckRun(octokit, shop, check);
    await ensureCheckRun(octokit, shop, { ...check, conclusion: "success", title: "Ready" });
    await ensureCheckRun(octokit, shop, { ...check, runId: "run-2" });

    const { data } = await rest.checks.listForRef({ ...shop, ref: head_sha, filter: "all" });
    const told = data.check_runs.map((one) => [one.external_id, one.conclusion, one.output.title]);
    expect(told).toEqual([
      ["run-2", "failure", "Rejected"],
      ["run-1", "success", "Ready"],
    ]);
    const [, first] = data.check_runs;
    expect([first?.name, first?.output.annotations_count]).toEqual(["agent-fix", 1]);
  });

  it("writes nothing where it stands so already, since an edit would come back as a webhook", async () => {
    const writes: string[] = [];
    await using github = await startTestGitHub({
      onExchange: ({ method, path }) => method !== "GET" && path.includes("check-runs") && void writes.push(method),
    });
    const { head_sha: commit } = await start(github);
    const octokit = github.with(await github.mint({ permissions: { checks: "write" } }));
    const check = { name: "agent-fix / checks", commit, runId: "green", conclusion: "neutral" as const };
    const said = { title: "Red on the base", summary: "- lint", annotations: [] };

    await ensureCheckRun(octokit, shop, { ...check, ...said });
    await ensureCheckRun(octokit, shop, { ...check, ...said });

    expect(writes).toEqual(["POST"]);
  });
});
