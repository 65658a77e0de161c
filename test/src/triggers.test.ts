import { describe, expect, it } from "vitest";
import { hintFor, intakeFor } from "../../src/triggers.ts";
import type { WebhookEvent } from "../../src/triggers.ts";

const base = {
  installation: { id: 7 },
  repository: { id: 1, name: "r", owner: { login: "o" }, default_branch: "main", archived: false },
  sender: { id: 2, login: "ann", type: "User" },
};
const issue = { number: 5, title: "It breaks", body: null, state: "open" };

function event(name: string, payload: Partial<WebhookEvent["payload"]>): WebhookEvent {
  return { id: "guid", name, payload: { ...base, ...payload } };
}

describe("intakeFor", () => {
  it("takes our label with the text as it was signed", () => {
    const job = intakeFor(event("issues", { action: "labeled", issue, label: { name: "agent-fix" } }));

    expect(job).toEqual({
      kind: "label",
      delivery: "guid",
      repo: { id: 1, owner: "o", name: "r", installationId: 7 },
      issue: 5,
      actor: { id: 2, login: "ann" },
      text: { title: "It breaks", body: "" },
    });
  });

  it.each([
    ["another label", event("issues", { action: "labeled", issue, label: { name: "bug" } })],
    [
      "a pull request's label",
      event("issues", { action: "labeled", issue: { ...issue, pull_request: {} }, label: { name: "agent-fix" } }),
    ],
    ["an edited issue", event("issues", { action: "edited", issue })],
    [
      "an event without installation",
      event("issues", { action: "labeled", issue, label: { name: "agent-fix" }, installation: undefined }),
    ],
  ])("leaves %s alone", (_what, other) => {
    expect(intakeFor(other)).toBeUndefined();
  });

  it("turns a removed label, and an issue that is closed or gone, into a stop", () => {
    const removed = intakeFor(event("issues", { action: "unlabeled", issue, label: { name: "agent-fix" } }));
    const closed = intakeFor(event("issues", { action: "closed", issue }));

    expect(removed).toMatchObject({ kind: "stop", issue: 5, reason: "label removed" });
    expect(closed).toMatchObject({ kind: "stop", issue: 5, reason: "issue closed" });
    for (const action of ["transferred", "deleted"])
      expect(intakeFor(event("issues", { action, issue }))).toMatchObject({ kind: "stop", reason: `issue ${action}` });
  });

  it("takes a review only on an open pull request from a bot's own branch, by a person", () => {
    const pull = {
      number: 9,
      state: "open",
      user: { id: 3, login: "agent-fix[bot]", type: "Bot" },
      head: { ref: "agent-fix/issue-5" },
    };
    const review = { id: 11, user: { id: 2, login: "ann" } };
    const submitted = (change: object) =>
      event("pull_request_review", { action: "submitted", pull_request: { ...pull, ...change }, review });

    expect(intakeFor(submitted({}))).toMatchObject({
      kind: "feedback",
      pull: 9,
      branch: "agent-fix/issue-5",
    });
    expect(intakeFor(submitted({ state: "closed" }))).toBeUndefined();
    expect(intakeFor(submitted({ head: { ref: "feature" } }))).toBeUndefined();
    expect(intakeFor(submitted({ user: { id: 4, login: "bob", type: "User" } }))).toBeUndefined();
    expect(
      intakeFor({
        ...submitted({}),
        payload: { ...submitted({}).payload, sender: { id: 8, login: "x[bot]", type: "Bot" } },
      }),
    ).toBeUndefined();
  });

  it.each([
    ["a person's", { user: { id: 4, login: "bob", type: "User" } }],
    ["a bot's with a branch of its own", { head: { ref: "deps/lodash" } }],
    ["a closed", { state: "closed" }],
  ])("takes a mention in the text of a review for a word there: on %s pull request", (_whose, change) => {
    const pull = {
      number: 9,
      state: "open",
      user: { id: 3, login: "x[bot]", type: "Bot" },
      head: { ref: "agent-fix/x" },
    };
    const submitted = (body: string | null) =>
      event("pull_request_review", {
        action: "submitted",
        pull_request: { ...pull, ...change },
        review: { id: 11, user: { id: 2, login: "ann" }, body },
      });
    const word = { kind: "comment", number: 9, isPull: true, comment: 11, text: "@agent-fix why?", inReview: true };

    expect(intakeFor(submitted("@agent-fix why?"))).toMatchObject(word);
    expect(intakeFor(submitted("Fine."))).toBeUndefined();
    expect(intakeFor(submitted(null))).toBeUndefined();
  });
});

