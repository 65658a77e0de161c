import { describe, expect, it } from "vitest";
import { cancelled, causes, gaveUp, needsInput, nextMove } from "../../worker/outcome.ts";
import type { Cause } from "../../worker/outcome.ts";
import { renderOutcome } from "../../worker/report.ts";

/** What a person is told about each cause: what happened, whether we had tried again, and what to do. */
const told: Record<Cause, { says: RegExp; tried?: RegExp; next: RegExp }> = {
  "out of steps": { says: /limit of steps/, next: /continue` goes on/ },
  "out of tokens": { says: /limit of tokens/, next: /continue` goes on/ },
  "out of time": { says: /limit of minutes/, next: /continue` goes on/ },
  "no answer": { says: /model came to no answer/, next: /continue` goes on/ },
  "format errors": { says: /could not be parsed/, tried: /told the model/, next: /server.*continue` goes on/ },
  stuck: { says: /in circles/, tried: /told the model/, next: /continue` goes on/ },
  "context exhausted": { says: /window is too small/, tried: /Summing up/, next: /retry` starts over/ },
  "context overflow": { says: /short enough/, tried: /summed it up/, next: /retry` starts over/ },
  "model away": { says: /did not answer/, tried: /up to a day/, next: /back.*continue`/ },
  "model stalled": { says: /did not answer/, tried: /up to a day/, next: /back.*continue`/ },
  "model server-error": { says: /did not answer/, tried: /up to a day/, next: /back.*continue`/ },
  "model refused": { says: /refused the key/, tried: /5, 10 and 15 minutes/, next: /admin.*continue`/ },
  "model unknown-model": { says: /does not serve the model/, tried: /5, 10 and 15 minutes/, next: /admin.*continue`/ },
  "model bad-request": { says: /did not accept the request/, next: /admin.*continue`/ },
  "model overflow": { says: /request too long/, next: /admin.*continue`/ },
  "model repetition": { says: /over and over, also when it was asked again/, next: /continue` goes on/ },
  "gate rejected": { says: /did not pass the checks/, tried: /back to the model once/, next: /continue` goes on/ },
  "already red": { says: /failed before my change/, tried: /back to the model once/, next: /base branch.*retry`/ },
  conflict: { says: /contradict each other/, next: /push, or close/ },
  "the gate broke": { says: /no verdict/, next: /continue` goes on/ },
  crashed: { says: /worker died/, next: /retry` starts over/ },
  outage: { says: /was away/, tried: /six times/, next: /back.*retry` starts over/ },
  "internal error": { says: /wrong in me/, tried: /six times/, next: /retry` starts over/ },
  "no rights": { says: /permission/, next: /given it.*retry`/ },
  refused: { says: /would refuse it again/, next: /put right.*retry`/ },
  "question lost": { says: /was lost/, next: /new comment/ },
  settings: { says: /agent-fix\.yml` cannot be used/, next: /default branch.*retry`/ },
  "no checks": { says: /no command that tests/, next: /retry`/ },
  "image missing": { says: /image/, next: /`image`.*retry`/ },
  "set-up failed": { says: /set-up/, next: /`setup`.*retry`/ },
  "base broken": { says: /before anything is changed/, next: /Mend that.*retry`/ },
  "base branch": { says: /branch to start from/, next: /`base`.*retry`/ },
  "empty repository": { says: /no commit yet/, next: /Push one.*retry`/ },
  "workflow files": { says: /lets no app do.*pushed nothing/, next: /yourself.*continue`/ },
  "merge refused": { says: /git finds sound.*pushed nothing/, next: /yourself.*continue`/ },
  dependencies: { says: /dependencies/, next: /on its branch.*retry`/ },
  "install script": { says: /install script/, next: /default branch yourself.*retry`/ },
  "branch moved": { says: /Somebody else wrote/, next: /where it stands now/ },
  growth: { says: /too large/, next: /less at once.*retry`/ },
  task: { says: /scheduled task/, next: /next run/ },
  "update failed": { says: /could not be updated/, next: /next run/ },
  "no updater": { says: /dependencies by myself/, next: /`update:`.*next run/ },
  measure: { says: /could not be read/, next: /`measure`.*next run/ },
  question: { says: /^$/, next: /Answer in a comment.*continue`/ },
  plan: { says: /^$/, next: /approve`.*plan` plans anew/ },
};

describe.each(Object.entries(told))("a run that ended of %s", (cause, { says, tried, next }) => {
  it("says what happened, what was tried again, the particulars, and the next move", () => {
    const outcome = Object.entries(makers).find(([name]) => name === cause)?.[1]();
    if (outcome === undefined) throw new Error(`nothing makes ${cause}`);

    const { header, lines } = renderOutcome(outcome, { took: "3 min", stoppedBy: undefined });

    expect(header).toBe(`${outcome.outcome === "gave-up" ? "Stopped" : "Needs input"}: ${cause}`);
    const [detail = "", move = ""] = lines;
    const [general = "", particulars] = cause === "question" || cause === "plan" ? ["", detail] : detail.split("\n\n");
    expect(general).toMatch(says);
    expect(tried === undefined || tried.test(general)).toBe(true);
    expect(particulars).toBe("Particulars.");
    expect(move).toMatch(next);
  });
});

/** Each cause with its own kind of ending. */
const makers = Object.fromEntries(
  Object.entries(causes).map(([cause, { outcome }]) => [
    cause,
    () => (outcome === "gave-up" ? gaveUp(cause as never, "Particulars.") : needsInput(cause as never, "Particulars.")),
  ]),
);

it("a cause of another version's log has a next move as well", () => {
  expect(nextMove("spontaneous combustion")).toMatch(/`\/agent-fix retry`/);
  expect(nextMove(undefined)).toMatch(/`\/agent-fix retry`/);
});

it("a run that nobody wants any more says why, and how to have it again", () => {
  const { header, lines } = renderOutcome(cancelled("issue closed"), { took: "3 min", stoppedBy: "ada" });

  expect(header).toBe("Stopped by ada");
  expect(lines.join("\n")).toMatch(/Nothing was published: issue closed\.\n.*`\/agent-fix retry`/s);
});
