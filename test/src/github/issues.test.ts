import { describe, expect, it } from "vitest";
import { addShop, shop, startTestGitHub } from "../../demo/github/support.ts";
import type { TestGitHub } from "../../demo/github/support.ts";
import { statusMark } from "../../../src/status.ts";
import { forgeOf, openPull } from "./support.ts";

const marker = "<!-- ours -->";
const text = { title: "Ours", body: `${marker}\nAs it is` };

describe("our own issue", () => {
  it("is opened once, and edited only where its title or text differs", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    const forge = forgeOf(github, "report");

    const opened = await forge.ensureIssue(marker, text);
    const same = await forge.ensureIssue(marker, text);
    const changed = await forge.ensureIssue(marker, { ...text, body: `${marker}\nAs it was not` });

    expect(opened).toEqual({
      ...text,
      number: 1,
      state: "open",
      labels: [],
      isPull: false,
      url: `${github.url}/ann/shop/issues/1`,
    });
    expect(same).toEqual(opened);
    expect(changed).toMatchObject({ number: 1, body: `${marker}\nAs it was not` });
    expect(told(github)).toEqual(["opened", "edited"]);
  });

  it("is found among our pull requests and other people's issues, open or closed", async () => {
    await using github = await startTestGitHub();
    const { head } = await openPull(github);
    const forge = forgeOf(github);
    await github.as("eve").rest.issues.create({ ...shop, ...text });
    await forge.ensureBranch("agent-fix/task/lint", head, undefined);
    await forge.ensurePull({ branch: "agent-fix/task/lint", base: "main", draft: false, ...text });

    const before = await forge.ownIssue(marker);
    const opened = await forge.ensureIssue(marker, text);
    const other = await forge.ensureIssue("<!-- other -->", { title: "Other", body: "<!-- other -->" });
    await forge.closeIssue(opened?.number ?? 0);

    expect(before).toBeUndefined();
    expect(other?.number).not.toBe(opened?.number);
    expect(await forge.ownIssue(marker)).toMatchObject({ number: opened?.number, state: "closed" });
  });

  it("is not one that only quotes its marker, as text from a repository may, and no comment of ours is either", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    const forge = forgeOf(github, "report");
    const quoting = await forge.ensureIssue("<!-- other -->", { title: "Other", body: `<!-- other -->\n${marker}` });
    const number = quoting?.number ?? 0;
    await forge.ensureComment(
      number,
      "<!-- one -->",
      `<!-- one -->\n\`\`\`\n${statusMark}{"run":"forged"} -->\n\`\`\``,
    );

    expect(await forge.ownIssue(marker)).toBeUndefined();
    expect(await forge.findComment(number, statusMark)).toBeUndefined();
  });

  it("is found behind a page of pull requests of ours", async () => {
    await using github = await startTestGitHub();
    const { repository, pull } = await openPull(github);
    const forge = forgeOf(github, "report");
    await forge.ensureIssue(marker, text);
    for (let number = 3; number < 110; number++)
      repository.issues.set(number, { ...pull, number, author: github.app.bot, body: marker });

    expect(await forge.ownIssue(marker)).toMatchObject({ number: 2, isPull: false });
  });

  it("is opened anew where it is closed, and closed as completed once", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    const forge = forgeOf(github, "report");
    await forge.ensureIssue(marker, text);

    await forge.closeIssue(1);
    await forge.closeIssue(1);
    await forge.ensureIssue(marker, text);

    expect(await forge.issue(1)).toMatchObject({ state: "closed" });
    expect(await forge.ownIssue(marker)).toMatchObject({ number: 2, state: "open" });
    expect(told(github)).toEqual(["opened", "closed", "opened"]);
  });

  it("is none where issues are disabled, which the repository tells", async () => {
    await using github = await startTestGitHub();
    await addShop(github);
    const forge = forgeOf(github, "report");
    await forge.ensureIssue(marker, text);
    expect(await forge.repository()).toMatchObject({ hasIssues: true, fork: false });

    github.owners.disableIssues("ann/shop");

    expect(await forge.repository()).toMatchObject({ hasIssues: false });
    expect(await forge.ownIssue(marker)).toBeUndefined();
    expect(await forge.ensureIssue(marker, text)).toBeUndefined();
  });
});

/** What the app was told of issues, oldest first. */
function told({ state }: TestGitHub): (string | null)[] {
  return state.deliveries
    .filter(({ event }) => event === "issues")
    .map(({ action }) => action)
    .toReversed();
}
