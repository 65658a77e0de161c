import { expect, it } from "vitest";
import { decideCommand } from "../../../src/intake/command.ts";
import { runCi } from "../../../src/intake/ci.ts";
import { createLocalHost, ourPull } from "../../worker/support.ts";

/** Our pull request 9, whose head commit has this message. */
async function pullWith(message: string) {
  const host = createLocalHost({ "a.txt": "1\n" });
  const [base = ""] = host.commits;
  const { commit } = await host.forge.createCommit({ base, message, files: [], deleted: [] });
  const branch = "agent-fix/issue-7";
  await host.forge.ensureBranch(branch, commit, undefined);
  const head = async () => (await host.forge.branchHead(branch)) ?? "";
  const pull = async () => ({ ...ourPull, number: 9, head: { branch, commit: await head() } });
  const pullCommits = async () =>
    host
      .git("rev-list", "--reverse", `main..${branch}`)
      .split("\n")
      .map((id) => ({ id, message: host.git("log", "-1", "--format=%B", id), author: undefined }));
  const forge = { ...host.forge, pullCommits, pull };
  return {
    first: commit,
    head,
    commits: async () => host.git("rev-list", "--count", branch),
    push: async (pushed: string) => {
      const next = await host.forge.createCommit({ base: await head(), message: pushed, files: [], deleted: [] });
      await host.forge.ensureBranch(branch, next.commit, await head());
    },
    run: (comment: number) => runCi(forge, { number: 9, comment }),
    parents: async () => (await host.forge.commit(await head())).parents,
    [Symbol.dispose]: () => host[Symbol.dispose](),
  };
}

it("lets CI run with one empty commit, however often the comment is delivered", async () => {
  using on = await pullWith("Mend it [skip ci]\n\nAgent-Fix-Run: r1\n");

  const first = await on.run(21);
  const again = await on.run(21);

  expect(again).toBe(first);
  expect(first).toContain(`CI can run on \`${(await on.head()).slice(0, 12)}\``);
  expect(await on.parents()).toEqual([on.first]);
  expect(await on.commits()).toBe("3");
});

it("adds no second commit where the comment is delivered again after others have pushed", async () => {
  using on = await pullWith("Mend it [skip ci]\n\nAgent-Fix-Run: r1\n");
  const first = await on.run(21);
  await on.push("A note [skip ci]");

  const again = await on.run(21);

  expect(again).toBe(first);
  expect(await on.commits()).toBe("4");
});

it("adds nothing where CI is not held back", async () => {
  using on = await pullWith("Mend it\n\nAgent-Fix-Run: r1\n");

  expect(await on.run(21)).toContain("does not hold CI back");
  expect(await on.head()).toBe(on.first);
});

it.each([
  ["on an issue", { isPull: false }, { do: "answer", text: "CI runs on a pull request: say it there." }],
  ["on a closed pull request", { isOpen: false }, { do: "answer", text: expect.stringContaining("closed") as string }],
  ["on a pull request of somebody else", { isOurs: false }, { do: "answer" }],
  ["on ours", {}, { do: "run-ci" }],
  [
    "while a run is at work, whose commit ours would be in the way of",
    { isLive: true },
    { do: "answer", text: expect.stringContaining("Say it again when I am done") as string },
  ],
])("`ci` %s", (_where, more, decision) => {
  const quiet = { isLive: false, isWorking: false, hasQuestion: false, hasFeedback: false };
  const standing = { isPull: true, isOurs: true, isOpen: true, status: undefined, ...quiet };

  expect(decideCommand("ci", { ...standing, ...more })).toMatchObject(decision);
});
