import { Queue } from "bullmq";
import * as fc from "fast-check";
import { pino } from "pino";
import { afterAll, beforeEach, expect, it } from "vitest";
import { readFeedback } from "../../src/feedback.ts";
import type { Author, Forge, Pull, Remark, ReviewFacts } from "../../src/forge.ts";
import { createInbox } from "../../src/inbox.ts";
import { handleIntake } from "../../src/intake.ts";
import type { IntakeDeps } from "../../src/intake/start.ts";
import { coveredBy, subjectKey } from "../../src/job.ts";
import type { RunJob } from "../../src/job.ts";
import { connectRedis, createQueues, redisPrefix } from "../../src/queue.ts";
import { parseStatus, renderStatus, statusMark } from "../../src/status.ts";
import { intakeFor } from "../../src/triggers.ts";
import type { WebhookEvent } from "../../src/triggers.ts";
import { startRedis } from "../support/redis.ts";
import { createLocalHost, ourPull } from "../worker/support.ts";

const server = await startRedis();
const redis = connectRedis(server.url, "worker");
const queues = createQueues(redis);
const inbox = createInbox(redis);
const runs = new Queue<RunJob>("runs", { connection: redis, prefix: redisPrefix, skipVersionCheck: true });
const local = createLocalHost({ ".github/agent-fix.yml": "" });
beforeEach(() => redis.flushall());
afterAll(async () => {
  local[Symbol.dispose]();
  await runs.close();
  await queues.close();
  await server[Symbol.asyncDispose]();
});

const ann: Author = { id: 2, login: "ann", isBot: false };
const eve: Author = { id: 4, login: "eve", isBot: false };
const ourselves: Author = { id: 3, login: "agent-fix[bot]", isBot: true };
const helper: Author = { id: 5, login: "helper[bot]", isBot: true };
const repository = { id: 7, name: "r", owner: { login: "o" }, default_branch: "main" };
const issue = 7;
const head = { branch: "agent-fix/issue-7", commit: "a".repeat(40) };
const pull: Pull = { ...ourPull, number: 100, head };

