import { describe, expect, it } from "vitest";
import { readTaskCommand } from "../../../src/commands.ts";
import { handleIntake } from "../../../src/intake.ts";
import { shop } from "../../demo/github/support.ts";
import { startUpkeep } from "../maintenance/support.ts";

const weekly = 'maintenance:\n  tidy: {task: "Tidy up", schedule: "0 5 * * 1"}\n';

type Place = Awaited<ReturnType<typeof startUpkeep>>;

/** Says it on a new issue, as somebody with that role, and returns our answers. */
async function say(on: Place, text: string, login = "ann"): Promise<(string | undefined)[]> {
  const { data: issue } = await on.ann.rest.issues.create({ ...shop, title: "Here" });
  return sayAt(on, { number: issue.number, isPull: false }, text, login);
}

async function sayAt(on: Place, at: { number: number; isPull: boolean }, text: string, login = "ann") {
  const { number } = at;
  const person = on.github.as(login);
  const { data: comment } = await person.rest.issues.createComment({ ...shop, issue_number: number, body: text });
  const actor = { id: comment.user?.id ?? 0, login };
  const job = { kind: "command" as const, delivery: "d", repo: on.repo, ...at, actor };
  for (let times = 0; times < 2; times++) await handleIntake({ ...job, comment: comment.id, text }, on.deps);
  const { data } = await on.ann.rest.issues.listComments({ ...shop, issue_number: number });
  return data.filter(({ user }) => user?.type === "Bot").map(({ body }) => body?.split("\n").at(-1));
}

describe("a command about a task", () => {
  it.each([
    ["/agent-fix run tidy", { verb: "run", key: "tidy" }],
    ["  /agent-fix  IGNORE  tidy \r\nthanks", { verb: "ignore", key: "tidy" }],
    ["/agent-fix unignore", { verb: "unignore", key: "" }],
  ])("is read from %j", (text, command) => {
    expect(readTaskCommand(text)).toEqual(command);
  });

  it.each(["/agent-fix stop", "please\n/agent-fix run tidy", "/agent-fixrun tidy"])("is none: %j", (text) => {
    expect(readTaskCommand(text)).toBeUndefined();
  });

  it("starts the task of the person who says it, once, and is answered once", async () => {
    await using on = await startUpkeep(weekly);

    const answers = await say(on, "/agent-fix run tidy");

    expect(answers).toEqual(["`tidy` is queued."]);
    expect(await on.waiting()).toMatchObject([{ subject: { key: "tidy" }, actor: { login: "ann" } }]);
    expect(await say(on, "/agent-fix run tidy")).toEqual(["`tidy` is at work already."]);
  });

  it("keeps a task quiet until it is taken back", async () => {
    await using on = await startUpkeep(weekly);
    await on.at("2026-11-21T12:00:00Z");

    expect(await say(on, "/agent-fix ignore tidy")).toEqual([expect.stringContaining("until somebody says")]);
    await on.at("2026-11-23T06:00:00Z");
    expect(await on.waiting()).toEqual([]);
    expect((await on.dashboard())?.body).toMatch(/## Closed: ignored\n\n.*reopen-task=tidy/);
    expect(await say(on, "/agent-fix unignore tidy")).toEqual(["`tidy` is back on its schedule."]);
    await on.at("2026-11-30T06:00:00Z");

    expect(await on.waiting()).toHaveLength(1);
  });

  it("of somebody without write access is refused", async () => {
    await using on = await startUpkeep(weekly);

    expect(await say(on, "/agent-fix run tidy", "bob")).toEqual([
      expect.stringContaining("Only people with write access"),
    ]);
    expect(await on.waiting()).toEqual([]);
  });

  it("about a task that is not there names those that are", async () => {
    await using on = await startUpkeep(weekly);

    expect(await say(on, "/agent-fix run tidyy")).toEqual(["I know no task `tidyy`. There are `tidy`."]);
  });
});

describe("on the pull request of a task", () => {
  it("`status` tells of the task's run, and `stop` ends it until the task is due again", async () => {
    await using on = await startUpkeep(weekly);
    await say(on, "/agent-fix run tidy");
    await on.work("opens");
    await say(on, "/agent-fix run tidy");
    const number = (await on.pulls())[0]?.number ?? 0;
    const answers: (string | undefined)[] = [];
    const command = async (text: string) => answers.push((await sayAt(on, { number, isPull: true }, text)).at(-1));

    await command("/agent-fix status");
    await command("/agent-fix stop");
    await on.at("2026-11-21T12:10:00Z");
    await command("/agent-fix status");
    await command("/agent-fix stop");

    expect(answers).toEqual([
      "A run is queued.",
      "I stop the run of the task `tidy`.",
      "Nothing of mine is at work here.",
      "Nothing of mine is at work here.",
    ]);
    expect(await on.waiting()).toEqual([]);
  });
});