describe("intakeFor of a push", () => {
  const commits = [
    { added: ["a"], removed: [], modified: [] },
    { added: [], removed: [], modified: [".github/agent-fix.yml"] },
  ];
  const push = (payload: Partial<WebhookEvent["payload"]>) =>
    event("push", { ref: "refs/heads/main", commits, ...payload });

  it("looks at settings that were added, changed or removed on the default branch, by whomever", () => {
    const upkeep = { kind: "upkeep", delivery: "guid", repo: { id: 1, owner: "o", name: "r", installationId: 7 } };

    expect(intakeFor(push({}))).toEqual(upkeep);
    expect(intakeFor(push({ commits: [{ added: [".github/agent-fix.yml"] }] }))).toEqual(upkeep);
    expect(intakeFor(push({ commits: [{ removed: [".github/agent-fix.yml"] }] }))).toEqual(upkeep);
    expect(intakeFor(push({ sender: { id: 3, login: "renovate[bot]", type: "Bot" } }))).toEqual(upkeep);
  });

  it.each([
    ["to another branch", push({ ref: "refs/heads/topic" })],
    ["of other files", push({ commits: [{ modified: ["agent-fix.yml"] }] })],
    ["without commits", push({ commits: [] })],
    ["to an archived repository", push({ repository: { ...base.repository, archived: true } })],
  ])("leaves one %s alone", (_what, other) => {
    expect(intakeFor(other)).toBeUndefined();
  });
});

describe("intakeFor of a commit status", () => {
  const ours = [{ name: "main" }, { name: "agent-fix/issue-5" }];

  it("looks at the branch of ours that has the commit, once the status is no longer pending", () => {
    const watch = { kind: "watch", delivery: "guid", branch: "agent-fix/issue-5" };

    expect(intakeFor(event("status", { state: "failure", branches: ours }))).toMatchObject(watch);
    expect(intakeFor(event("status", { state: "pending", branches: ours }))).toBeUndefined();
    expect(intakeFor(event("status", { state: "failure", branches: [{ name: "main" }] }))).toBeUndefined();
  });
});

describe("intakeFor of what tasks depend on", () => {
  const upkeep = { kind: "upkeep", delivery: "guid", repo: { id: 1, owner: "o", name: "r", installationId: 7 } };
  const bot = { id: 3, login: "agent-fix[bot]", type: "Bot" };
  const board = { ...issue, body: "<!-- agent-fix:dashboard {} -->", user: bot };
  const pull = { number: 9, state: "closed", user: bot, head: { ref: "agent-fix/task/tidy" } };

  it("takes a person's edit of the dashboard, with who it was", () => {
    const edited = intakeFor(event("issues", { action: "edited", issue: board }));

    expect(edited).toEqual({ ...upkeep, ticked: { id: 2, login: "ann" } });
  });

  it.each(["closed", "reopened", "edited", "synchronize"])(
    "looks after tasks when a person's deed on a pull request of theirs is: %s",
    (action) => {
      expect(intakeFor(event("pull_request", { action, pull_request: pull }))).toEqual(upkeep);
    },
  );

  it("sweeps where the app comes to new repositories", () => {
    const { repository: _, ...payload } = base;

    expect(intakeFor({ id: "guid", name: "installation", payload: { ...payload, action: "created" } })).toEqual({
      kind: "sweep",
    });
    expect(
      intakeFor({ id: "guid", name: "installation_repositories", payload: { ...payload, action: "added" } }),
    ).toEqual({ kind: "sweep" });
  });

  it.each([
    ["our own edit of the dashboard", event("issues", { action: "edited", issue: board, sender: bot })],
    [
      "a copy of the dashboard by a person",
      event("issues", { action: "edited", issue: { ...board, user: base.sender } }),
    ],
    ["our own edit of a pull request", event("pull_request", { action: "edited", pull_request: pull, sender: bot })],
    [
      "a pull request for an issue",
      event("pull_request", { action: "closed", pull_request: { ...pull, head: { ref: "agent-fix/issue-5" } } }),
    ],
  ])("leaves %s alone", (_what, other) => {
    expect(intakeFor(other)).toBeUndefined();
  });
});

