import { describe, expect, it } from "vitest";
import { intakeFor } from "../../src/triggers.ts";
import type { WebhookEvent } from "../../src/triggers.ts";

const base = {
  installation: { id: 7 },
  repository: { id: 1, name: "r", owner: { login: "o" } },
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

  it("turns a removed label and a closed issue into a stop", () => {
    const removed = intakeFor(event("issues", { action: "unlabeled", issue, label: { name: "agent-fix" } }));
    const closed = intakeFor(event("issues", { action: "closed", issue }));

    expect(removed).toMatchObject({ kind: "stop", issue: 5, reason: "label removed" });
    expect(closed).toMatchObject({ kind: "stop", issue: 5, reason: "issue closed" });
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
      kind: "review",
      pull: 9,
      review: 11,
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
});
