import { describe, expect, it } from "vitest";
import type { Change } from "../../sandbox/changes.ts";
import type { Pull } from "../../src/forge.ts";
import { defaultSettings } from "../../src/settings.ts";
import { caughtUpIn, deliverRound } from "../../worker/catch-up.ts";
import { createRunRepository } from "../../worker/checkout.ts";
import { deliveredOrKept } from "../../worker/deliver.ts";
import { rebuildCommit } from "../../worker/rebuild.ts";
import { openRun } from "../../worker/run.ts";
import { recordOf } from "../../worker/verdict.ts";
import { issueWorkflow } from "../../worker/workflows/issue.ts";
import { createLocalDeps, createLocalHost, job, loseAnswer, never, ourPull, passedWith } from "./support.ts";
import type { LocalHost } from "./support.ts";

const branch = "agent-fix/issue-7";
const subject = { kind: "checks" as const, pull: 9, branch, key: "k" };

const mend: Change = { path: "a.txt", mode: "100644", bytes: Buffer.from("mended\n") };

/** Our pull request, and a change of its file `a.txt` that passed, ready to be delivered. */
async function openRound(change = mend) {
  const stack = new AsyncDisposableStack();
  const host: LocalHost = stack.use(createLocalHost({ "a.txt": "a\n", "b.txt": "b\n" }));
  const deps = stack.use(await createLocalDeps(host.forge));
  const run = stack.use(await openRun({ ...job, subject }, never, deps));
  const [base = ""] = host.commits;
  host.git("update-ref", `refs/heads/${branch}`, base);
  const repository = await createRunRepository(run.log.dir, host.mirror);
  const built = await rebuildCommit(repository, base, [change], never);
  const facts = await host.forge.repository();
  const source = { mirror: host.mirror, trusted: base, settings: defaultSettings, facts };
  const to: Pull = { ...ourPull, number: 9, head: { branch, commit: base } };
  const head = async () => (await host.forge.branchHead(branch)) ?? "";
  return {
    host,
    run,
    head,
    push: async (path: string, text: string, on?: string) => {
      const parent = on ?? (await head());
      const files = [{ path, mode: "100644" as const, bytes: Buffer.from(text) }];
      const { commit } = await host.forge.createCommit({ base: parent, message: "By hand", files, deleted: [] });
      host.git("update-ref", `refs/heads/${branch}`, commit);
      return commit;
    },
    deliver: () => deliverRound(run, deps, passedWith(built), { source, base, to }),
    /** An issue's run on the pull request, with a log that says that the change passed. */
    async workOnIssue() {
      host.pulls.push(to);
      await using again = await openRun(job, never, deps);
      const passed = passedWith(built);
      await again.log.append({ type: "base", branch: "main", commit: base });
      const verdict = recordOf(passed.verdict);
      await again.log.append({ type: "gate", round: 0, passed: true, reason: "", ...passed, verdict });
      return await issueWorkflow.work(again, deps);
    },
    parents: async () => (await host.forge.commit(await head())).parents,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Somebody pushes right before each merge of ours arrives, so many times. */
function pushBefore({ host, push }: Awaited<ReturnType<typeof openRound>>, times: number): void {
  const { forge } = host;
  const before = { ...forge };
  let left = times;
  forge.ensureBranch = async (...to) => {
    if (left-- > 0) await push("c.txt", `${left}\n`);
    return before.ensureBranch(...to);
  };
}

describe("a round whose branch got commits meanwhile", () => {
  it("is merged with them, and the check run stays with what was checked", async () => {
    await using on = await openRound();
    const pushed = await on.push("b.txt", "by hand\n");

    const delivered = await on.deliver();

    const [first, made = ""] = await on.parents();
    expect(delivered).toMatchObject({ ok: true, commit: await on.head() });
    expect(first).toBe(pushed);
    expect([on.host.git("show", `${branch}:a.txt`), on.host.git("show", `${branch}:b.txt`)]).toEqual([
      "mended",
      "by hand",
    ]);
    expect(on.host.git("rev-list", "--parents", "-1", made).split(" ").slice(1)).toEqual(on.host.commits);
    expect(on.host.checkRuns).toMatchObject([{ commit: made }]);
    expect(caughtUpIn(on.run.log.events)).toEqual([expect.stringContaining("my checks ran before that merge")]);
  });

  it("is merged once, also where it is delivered again", async () => {
    await using on = await openRound();
    await on.push("b.txt", "by hand\n");
    const first = await on.deliver();

    expect(await on.deliver()).toEqual(first);
    expect(await on.head()).toBe(first.ok ? first.commit : "");
  });

  it.each(["createCommit", "ensureBranch"] as const)(
    "is merged once where the answer of %s gets lost",
    async (verb) => {
      await using on = await openRound();
      const pushed = await on.push("b.txt", "by hand\n");
      // The first of each is that of the round's own commit.
      loseAnswer(on.host.forge, verb, 2);

      await expect(on.deliver()).rejects.toThrow("502");
      expect(await on.deliver()).toMatchObject({ ok: true, commit: await on.head() });

      const [first, made = ""] = await on.parents();
      expect(first).toBe(pushed);
      expect(on.host.git("rev-list", "--parents", "-1", made).split(" ").slice(1)).toEqual(on.host.commits);
      expect(on.host.git("show", `${branch}:a.txt`)).toBe("mended");
      expect(on.host.checkRuns).toMatchObject([{ commit: made }]);
      expect(caughtUpIn(on.run.log.events)).toHaveLength(1);
    },
  );

  it("is merged anew where they go on, three times", async () => {
    await using twice = await openRound();
    pushBefore(twice, 3);
    await using often = await openRound();
    pushBefore(often, 4);

    expect(await twice.deliver()).toMatchObject({ ok: true });
    expect(await often.deliver()).toMatchObject({ ok: false });
    expect(often.host.git("show", `${branch}:a.txt`)).toBe("a");
  });

  it("is not pushed where both change the same lines", async () => {
    await using on = await openRound();
    const pushed = await on.push("a.txt", "by hand\n");

    expect(await on.deliver()).toMatchObject({ ok: false, reason: expect.stringContaining("moved while I worked") });
    expect(await on.head()).toBe(pushed);
  });

  it("is not pushed, nor counts as theirs, where it deletes a file that they changed", async () => {
    await using on = await openRound({ path: "a.txt", mode: "deleted" });
    const pushed = await on.push("a.txt", "by hand\n");

    expect(await on.deliver()).toMatchObject({ ok: false, reason: expect.stringContaining("moved while I worked") });
    expect(await on.head()).toBe(pushed);
  });

  it("is not pushed where the branch no longer has what the change stands on", async () => {
    await using on = await openRound();
    const other = on.host.git("commit-tree", `${on.host.commits[0] ?? ""}^{tree}`, "-m", "Anew");
    const pushed = await on.push("b.txt", "by hand\n", other);

    expect(await on.deliver()).toMatchObject({ ok: false });
    expect(await on.head()).toBe(pushed);
  });
});

it("what passed and can't be joined with what was pushed stays on a branch of its own, which the ending names", async () => {
  await using on = await openRound();
  await on.push("a.txt", "by hand\n");

  const facts = { ...(await on.host.forge.repository()), cloneUrl: "http://host/o/r.git" };
  const end = async () => deliveredOrKept(on.run, { facts }, await on.deliver());
  const ends = [await end(), await end()];

  const kept = `agent-fix/rescue-${job.runId}`;
  const detail = expect.stringContaining(`the branch [\`${kept}\`](http://host/o/r/tree/${kept})`);
  expect(ends).toMatchObject([
    { outcome: "needs-input", cause: "branch moved", detail },
    { outcome: "needs-input", detail },
  ]);
  expect(on.host.git("show", `${kept}:a.txt`)).toBe("mended");
});

it("an issue's run on an open pull request is merged with what was pushed meanwhile, and says so", async () => {
  await using on = await openRound();
  const pushed = await on.push("b.txt", "by hand\n");

  const outcome = await on.workOnIssue();

  expect(outcome).toMatchObject({
    outcome: "published",
    detail: expect.stringContaining("my checks ran before that merge"),
  });
  expect((await on.parents())[0]).toBe(pushed);
});

it("a round whose branch stayed where it was is one commit, and nothing is said of a merge", async () => {
  await using on = await openRound();

  expect(await on.deliver()).toMatchObject({ ok: true, commit: await on.head() });
  expect(await on.parents()).toEqual(on.host.commits);
  expect(caughtUpIn(on.run.log.events)).toEqual([]);
});
