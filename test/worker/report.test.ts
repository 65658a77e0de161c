import { describe, expect, it } from "vitest";
import type { Stamped } from "../../src/runlog.ts";
import { elapsed, renderOutcome } from "../../worker/report.ts";
import { job } from "./support.ts";

const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds)).toISOString();
const events: Stamped[] = [{ n: 1, at: at(0), type: "claimed", epoch: 1, job }];

const hostile = [
  "$(touch /tmp/x) `id`",
  "fixes #1",
  "Closes o/r#2",
  "@ada and @o/team",
  "<!-- agent-fix:status {} -->",
  "<img src=http://evil/x>",
  "![x](http://evil/y) [z](http://evil)",
  "</details> | cell |",
];
const forces = [
  /(?:fix|close|resolve)\w*:? +(?:[\w./-]*)#\d/i,
  /@[\w]/,
  /(?<!\\)<(?!\/?(?:details|summary)>)/,
  /(?<!\\)\]\(/,
];

describe("renderOutcome", () => {
  const facts = { took: "3 min", stoppedBy: undefined };

  it("says how a run ended, why, and what comes next", () => {
    const pull = { number: 9, url: "http://host/9" };
    const ended = { cause: "gate rejected", detail: "`npm test` fails.", pull: undefined };

    expect(renderOutcome({ outcome: "published", cause: undefined, detail: "http://host/9", pull }, facts)).toEqual({
      header: "Opened #9 in 3 min",
      lines: ["http://host/9"],
    });
    expect(renderOutcome({ outcome: "gave-up", ...ended }, facts)).toEqual({
      header: "Stopped: gate rejected",
      lines: ["`npm test` fails.", "`/agent-fix continue` goes on from here, `/agent-fix retry` starts over."],
    });
    expect(
      renderOutcome({ outcome: "cancelled", ...ended, cause: "label removed" }, { took: "3 min", stoppedBy: "ada" }),
    ).toEqual({
      header: "Stopped by ada",
      lines: [
        "Nothing was published: label removed.",
        "Set the label again, or say `/agent-fix retry`, to start over.",
      ],
    });
    expect(renderOutcome({ outcome: "needs-input", ...ended, cause: "question" }, facts).lines).toContain(
      "Answer in a comment, and I go on with it. `/agent-fix continue` takes what I would do.",
    );
  });

  it("renders what the model says about no change without effect", () => {
    const { lines } = renderOutcome(
      { outcome: "no-change", cause: undefined, detail: hostile.join("\n"), pull: undefined },
      facts,
    );

    for (const force of forces) expect(lines.join("\n")).not.toMatch(force);
  });
});

describe("elapsed", () => {
  it("is in seconds, then in minutes", () => {
    expect(elapsed(events, new Date(at(42)))).toBe("42 s");
    expect(elapsed(events, new Date(at(600)))).toBe("10 min");
  });
});
