import { describe, expect, it } from "vitest";
import { OutageError } from "../../src/errors.ts";
import { createRunRepository } from "../../worker/checkout.ts";
import { mergeCommits } from "../../worker/merge.ts";
import { needsInput, nothingToDo } from "../../worker/outcome.ts";
import { rebuildCommit } from "../../worker/rebuild.ts";
import { openRun } from "../../worker/run.ts";
import { fetchNow } from "../../worker/source.ts";
import { recordOf } from "../../worker/verdict.ts";
import { mergeWorkflow } from "../../worker/workflows/merge.ts";
import { createLocalDeps, createLocalHost, job, loseAnswer, never, ourPull, passedWith } from "./support.ts";
import type { LocalHost } from "./support.ts";

const branch = "agent-fix/issue-7";
const subject = { kind: "merge" as const, pull: 9, branch, key: "k" };
type Files = Record<string, string | undefined>;

/** Our pull request 9, whose branch and base have changed these files since they parted. */
async function openMerge(ours: Files, theirs: Files) {
  const stack = new AsyncDisposableStack();
  const host: LocalHost = stack.use(createLocalHost({ "a.txt": "a\n", "b.txt": "b\n" }));
  const deps = stack.use(await createLocalDeps(host.forge));
  const run = stack.use(await openRun({ ...job, subject }, never, deps));
  const [fork = ""] = host.commits;
  const push = async (to: string, files: Files, on = fork) => {
    const all = Object.entries(files);
    const { commit } = await host.forge.createCommit({
      base: on,
      message: "By hand",
      files: all.flatMap(([path, text]) =>
        text === undefined ? [] : [{ path, mode: "100644" as const, bytes: Buffer.from(text) }],
      ),
      deleted: all.flatMap(([path, text]) => (text === undefined ? [path] : [])),
    });
    host.git("update-ref", `refs/heads/${to}`, commit);
    return commit;
  };
  const [head, base] = [await push(branch, ours), await push("main", theirs)];
  host.pulls.push({ ...ourPull, number: 9, head: { branch, commit: head } });
  host.writes.length = 0;
  return {
    host,
    head,
    base,
    push,
    work: () => mergeWorkflow.work(run, deps),
    report: (outcome: Parameters<typeof mergeWorkflow.report>[1]) => mergeWorkflow.report(run, outcome, deps),
    /** The log of a run whose merge passed the gate before its worker died. */
    async pass() {
      const mirror = await fetchNow(run, host.forge.repository(), deps);
      const repository = await createRunRepository(run.log.dir, mirror);
      const merged = await mergeCommits(repository, { head, base }, never);
      if (merged.kind !== "merged") throw new Error(merged.kind);
      const passed = passedWith(await rebuildCommit(repository, base, merged.changes, never));
      await run.log.append({ type: "base", branch: "main", commit: base });
      await run.log.append({ type: "merge", ...merged.merging });
      const verdict = recordOf(passed.verdict);
      await run.log.append({ type: "gate", round: 0, passed: true, reason: "", ...passed, verdict });
    },
    said: () => host.comments.get("9 <!-- agent-fix:conflict -->")?.body,
    branch: async () => (await host.forge.branchHead(branch)) ?? "",
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const apart: [Files, Files] = [{ "a.txt": "ours\n" }, { "b.txt": "theirs\n" }];

describe("a merge in which git marks no lines of a conflict", () => {
  it.each<[string, Files, Files]>([
    ["the branch deletes what the base changes", { "b.txt": undefined }, { "b.txt": "bb\n" }],
    ["the base deletes what the branch changes", { "b.txt": "bb\n" }, { "b.txt": undefined }],
    ["other lines are marked", { "a.txt": "ours\n", "b.txt": undefined }, { "a.txt": "theirs\n", "b.txt": "bb\n" }],
  ])("is handed over with both ways out, and no model is asked: %s", async (_what, ours, theirs) => {
    await using on = await openMerge(ours, theirs);

    const outcome = await on.work();
    await on.report(outcome);

    expect(outcome).toMatchObject({ outcome: "gave-up", cause: "conflict", detail: expect.stringMatching(/`b.txt`/) });
    expect(on.said()).toMatch(
      /`main` conflicts with this branch in [^]*`b.txt`[^]*two ways out:[^]*1\. Merge[^]*2\. Close/,
    );
    expect(await on.branch()).toBe(on.head);
  });
});

it("there is nothing left to merge where the base has all of it, and nobody is told", async () => {
  await using on = await openMerge({ "b.txt": undefined }, { "b.txt": undefined, "a.txt": "theirs\n" });

  const outcome = await on.work();
  await on.report(outcome);

  expect(outcome).toMatchObject(nothingToDo("nothing left", expect.stringContaining("can be closed") as string));
  expect(on.said()).toBeUndefined();
});

describe("a merge that passed", () => {
  it("is pushed with the base as it was, also where that went on meanwhile", async () => {
    await using on = await openMerge(...apart);
    await on.pass();
    await on.push("main", { "c.txt": "later\n" }, on.base);

    expect(await on.work()).toMatchObject({ outcome: "published" });
    expect((await on.host.forge.commit(await on.branch())).parents).toEqual([on.head, on.base]);
  });

  it("is not pushed where its base was taken out of the branch meanwhile", async () => {
    await using on = await openMerge(...apart);
    await on.pass();
    await on.push("main", { "c.txt": "instead\n" });

    const outcome = await on.work();

    expect(outcome).toMatchObject({
      cause: "branch moved",
      detail: expect.stringContaining("`main` was force-pushed"),
    });
    expect(await on.branch()).toBe(on.head);
  });

  it.each(["createCommit", "ensureBranch"] as const)(
    "is pushed once where the answer of %s gets lost",
    async (verb) => {
      await using on = await openMerge(...apart);
      await on.pass();
      loseAnswer(on.host.forge, verb);

      await expect(on.work()).rejects.toThrow(OutageError);
      expect(await on.work()).toMatchObject({ outcome: "published" });

      const head = await on.branch();
      expect((await on.host.forge.commit(head)).parents).toEqual([on.head, on.base]);
      expect(on.host.checkRuns).toMatchObject([{ commit: head }]);
    },
  );
});

it.each([
  ["workflow files", "Merge the base into the branch yourself"],
  ["branch moved", "`/agent-fix retry`"],
  ["base broken", "Mend that"],
] as const)("people are told where a merge ends for want of them: %s", async (cause, next) => {
  await using on = await openMerge(...apart);

  await on.report(needsInput(cause));

  expect(on.said()).toContain(`I could not merge \`main\` into this branch by myself: ${cause}.`);
  expect(on.said()).toContain(next);
});
