import { expect, it } from "vitest";
import type { RunJob } from "../../src/job.ts";
import { replyQueued } from "../../src/queued-reply.ts";
import { replyMark } from "../../src/status.ts";
import { processJob } from "../../worker/process.ts";
import { createLocalDeps, createLocalHost, job, never, ourPull } from "./support.ts";

it("a review that waits is told what became of it when its pull request was closed meanwhile", async () => {
  using host = createLocalHost({ ".github/agent-fix.yml": "" });
  await using deps = await createLocalDeps(host.forge);
  const branch = "agent-fix/issue-7";
  host.pulls.push({ ...ourPull, number: 9, state: "closed", head: { branch, commit: host.commits[0] ?? "" } });
  const review: RunJob = { ...job, subject: { kind: "review", pull: 9, branch } };
  await replyQueued(host.forge, 9, review);

  const engine = { ...deps.engine, list: async () => [] };
  await processJob(review, never, { ...deps, engine });

  const reply = await host.forge.findComment(9, replyMark(review.runId));
  expect(reply?.body).not.toContain("Queued");
  expect(reply?.body).toContain("**Stopped**\n\nThe status comment has the rest.");
});
