import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { Repository } from "../../../src/demo/github/state.ts";
import { handleIntake } from "../../../src/intake.ts";
import { tellSettings } from "../../../src/maintenance/settings-issue.ts";
import { connectRedis } from "../../../src/queue.ts";
import { parseSettings, settingsPath } from "../../../src/settings.ts";
import { intakeFor } from "../../../src/triggers.ts";
import type { WebhookEvent } from "../../../src/triggers.ts";
import { addShop, shop, startTestGitHub } from "../../demo/github/support.ts";
import type { TestGitHub } from "../../demo/github/support.ts";
import { startRedis } from "../../support/redis.ts";
import { forgeOf } from "../github/support.ts";
import { startUpkeep } from "./support.ts";

const server = await startRedis();
const redis = connectRedis(server.url, "worker");

beforeEach(async () => {
  await redis.flushall();
});
afterAll(async () => {
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

const title = "Action Required: fix agent-fix configuration";
const wrong = "plan: true\nchekcs: [npm test]\n";
const right = "plan: true\n";

describe("settings that can't be used", () => {
  it("are told in one issue, with each problem, its line, and a link to it", async () => {
    await using github = await startTestGitHub();
    const repository = await addShop(github);

    await look(github, `${wrong}foo: 1\n`);
    await look(github, `${wrong}foo: 1\n`);
    await redis.flushall();
    await look(github, `${wrong}foo: 1\n`);

    const file = `${github.url}/ann/shop/blob/HEAD/.github/agent-fix.yml`;
    expect(shown(repository)).toEqual([{ title, state: "open", comments: [] }]);
    const [{ body = "" } = {}] = repository.issues.values();
    expect(body).toContain(`[\`.github/agent-fix.yml\`](${file}) on the default branch can't be used.`);
    expect(body).toContain(
      `- [line 2](${file}#L2): unknown key \`chekcs\`, did you mean \`checks\`?\n- [line 3](${file}#L3): `,
    );
    expect(told(github)).toEqual(["opened"]);
  });

  it("are told anew in the same issue when something else is wrong, or stands elsewhere", async () => {
    await using github = await startTestGitHub();
    const repository = await addShop(github);
    await look(github, wrong);

    await look(github, `\n${wrong}`);
    await look(github, "plan: [");

    expect(told(github)).toEqual(["opened", "edited", "edited"]);
    expect(repository.issues.get(1)?.body).toContain("it is no YAML");
    expect(repository.issues.get(1)?.body).not.toContain("chekcs");
  });

  it("close their issue with a word once nothing is wrong, or the file is gone", async () => {
    await using github = await startTestGitHub();
    const repository = await addShop(github);

    for (const file of [right, ""]) {
      await look(github, wrong);
      await look(github, file);
      await look(github, file);
    }

    const closed = {
      title,
      state: "closed",
      comments: [expect.stringContaining("There is nothing wrong with `.github/agent-fix.yml` any more.")],
    };
    expect(shown(repository)).toEqual([closed, closed]);
  });

  it("stay untold where a person closed the issue, until something else is wrong", async () => {
    await using github = await startTestGitHub();
    const repository = await addShop(github);
    await look(github, wrong);
    await github.as("ann").rest.issues.update({ ...shop, issue_number: 1, state: "closed" });

    await redis.flushall();
    await look(github, wrong);
    await look(github, `# by hand\n${wrong}`);
    const before = shown(repository);
    await look(github, "plan: yes\n");

    expect(before).toEqual([{ title, state: "closed", comments: [] }]);
    expect(shown(repository)).toEqual([...before, { title, state: "open", comments: [] }]);
  });

  it("open an issue that was deleted again, though the same was told before, within the hour", async () => {
    await using github = await startTestGitHub();
    const repository = await addShop(github);
    await look(github, wrong);
    repository.issues.delete(1);

    await look(github, wrong);
    const within = repository.issues.size;
    const [told = ""] = await redis.keys("*settings-told*");
    const left = await redis.ttl(told);
    await redis.del(told);
    await look(github, wrong);

    expect([within, repository.issues.size]).toEqual([0, 1]);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(3600);
  });

  it("close a locked issue without a word", async () => {
    await using github = await startTestGitHub();
    const repository = await addShop(github);
    await look(github, wrong);
    github.owners.lock("ann/shop", 1);

    await look(github, right);

    expect(shown(repository)).toEqual([{ title, state: "closed", comments: [] }]);
  });

  it.each([
    ["edited", { method: "PATCH", path: /\/issues\/1$/ }],
    ["commented", { method: "POST", path: /\/comments$/ }],
  ])("close their issue once, also where the answer was lost when it was %s", async (_what, call) => {
    await using github = await startTestGitHub();
    const repository = await addShop(github);
    await look(github, wrong);
    github.faults.loseAnswer(call);

    await look(github, right).catch(() => {});
    await look(github, right);

    expect(shown(repository)).toEqual([{ title, state: "closed", comments: [expect.any(String)] }]);
  });

  it("are told nowhere where issues are disabled", async () => {
    await using github = await startTestGitHub();
    const repository = await addShop(github);
    github.owners.disableIssues("ann/shop");

    await look(github, wrong);
    await look(github, right);

    expect(repository.issues.size).toBe(0);
  });
});

it("the push that breaks or mends the settings is followed by what it made of them", async () => {
  await using on = await startUpkeep(right);
  const repository = on.github.state.repositories.get("ann/shop");
  if (repository === undefined) throw new Error("there is no repository");
  const pushed = async (file: string) => {
    on.github.state.deliveries.length = 0;
    await on.writeSettings(file);
    const [{ guid: id, event: name, payload } = { guid: "", event: "", payload: "{}" }] = on.github.state.deliveries;
    const job = intakeFor({ id, name, payload: JSON.parse(payload) as WebhookEvent["payload"] });
    if (job === undefined || job.kind === "sweep") throw new Error("the push asks for nothing");
    await handleIntake(job, on.deps);
    return [...repository.issues.values()].filter((issue) => issue.title === title).map(({ state }) => state);
  };

  expect(await pushed(wrong)).toEqual(["open"]);
  expect(await pushed(right)).toEqual(["closed"]);
});

/** What happens when the settings on the default branch are these. */
async function look(github: TestGitHub, file: string): Promise<void> {
  const commit = { branch: "main", message: "Settings", author: "ann" };
  await github.push("ann/shop", { [settingsPath]: file }, commit);
  const forge = forgeOf(github, "report");
  await tellSettings(forge, parseSettings((await forge.readFile(settingsPath)) ?? ""), redis);
}

function shown({ issues }: Repository) {
  return [...issues.values()].map((issue) => ({
    title: issue.title,
    state: issue.state,
    comments: issue.comments.map(({ body }) => body),
  }));
}

/** What the app was told of issues, oldest first. */
function told({ state }: TestGitHub): (string | null)[] {
  return state.deliveries
    .filter(({ event }) => event === "issues")
    .map(({ action }) => action)
    .toReversed();
}
