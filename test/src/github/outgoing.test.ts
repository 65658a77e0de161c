import { expect, it } from "vitest";
import { createGitHub } from "../../../src/github/client.ts";
import { createRedact } from "../../../src/redact.ts";
import { startTestGitHub } from "../../demo/github/support.ts";
import { openPull } from "./support.ts";

const key = "the-key-of-the-model-server";
const token = `ghs_${"1234567_eyJhbGciOi.".repeat(27)}`;
const leak = `It said ${key} and ${Buffer.from(key).toString("base64")} and ${token}`;
const clean = "It said [secret] and [secret] and [secret]";

it("no text leaves with a secret in it, and none is longer than GitHub takes, whatever kind of text it is", async () => {
  await using github = await startTestGitHub();
  const { repository, pull, head } = await openPull(github);
  const [installationId = 0] = github.state.installations.keys();
  const { id, privateKey, webhookSecret } = github.app;
  const options = { apiUrl: github.apiUrl, throttle: false, redact: createRedact([key]) };
  const host = createGitHub(options, { id, privateKey, webhookSecret });
  const repo = { id: repository.id, owner: "ann", name: "shop", installationId };
  const forge = host.forge(repo, "publish");
  const review = await github.as("ann").rest.pulls.createReviewComment({
    owner: "ann",
    repo: "shop",
    pull_number: 1,
    body: "Why?",
    commit_id: head,
    path: "a.txt",
    line: 2,
  });

  const comment = await forge.ensureComment(1, "<!-- one -->", `<!-- one -->\n${leak}`);
  expect((await forge.findComment(1, "<!-- one -->"))?.body).toBe(`<!-- one -->\n${clean}`);
  await forge.editComment(comment.id, `<!-- one -->\nNow: ${leak}`);
  expect((await forge.findComment(1, "<!-- one -->"))?.body).toBe(`<!-- one -->\nNow: ${clean}`);
  await forge.ensureComment(1, "<!-- two -->", `<!-- two -->\n${"x".repeat(70_000)}`);
  expect((await forge.findComment(1, "<!-- two -->"))?.body).toMatch(/^<!-- two -->\nx+\n\n_\(cut: /);

  await forge.ensureReply(1, review.data.id, "<!-- three -->", `<!-- three -->\n${leak}`);
  const [thread] = await forge.threads(1);
  expect(thread?.remarks.at(-1)?.body).toBe(`<!-- three -->\n${clean}`);

  const bytes = Buffer.from("as it is\n");
  const files = [{ path: "b.txt", mode: "100644" as const, bytes }];
  const { commit } = await forge.createCommit({ base: head, message: leak, files, deleted: [] });
  expect((await forge.commit(commit)).message.trim()).toBe(clean);
  await forge.ensureBranch("agent-fix/issue-9", commit, undefined);
  const opened = await forge.ensurePull({
    branch: "agent-fix/issue-9",
    base: "main",
    title: leak,
    body: leak,
    draft: false,
  });
  expect(opened).toMatchObject({ title: clean, body: clean });

  await forge.editPull(opened.number, { body: `Now: ${leak}` });
  expect((await forge.pull(opened.number)).body).toBe(`Now: ${clean}`);
  const issue = { title: leak, body: `<!-- four -->\n${leak}` };
  expect(await forge.ensureIssue("<!-- four -->", issue)).toMatchObject({ title: clean });
  expect(await forge.ownIssue("<!-- four -->")).toMatchObject({ body: `<!-- four -->\n${clean}` });

  const check = { commit: head, runId: "r1", conclusion: "failure" as const, title: leak, summary: leak };
  const annotations = [{ path: "a.txt", title: leak, message: leak }];
  await host.forge(repo, "check").ensureCheckRun({ ...check, annotations });
  const [shown] = repository.checkRuns;
  expect(JSON.stringify(shown)).toContain(clean);
  expect(JSON.stringify([shown, pull])).not.toMatch(new RegExp(`${key}|ghs_`));
});