/** Issue 7 and our pull request 100 for it, as the code host has them, with the webhooks that it has sent of them. */
function createWorld() {
  let ids = 1000;
  const comments = new Map<string, { id: number; body: string }>();
  const remarks: Remark[] = [];
  const reviews: ReviewFacts[] = [];
  const sent: WebhookEvent[] = [];
  const started: RunJob[] = [];
  const held = new Set<string>();
  /** The ids of what people with write access did. */
  const asked = new Set<number>();
  const state = {
    open: true,
    labelled: false,
    label: undefined as { id: number; actor: Author } | undefined,
    /** Who made the newest commit of our pull request. */
    pusher: ourselves,
  };
  const time = () => new Date(Date.UTC(2026, 0, 1) + ids * 1000).toISOString();

  const send = (name: string, { login, isBot, id }: Author, payload: object) => {
    const sender = { id, login, type: isBot ? "Bot" : "User" };
    const common = { installation: { id: 1 }, repository, sender };
    sent.push({ id: `d${ids++}`, name, payload: { ...common, ...payload } });
  };
  const issuePayload = (number: number) => ({
    number,
    title: "It breaks",
    body: "It does.",
    state: "open",
    labels: state.labelled ? ["agent-fix"] : [],
    ...(number === pull.number && { pull_request: {}, user: { id: 3, login: ourselves.login, type: "Bot" } }),
  });
  const pullPayload = {
    number: 100,
    state: "open",
    user: { id: 3, login: ourselves.login, type: "Bot" },
    head: { ref: head.branch },
  };

  const world = {
    label(by: Author) {
      const id = ids++;
      if (by === ann) asked.add(id);
      Object.assign(state, { labelled: true, label: { id, actor: by } });
      send("issues", by, { action: "labeled", issue: issuePayload(issue), label: { name: "agent-fix" } });
    },
    unlabel(by: Author) {
      state.labelled = false;
      send("issues", by, { action: "unlabeled", issue: issuePayload(issue), label: { name: "agent-fix" } });
    },
    close(by: Author) {
      state.open = false;
      send("issues", by, { action: "closed", issue: issuePayload(issue) });
    },
    reopen: () => void (state.open = true),
    push: (by: Author) => void (state.pusher = by),
    comment(by: Author, number: number, body: string, action = "created") {
      const id = ids++;
      if (by === ann) asked.add(id);
      if (number === pull.number)
        remarks.push({ id, author: by, body, createdAt: time(), editedAt: undefined, url: "" });
      send("issue_comment", by, { action, issue: issuePayload(number), comment: { id, body } });
    },
    review(by: Author, body: string) {
      const id = ids++;
      if (by === ann) asked.add(id);
      reviews.push({ id, author: by, state: "commented", body, submittedAt: time(), commit: "", url: "" });
      const review = { id, user: { id: by.id, login: by.login } };
      send("pull_request_review", by, { action: "submitted", pull_request: pullPayload, review });
    },
  };

  const write = (number: number, marker: string, body: string) => {
    const known = comments.get(`${number} ${marker}`);
    const comment = { id: known?.id ?? ids++, body };
    comments.set(`${number} ${marker}`, comment);
    const action = known === undefined ? "created" : "edited";
    send("issue_comment", ourselves, { action, issue: issuePayload(number), comment });
    // Bots that answer every comment of ours with what would start us.
    if (known === undefined) world.comment(helper, number, "@agent-fix please go on");
    return comment;
  };
  const forge: Forge = {
    ...local.forge,
    permission: async (login) => (login === "eve" ? "read" : "write"),
    issue: async (number) => ({
      number,
      title: "It breaks",
      body: "It does.",
      state: state.open ? "open" : "closed",
      labels: state.labelled ? ["agent-fix"] : [],
      isPull: false,
    }),
    labelEvent: async () => state.label && { ...state.label, at: time() },
    removeLabel: async () => world.unlabel(ourselves),
    findComment: async (number, marker) => comments.get(`${number} ${marker}`),
    ensureComment: async (number, marker, body) => write(number, marker, body),
    pull: async () => pull,
    commit: async () => ({
      tree: "",
      parents: [],
      message: "Mend it\n\nAgent-Fix-Run: r1\n",
      author: state.pusher.login,
      committer: state.pusher.login,
    }),
    threads: async () => [],
    reviews: async () => reviews,
    remarks: async () => remarks,
  };
  const app = async () => ({ slug: "agent-fix", botLogin: ourselves.login });
  const deps: IntakeDeps = {
    now: () => new Date(),
    host: { forge: () => forge, app } as unknown as IntakeDeps["host"],
    queues: {
      ...queues,
      async addRun(job) {
        const isNew = await queues.addRun(job);
        // Of two that store the same run at one moment, both are told that it is new.
        if (isNew && !held.has(job.runId)) started.push(job);
        if (isNew) held.add(job.runId);
        return isNew;
      },
    },
    inbox,
    log: pino({ level: "silent" }),
  };

  /** Every run that the queue holds ends, and is told as a worker would. */
  async function endRuns(how: "opened" | "question" | "plan"): Promise<void> {
    for (const job of await runs.getJobs()) {
      const { data } = job;
      const number = data.subject.kind === "review" ? pull.number : issue;
      await job.remove();
      held.delete(data.runId);
      if (data.subject.kind === "question") continue;
      const before = parseStatus(comments.get(`${number} ${statusMark}`)?.body ?? "")?.rounds;
      const reading = {
        read: before?.read,
        trigger: "any" as const,
        slug: "agent-fix",
        trusts: ({ login }: Author) => login !== "eve",
      };
      const { read } = readFeedback({ threads: [], reviews, remarks }, reading);
      const ending = how === "opened" ? { state: "opened" as const } : { state: "needs-input" as const, cause: how };
      const rounds = { count: 1, failures: 0, from: read, read };
      const isRound = data.subject.kind === "review";
      const marker = { run: data.runId, trigger: coveredBy(data), ...ending, ...(isRound && { rounds }) };
      write(number, statusMark, renderStatus(marker, "Ended", []));
    }
  }

  /** Events that ask for nothing are left out, as the web process does. */
  async function deliver(events: readonly WebhookEvent[]): Promise<void> {
    const jobs = events.map(intakeFor).filter((job) => job !== undefined && job.kind !== "sweep");
    await Promise.all(jobs.map((job) => handleIntake(job, deps)));
  }
  return { ...world, sent, started, asked, endRuns, deliver };
}

type World = ReturnType<typeof createWorld>;
type Act = (world: World) => void | Promise<void>;

