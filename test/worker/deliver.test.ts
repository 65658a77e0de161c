import { describe, expect, it } from "vitest";
import { lastEvent } from "../../src/runlog.ts";
import { defaultSettings } from "../../src/settings.ts";
import { createRunRepository } from "../../worker/checkout.ts";
import { deliver, keepBranch } from "../../worker/deliver.ts";
import type { Delivery } from "../../worker/deliver.ts";
import { gaveUp } from "../../worker/outcome.ts";
import { rebuildCommit } from "../../worker/rebuild.ts";
import { openRun } from "../../worker/run.ts";
import { createLocalDeps, createLocalHost, job, never, passedWith, verdictOn } from "./support.ts";
import type { LocalHost } from "./support.ts";

const branch = "agent-fix/task/tidy";
const task = { kind: "task" as const, key: "tidy" };
const rejected = { verdict: verdictOn([], [], { decision: "rejected" as const }) };

/** A change on the host's only commit, in the run's own repository, and where it is to go. */
async function openDelivery({ subject, keeps = true }: { subject: typeof task | typeof job.subject; keeps?: boolean }) {
  const stack = new AsyncDisposableStack();
  const host: LocalHost = stack.use(createLocalHost({ "a.txt": "a\n" }));
  const deps = stack.use(await createLocalDeps(host.forge));
  const run = stack.use(await openRun({ ...job, subject }, never, deps));
  const base = host.commits[0] ?? "";
  const repository = await createRunRepository(run.log.dir, host.mirror);
  const bytes = Buffer.from("mended\n");
  const built = await rebuildCommit(repository, base, [{ path: "a.txt", mode: "100644", bytes }], never);
  const source = {
    mirror: host.mirror,
    trusted: base,
    settings: { ...defaultSettings, keepBranch: keeps },
    facts: await host.forge.repository(),
  };
  const pull = { into: "main", closes: undefined, footer: "Made by hand." };
  const delivery: Delivery = { source, base, to: { name: branch, pull } };
  return { host, deps, run, built, delivery, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const redOutcome = gaveUp("gate rejected", "It is red.");
const told = redOutcome.detail;
const red = (kept: ReturnType<typeof passedWith>) => ({ ok: false, outcome: redOutcome, kept }) as const;

describe("keepBranch", () => {
  it("pushes the change of a task that did not pass as a branch with its verdict, and opens no pull request", async () => {
    await using opened = await openDelivery({ subject: task });
    const { host, deps, run, built, delivery } = opened;

    const outcome = await keepBranch(run, deps, red(passedWith({ ...built, ...rejected })), delivery);

    expect(outcome).toMatchObject({
      outcome: "gave-up",
      detail: `${told}\n\nIt stands on the branch \`${branch}\`, without a pull request.`,
    });
    expect(host.git("show", `${branch}:a.txt`)).toBe("mended");
    expect(host.checkRuns).toMatchObject([{ commit: await host.forge.branchHead(branch), conclusion: "failure" }]);
    expect(host.pulls).toEqual([]);
  });

  it("pushes nothing where the settings don't ask for it", async () => {
    await using opened = await openDelivery({ subject: task, keeps: false });
    const { host, deps, run, built, delivery } = opened;

    const outcome = await keepBranch(run, deps, red(passedWith({ ...built, ...rejected })), delivery);

    expect([outcome.detail, host.writes]).toEqual([told, []]);
  });

  it("pushes nothing for a person who may no longer write", async () => {
    await using opened = await openDelivery({ subject: job.subject });
    const { host, deps, run, built, delivery } = opened;
    host.forge.permission = async () => "read";

    await keepBranch(run, deps, red(passedWith({ ...built, ...rejected })), delivery);

    expect(host.writes).toEqual([]);
  });

  it("adds nothing that did not pass to an open pull request", async () => {
    await using opened = await openDelivery({ subject: job.subject });
    const { host, deps, run, built, delivery } = opened;
    host.git("branch", "agent-fix/issue-7", "main");
    const to = await host.forge.ensurePull({
      branch: "agent-fix/issue-7",
      base: "main",
      title: "",
      body: "",
      draft: false,
    });
    const before = [...host.writes];

    await keepBranch(run, deps, red(passedWith({ ...built, ...rejected })), { ...delivery, to });

    expect(host.writes).toEqual(before);
  });
});

describe("deliver", () => {
  it("opens the pull request with its check run", async () => {
    await using opened = await openDelivery({ subject: job.subject });
    const { host, run, built, delivery } = opened;

    const delivered = await deliver(run, { writer: host.forge, checks: host.forge }, passedWith(built), delivery);

    const commit = await host.forge.branchHead(branch);
    expect(delivered).toMatchObject({ ok: true, commit, branch, pull: { number: 100 } });
    expect(host.pulls).toMatchObject([{ base: "main", body: expect.stringContaining("Made by hand.") }]);
    expect(host.checkRuns).toMatchObject([{ commit, conclusion: "success", url: host.pulls[0]?.url }]);
  });

  it("opens the pull request with a token that may write no check run, and notes that", async () => {
    await using opened = await openDelivery({ subject: job.subject });
    const { host, run, built, delivery } = opened;
    const checks = { ...host.forge, ensureCheckRun: () => Promise.reject(new Error("403: for apps alone")) };

    const delivered = await deliver(run, { writer: host.forge, checks }, passedWith(built), delivery);

    expect(delivered).toMatchObject({ ok: true, pull: { number: 100 } });
    expect(lastEvent(run.log.events, "note")?.text).toContain("could not be written: 403: for apps alone");
  });
});
