import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { FeedbackEvent } from "../../src/feedback.ts";
import type { RunEvent, Stamped } from "../../src/runlog.ts";
import { defaultSettings } from "../../src/settings.ts";
import { endingOutcome, planOutcome, rejectionText, withWork } from "../../worker/endings.ts";
import { needsInput } from "../../worker/outcome.ts";
import { renderProgress } from "../../worker/progress.ts";
import { renderOutcome } from "../../worker/report.ts";
import { answerLines, renderAnswers } from "../../worker/round.ts";
import { acting, foreign, nodesOf, parse } from "./foreign.ts";
import { job, pointOf } from "./support.ts";

const { limits } = defaultSettings;
const told = { took: "4 min", stoppedBy: undefined };
const usage = { promptTokens: 1, completionTokens: 1, cachedTokens: 0 };

function progressOf(text: string): string {
  const events: RunEvent[] = [
    { type: "claimed", epoch: 1, job },
    { type: "attempt", round: 0, model: text },
    { type: "model.intent", step: 1 },
    { type: "model.result", step: 1, calls: 1, text, usage, ms: 1 },
    { type: "tool.intent", step: 1, name: "bash", summary: text },
    { type: "plan", items: [text, `[x] ${text}`] },
    { type: "model.waiting", reason: text },
  ];
  const stamped: Stamped[] = events.map((event, n) => ({ n, at: "2026-01-01T00:00:00Z", ...event }));
  const { header, lines } = renderProgress(stamped, { took: "4 min", now: new Date("2026-01-01T00:04:00Z") });
  return [header, ...lines].join("\n\n");
}

function roundOf(text: string): string {
  const points = [pointOf("t1", text, { path: text }), pointOf("r1", text)];
  const feedback: FeedbackEvent = { points, from: {}, read: {}, head: "a" };
  const replies = (["fixed", "declined"] as const).map((disposition, index) => ({
    point: points[index]?.id ?? "",
    disposition,
    text,
  }));
  return renderAnswers({ feedback, replies, commit: "c".repeat(40), applied: new Set() });
}

const said: Record<string, (text: string) => string> = {
  "the status comment of a run at work": progressOf,
  "the answers of a round": roundOf,
  "the answer to a question": answerLines,
  "a plan": (text) => ending(planOutcome({ title: text, cause: text, change: text })),
  questions: (text) =>
    ending(
      endingOutcome(
        { end: "asked", questions: [text, text].map((question) => ({ question, fallback: text })) },
        limits,
      ),
    ),
  "a run that went in circles": (text) => ending(endingOutcome({ end: "stuck", fact: text, call: text }, limits)),
  "a change that did not pass": (text) => {
    const rejection = rejectionText({ reason: "`npm test` fails", rows: [], output: text });
    return ending(withWork(endingOutcome({ end: "out-of-steps" }, limits), { plan: [text], rejection, patch: text }));
  },
  "a branch that moved": () => ending(needsInput("branch moved", "")),
};

function ending(outcome: Parameters<typeof renderOutcome>[0]): string {
  const { header, lines } = renderOutcome(outcome, told);
  return [`**${header}**`, ...lines].join("\n\n");
}

it.each(Object.entries(said))("what is told does nothing of its own, whatever the model wrote: %s", (_what, render) => {
  fc.assert(
    fc.property(foreign, (text) => {
      const tree = parse(render(text));
      const nodes = nodesOf(tree);
      // Our own links are to what is answered, and the plan stands in a frame.
      expect(acting(tree, { types: ["link", "blockquote"] })).toEqual([]);
      const links = nodes.flatMap((node) => (node.type === "link" ? [node.url] : []));
      expect(links.filter((url) => !url.startsWith("http://host/o/r/pull/9#"))).toEqual([]);
      const html = nodes.flatMap((node) => (node.type === "html" ? node.value.split("\n") : []));
      expect(html.filter((line) => !/^(<details><summary>[\w ,]+<\/summary>|<\/details>)$/.test(line))).toEqual([]);
    }),
    { numRuns: 100 },
  );
});