describe("intakeFor of a comment", () => {
  const labelled = { ...issue, labels: [{ name: "bug" }, { name: "agent-fix" }] };
  const ours = { ...issue, pull_request: {}, user: { id: 3, login: "agent-fix[bot]", type: "Bot" } };
  const comment = { id: 21, body: "Mind the empty list." };
  const said = (payload: object) => event("issue_comment", { action: "created", issue: labelled, comment, ...payload });

  it("takes a person's word on an issue with our label, or on a bot's pull request, where a run may be at work", () => {
    const word = { kind: "comment", comment: 21, text: "Mind the empty list.", number: 5 };

    expect(intakeFor(said({}))).toMatchObject({ ...word, isPull: false });
    expect(intakeFor(said({ issue: ours }))).toMatchObject({ ...word, isPull: true });
  });

  it("takes a command from anywhere", () => {
    const command = { comment: { id: 21, body: "/agent-fix status" } };
    const unlabelled = { ...issue, labels: [] };
    const foreign = { ...ours, user: { id: 2, login: "ann", type: "User" } };

    expect(intakeFor(said({ ...command, issue: unlabelled }))).toMatchObject({ kind: "command", isPull: false });
    expect(intakeFor(said({ ...command, issue: foreign }))).toMatchObject({ kind: "command", isPull: true });
    expect(intakeFor(said({ ...command, sender: { id: 8, login: "x[bot]", type: "Bot" } }))).toBeUndefined();
  });

  it.each([
    ["an issue without our label", { issue: { ...issue, labels: [{ name: "bug" }] } }],
    ["a person's pull request", { issue: { ...ours, user: { id: 2, login: "ann", type: "User" } } }],
    ["a bot's comment", { sender: { id: 8, login: "x[bot]", type: "Bot" } }],
    ["an empty comment", { comment: { id: 21, body: " \n" } }],
    ["an edited comment", { action: "edited" }],
  ])("leaves %s alone", (_what, payload) => {
    expect(intakeFor(said(payload))).toBeUndefined();
  });
});

describe("hintFor", () => {
  const repo = { id: 1, owner: "o", name: "r", installationId: 7 };
  const pushed = event("push", { ref: "refs/heads/main" });
  const opened = event("issues", { action: "opened", issue });

  it("takes a new issue for the herald of a label: worth a first copy of the repository", () => {
    expect(hintFor(opened)).toEqual({ repo, mayCreate: true });
  });

  it("takes a push to the default branch, also by ourselves, where the repository is known", () => {
    const ours = event("push", { ref: "refs/heads/main", sender: { id: 3, login: "agent-fix[bot]", type: "Bot" } });

    expect([hintFor(pushed), hintFor(ours)]).toEqual([
      { repo, mayCreate: false },
      { repo, mayCreate: false },
    ]);
  });

  it("takes our label for a run that begins at once, on a machine that has the repository", () => {
    const labelled = event("issues", { action: "labeled", issue, label: { name: "agent-fix" } });

    expect(hintFor(labelled)).toEqual({ repo, mayCreate: false, urgent: true });
  });

  const archived = { ...base.repository, archived: true };
  it.each([
    ["a push to another branch", event("push", { ref: "refs/heads/agent-fix/issue-5" })],
    ["a push to a branch whose name ends like the default one", event("push", { ref: "refs/heads/x/main" })],
    ["a tag with the default branch's name", event("push", { ref: "refs/tags/main" })],
    ["a push to an archived repository", event("push", { ref: "refs/heads/main", repository: archived })],
    ["an issue of an archived repository", event("issues", { action: "opened", issue, repository: archived })],
    ["a push without installation", event("push", { ref: "refs/heads/main", installation: undefined })],
    [
      "a push to a repository of nobody",
      event("push", { ref: "refs/heads/main", repository: { ...base.repository, owner: null } }),
    ],
    ["another label", event("issues", { action: "labeled", issue, label: { name: "bug" } })],
    ["our label taken off", event("issues", { action: "unlabeled", issue, label: { name: "agent-fix" } })],
    ["another event about the default branch", event("create", { ref: "refs/heads/main" })],
  ])("leaves %s alone", (_what, other) => {
    expect(hintFor(other)).toBeUndefined();
  });

  it("and intakeFor answer to no event both", () => {
    expect([intakeFor(pushed), intakeFor(opened)]).toEqual([undefined, undefined]);
  });
});