const commands = ["stop", "retry", "continue", "status", "plan", "approve"].map((word) => `/agent-fix ${word}`);
const words = [...commands, "It is in a.js.", "@agent-fix why is that?", "@bob look", "/agent-fix dance"];
const who = fc.constantFrom(ann, ann, ann, eve, helper, ourselves);
const acts: fc.Arbitrary<Act> = fc.oneof(
  who.map(
    (by): Act =>
      (world) =>
        world.label(by),
  ),
  who.map(
    (by): Act =>
      (world) =>
        world.unlabel(by),
  ),
  who.map(
    (by): Act =>
      (world) =>
        world.close(by),
  ),
  fc.constant<Act>((world) => world.reopen()),
  who.map(
    (by): Act =>
      (world) =>
        world.push(by),
  ),
  fc.tuple(who, fc.constantFrom(issue, pull.number), fc.constantFrom(...words)).map(
    ([by, number, body]): Act =>
      (world) =>
        world.comment(by, number, body),
  ),
  who.map(
    (by): Act =>
      (world) =>
        world.comment(by, issue, "/agent-fix retry", "edited"),
  ),
  who.map(
    (by): Act =>
      (world) =>
        world.review(by, "Mind the edge."),
  ),
  fc.constantFrom("opened" as const, "question" as const, "plan" as const).map(
    (how): Act =>
      (world) =>
        world.endRuns(how),
  ),
);
/** What arrives next: so many events at once, from somewhere in what was sent, new or delivered before. */
const arrival = fc.array(fc.nat(), { minLength: 1, maxLength: 3 });
const storms = fc.array(fc.tuple(acts, fc.array(arrival, { maxLength: 3 })), { minLength: 1, maxLength: 14 });

/** The number in a trigger: of the label's event, the comment or the review. */
const actionOf = ({ trigger }: RunJob) => Number(trigger.split("-").at(-1));

it("in a storm of events a person's act begins one run at most, and what bots and we ourselves do begins none", async () => {
  await fc.assert(
    fc.asyncProperty(storms, async (storm) => {
      await redis.flushall();
      const world = createWorld();
      for (const [act, arrivals] of storm) {
        await act(world);
        for (const picks of arrivals)
          await world.deliver(picks.flatMap((pick) => world.sent[pick % Math.max(1, world.sent.length)] ?? []));
      }
      // Whatever was not delivered arrives at last, and all the rest once more.
      await world.deliver(world.sent.slice());
      await world.endRuns("opened");
      for (const event of world.sent.slice()) await world.deliver([event]);

      const actions = world.started.map(actionOf);
      expect(actions).toHaveLength(new Set(actions).size);
      expect(actions.filter((id) => !world.asked.has(id))).toEqual([]);
    }),
    { numRuns: 40 },
  );
}, 120_000);

function permutations<T>(all: readonly T[]): T[][] {
  if (all.length < 2) return [[...all]];
  return all.flatMap((one, index) => permutations(all.toSpliced(index, 1)).map((rest) => [one, ...rest]));
}

it.each([
  ["an issue that is closed at the end", () => {}, "review issue-7"],
  [
    "an issue that was opened and labelled again",
    (world: World) => {
      world.reopen();
      world.label(ann);
    },
    "issue issue-7, review issue-7",
  ],
])(
  "in whatever order six events arrive, %s ends alike, and never with two open runs for one cause",
  async (_what, atLast, end) => {
    const orders = permutations([0, 1, 2, 3, 4, 5]);
    expect(orders).toHaveLength(720);
    const ends = new Map<string, string>();
    for (const order of orders) {
      await redis.flushall();
      const world = createWorld();
      world.label(ann);
      world.unlabel(ann);
      world.close(ann);
      world.review(ann, "Mind the edge.");
      world.comment(ann, issue, "It is in a.js.");
      world.comment(ann, issue, "/agent-fix retry");
      const six = world.sent.slice();
      atLast(world);
      for (const index of order) await world.deliver(six.slice(index, index + 1));
      const open = (await runs.getJobs()).map(({ data }) => `${data.subject.kind} ${subjectKey(data.subject)}`);
      ends.set(open.toSorted().join(", "), order.join(" "));
    }
    expect([...ends.keys()]).toEqual([end]);
  },
  120_000,
);
