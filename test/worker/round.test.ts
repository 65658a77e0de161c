import { afterAll, describe, expect, it } from "vitest";
import type { FeedbackEvent, Reply } from "../../src/feedback.ts";
import { connectRedis } from "../../src/queue.ts";
import { openRunLog } from "../../src/runlog.ts";
import { defaultSettings } from "../../src/settings.ts";
import { renderStatus, statusMark } from "../../src/status.ts";
import type { Rounds } from "../../src/status.ts";
import { afterRound, fixedThreads, postReplies, renderAnswers, roundTitle, takeFeedback } from "../../worker/round.ts";
import type { Run } from "../../worker/run.ts";
import { startRedis } from "../support/redis.ts";
import { createLocalHost, dataFolder, job, ourPull, person, pointOf } from "./support.ts";

const server = await startRedis();
const redis = connectRedis(server.url, "worker");
afterAll(async () => {
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

const commit = "c".repeat(40);
const points = [
  pointOf("t1", "Trim it.", { path: "src/a.js", line: 3 }),
  pointOf("t2", "Why?", { path: "src/a.js", line: 9 }),
  pointOf("r1", "Nearly."),
];
const feedback: FeedbackEvent = {
  points,
  from: {},
  read: { threads: { at: "2026-01-01T00:00:00Z", ids: [11] } },
  head: "a",
};
const replies: Reply[] = [
  { point: "t1", disposition: "fixed", text: "It is trimmed; a test covers both ends." },
  { point: "t2", disposition: "question", text: "Since check.sh:1 asks for it." },
  { point: "r1", disposition: "out-of-scope", text: "The other function is of another issue." },
];
const answered = { feedback, replies, commit, applied: new Set<string>() };
const rounds = (count: number, failures: number): Rounds => ({ count, failures, from: {}, read: {} });

describe("what a round tells", () => {
  it("has a row for each point, with its place and what became of it", () => {
    expect(renderAnswers(answered).split("\n").slice(2)).toEqual([
      "| [src/a.js:3](http://host/o/r/pull/9#t1) | Fixed in cccccccccccc: It is trimmed; a test covers both ends. |",
      "| [src/a.js:9](http://host/o/r/pull/9#t2) | Since check.sh:1 asks for it. |",
      "| [review by ada](http://host/o/r/pull/9#r1) | Outside of this pull request: The other function is of another issue. |",
    ]);
  });

  it.each([
    ["all of it", answered, `Round 1: 3 points answered in 4 s, with ${commit}`],
    [
      "a part of it",
      { ...answered, replies: replies.slice(0, 2), commit: undefined },
      "Round 1: 2 of 3 points answered in 4 s, nothing changed",
    ],
    [
      "a later round",
      { ...answered, feedback: { ...feedback, points: points.slice(0, 1), before: rounds(4, 0) } },
      `Round 5: 1 point answered in 4 s, with ${commit}`,
    ],
  ])("is headed by how much was answered: %s", (_what, of, title) => {
    expect(roundTitle(of, "4 s")).toBe(title);
  });

  it("claims nothing to be fixed where nothing was pushed, and names what was left without an answer", () => {
    const told = renderAnswers({ ...answered, replies: replies.slice(0, 1), commit: undefined });

    expect(told).not.toContain("Fixed in");
    expect(told.match(/No answer\./g)).toHaveLength(2);
  });

  it("says of a suggestion that stands in the commit that it was applied", () => {
    expect(renderAnswers({ ...answered, applied: new Set(["t1"]) })).toContain("Applied as suggested in cccccccccccc:");
  });

  it("has no effect of hostile words", () => {
    const text = "fixes #1 @ann <!-- x --> | a | ![x](http://evil) </details>\n# big";
    const told = renderAnswers({ ...answered, replies: [{ point: "t1", disposition: "declined", text }] });

    expect(told.split("\n")).toHaveLength(5);
    expect(told).not.toMatch(/fixes #1|@ann|(?<!\\)<(?:!--|\/details)|(?<!\\)\]\(http:\/\/evil/);
  });
});

describe("what a pull request remembers of its rounds", () => {
  it.each([
    ["published", undefined, { count: 1, failures: 0 }],
    ["no-change", rounds(3, 2), { count: 4, failures: 0 }],
    ["gave-up", rounds(3, 2), { count: 4, failures: 3 }],
    ["needs-input", rounds(3, 0), { count: 4, failures: 1 }],
    ["cancelled", rounds(3, 1), { count: 4, failures: 2 }],
  ] as const)("after %s", (outcome, before, after) => {
    const event = { ...feedback, ...(before !== undefined && { before }) };

    const { from, read } = feedback;
    expect(afterRound(event, outcome)({ rounds: before })).toEqual({ rounds: { ...after, from, read } });
  });

  it("has the threads that a commit mends, and none without one", () => {
    expect(fixedThreads(answered)).toEqual(["node-t1"]);
    expect(fixedThreads({ ...answered, commit: undefined })).toEqual([]);
  });
});

/** A run on pull request 9, where ada said something in one thread, on a host of this process. */
function roundOn(before: Rounds | undefined, how?: "retry" | "continue") {
  const host = createLocalHost({ "a.js": "1\n" });
  const data = dataFolder();
  const log = openRunLog(data.path, "run-1");
  const at = "2026-01-01T00:00:01Z";
  const remark = { id: 11, author: person("ada"), body: "Trim it.", createdAt: at, editedAt: undefined, url: "u" };
  host.said.threads.push({
    id: "node",
    path: "a.js",
    line: 1,
    startLine: undefined,
    hunk: "@@",
    isResolved: false,
    isOutdated: false,
    remarks: [{ ...remark, review: undefined }],
  });
  if (before !== undefined)
    host.comments.set(`9 ${statusMark}`, {
      id: 1,
      body: renderStatus({ run: "r0", state: "opened", trigger: "t", rounds: before }, "Round 1"),
    });
  const subject = { kind: "review" as const, pull: 9, branch: "agent-fix/issue-1" };
  const run = {
    job: { ...job, subject, ...(how !== undefined && { follows: { how } }) },
    log,
    guard: async () => {},
  } as unknown as Run;
  const head = { branch: "agent-fix/issue-1", commit: "a" };
  const pull = { ...ourPull, number: 9, head };
  const app = { id: 1, slug: "agent-fix", botLogin: "agent-fix[bot]", url: "" };
  const deps = { host: { app: async () => app } as never, redis };
  return {
    host,
    run,
    take: () => takeFeedback(run, deps, { forge: host.forge, pull, settings: defaultSettings }),
    [Symbol.dispose]: () => {
      log.close();
      host[Symbol.dispose]();
      data[Symbol.dispose]();
    },
  };
}

describe("what a round is about", () => {
  const read = { threads: { at: "2026-01-01T00:00:01Z", ids: [11] } };

  it("is what was not read before, which gets a sign, and stays the same when the run is taken again", async () => {
    using round = roundOn(undefined);

    const taken = await round.take();
    round.host.said.threads.pop();

    expect(taken).toMatchObject({ points: [{ id: "t1" }], from: {}, read });
    expect(await round.take()).toMatchObject({ points: [{ id: "t1" }] });
    expect(round.host.writes).toEqual(["eyes on review-comment 11"]);
  });

  it("is nothing where all was read, and the last round's again where a person asks for it", async () => {
    const before: Rounds = { count: 3, failures: 3, from: {}, read };
    using nothing = roundOn(before);
    using retried = roundOn(before, "retry");
    using continued = roundOn(before, "continue");

    expect(await nothing.take()).toMatchObject({ points: [], before });
    expect(await retried.take()).toMatchObject({ before: { ...before, count: 0, failures: 0 } });
    expect(await continued.take()).toMatchObject({ points: [{ id: "t1" }], before });
  });

  it("is answered in its threads, once however often that is told", async () => {
    using round = roundOn(undefined);

    await postReplies(round.run, round.host.forge, 9, answered);

    expect(round.host.writes).toEqual([
      expect.stringMatching(/^reply to 11: <!-- agent-fix:reply run-1 t1 -->\nFixed in cccccccccccc: It is trimmed/),
      expect.stringMatching(/^reply to 11: <!-- agent-fix:reply run-1 t2 -->\nSince check/),
    ]);
  });
});
