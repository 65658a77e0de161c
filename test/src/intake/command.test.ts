import { describe, expect, it } from "vitest";
import { commands, isCommand, readCommand } from "../../../src/commands.ts";
import { decideCommand } from "../../../src/intake/command.ts";
import type { Standing } from "../../../src/intake/command.ts";
import type { StatusMarker } from "../../../src/status.ts";

const ended = (state: StatusMarker["state"], more: Partial<StatusMarker> = {}): StatusMarker => ({
  run: "r1",
  trigger: "label-1",
  state,
  ...more,
});
const issue: Standing = {
  isPull: false,
  isOurs: true,
  isOpen: true,
  isLive: false,
  isWorking: false,
  hasQuestion: false,
  status: ended("gave-up"),
  hasFeedback: false,
};
const live: Standing = { ...issue, isLive: true, isWorking: true, status: ended("working") };
const pull: Standing = {
  ...issue,
  isPull: true,
  status: ended("opened", { trigger: "review-7", rounds: { count: 1, failures: 0, from: {}, read: {} } }),
};
const failedRound = ended("gave-up", { rounds: { count: 2, failures: 1, from: {}, read: {} } });
const plan = ended("needs-input", { cause: "plan" });

describe("a command", () => {
  it.each(["stop", "retry", "continue", "status", "plan", "approve"] as const)(
    "is %s in a comment's first line",
    (name) => {
      expect(readCommand(`/agent-fix ${name}`)).toBe(name);
      expect(readCommand(`  /agent-fix   ${name.toUpperCase()}  \r\nthanks`)).toBe(name);
      expect(readCommand(`please\n/agent-fix ${name}`)).toBeUndefined();
      expect(readCommand(`/agent-fix ${name} now`)).toBeUndefined();
    },
  );

  it("is meant where the first word is ours, known or not", () => {
    expect(["/agent-fix", "/agent-fix dance", "\n/agent-fix stop"].map(isCommand)).toEqual([true, true, true]);
    expect(["/agent-fixes stop", "/agent", "say /agent-fix stop", ""].map(isCommand)).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });

  it.each([
    { what: "retry after an ending", command: "retry", at: issue },
    { what: "continue after an ending", command: "continue", at: issue },
    { what: "a plan where nothing ran before", command: "plan", at: { ...issue, status: undefined } },
    { what: "a plan that is approved", command: "approve", at: { ...issue, status: plan } },
    { what: "another plan", command: "plan", at: { ...issue, status: plan } },
    { what: "retry of a review's answer", command: "retry", at: pull },
    { what: "continue of a round that failed", command: "continue", at: { ...pull, status: failedRound } },
    { what: "continue where a review waits", command: "continue", at: { ...pull, hasFeedback: true } },
    {
      what: "continue where the first review waits",
      command: "continue",
      at: { ...pull, status: undefined, hasFeedback: true },
    },
    { what: "retry where a label alone has begun nothing", command: "retry", at: { ...issue, status: undefined } },
  ] as const)("begins a run: $what", ({ command, at }) => {
    expect(decideCommand(command, at)).toEqual({ do: "start", how: command });
  });

  it.each([
    { what: "continue after a round that was answered", command: "continue", at: pull },
    { what: "continue where nothing ran before", command: "continue", at: { ...pull, status: undefined } },
    { what: "retry where there was no round", command: "retry", at: { ...pull, status: ended("gave-up") } },
  ] as const)("takes the base in: $what", ({ command, at }) => {
    expect(decideCommand(command, at)).toEqual({ do: "merge", how: command });
  });

  it.each([
    ["what is at work", live],
    ["what is looked into", { ...issue, hasQuestion: true }],
    ["what is looked into on a pull request of somebody else", { ...pull, isOurs: false, hasQuestion: true }],
  ])("stops %s", (_what, at) => {
    expect(decideCommand("stop", at)).toEqual({ do: "stop" });
  });

  it.each([
    {
      what: "on a pull request of somebody else",
      command: "stop",
      at: { ...pull, isOurs: false },
      says: /that I opened/,
    },
    { what: "that nobody knows", command: undefined, at: issue, says: /I know `\/agent-fix stop`, `/ },
    { what: "to stop nothing", command: "stop", at: issue, says: /Nothing of mine is at work/ },
    { what: "to begin what is at work", command: "retry", at: live, says: /at work here already/ },
    { what: "on what is closed", command: "retry", at: { ...issue, isOpen: false }, says: /closed/ },
    { what: "to approve no plan", command: "approve", at: issue, says: /no plan that waits/ },
    { what: "to go on from nothing", command: "continue", at: { ...issue, status: undefined }, says: /no earlier run/ },
    { what: "to plan on a pull request", command: "plan", at: pull, says: /belongs to an issue/ },
    {
      what: "for the state of nothing",
      command: "status",
      at: { ...issue, status: undefined },
      says: /not worked here/,
    },
    { what: "for the state at work", command: "status", at: live, says: /^Working\. .*run `r1`\.$/ },
    {
      what: "for the state where another run than the last is at work",
      command: "status",
      at: { ...live, status: ended("opened") },
      says: /^Done\. .*run `r1`\. A run is at work\.$/,
    },
    {
      what: "for the state of what waits and was not told yet",
      command: "status",
      at: { ...live, isWorking: false, status: undefined },
      says: /^A run is queued\.$/,
    },
    {
      what: "for the state of a pull request on which nothing was said yet",
      command: "status",
      at: { ...pull, status: undefined },
      says: /^Nothing of mine is at work here\.$/,
    },
    {
      what: "for the state with its cause",
      command: "status",
      at: { ...issue, status: plan },
      says: /^Waiting for you \(plan\)/,
    },
    {
      what: "for the state of a lost run",
      command: "status",
      at: { ...live, isLive: false },
      says: /not in the queue/,
    },
  ] as const)("$what is answered", ({ command, at, says }) => {
    expect(decideCommand(command, at)).toEqual({ do: "answer", text: expect.stringMatching(says) });
  });

  it("has an answer or an effect, however things stand", () => {
    const states = ["queued", "working", "opened", "no-change", "needs-input", "gave-up", "cancelled"] as const;
    const flags = [true, false];
    for (const command of [...commands, undefined])
      for (const state of states)
        for (const isPull of flags)
          for (const isOpen of flags)
            for (const isLive of flags) {
              const status = ended(state);
              const decision = decideCommand(command, { ...issue, isPull, isOpen, isLive, status });
              expect(decision.do === "answer" ? decision.text : decision.do).not.toBe("");
              expect(isLive && (decision.do === "start" || decision.do === "merge")).toBe(false);
            }
  });
});
