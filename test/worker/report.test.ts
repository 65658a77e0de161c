import { describe, expect, it } from "vitest";
import type { Stamped } from "../../src/runlog.ts";
import { parseStatus, statusMark } from "../../src/status.ts";
import { createReporter, elapsed, renderOutcome, renderReviewReply } from "../../worker/report.ts";
import { createLocalHost, job, passedWith } from "./support.ts";

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

describe("renderReviewReply", () => {
  it("names the commit, the change and the checks, without effect of hostile words", () => {
    const text = hostile.join("\n");
    const passed = passedWith({ submission: { title: text, cause: text, change: text } });

    const reply = renderReviewReply(passed, "c".repeat(40), "ada");

    expect(reply).toContain(`by ada in ${"c".repeat(40)}`);
    expect(reply).toContain("- `npm test`: passed");
    for (const force of forces) expect(reply).not.toMatch(force);
  });
});

describe("elapsed", () => {
  it("is in seconds, then in minutes", () => {
    expect(elapsed(events, new Date(at(42)))).toBe("42 s");
    expect(elapsed(events, new Date(at(600)))).toBe("10 min");
  });
});

describe("createReporter", () => {
  const marker = { run: "run-1", state: "working" as const, trigger: "label-1" };

  /** A code host whose comment edits end only when the test lets them. */
  function slowHost(everyMs = 0, guard: () => Promise<void> = async () => {}, facts: () => string[] = () => []) {
    const host = createLocalHost();
    const begun: string[] = [];
    const waiting: (() => void)[] = [];
    const write = async (body: string) => {
      begun.push(headerOf(body));
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push(resolve);
      await promise;
      return host.forge.ensureComment(7, statusMark, body);
    };
    const reporter = createReporter({ write, marker, everyMs, guard, facts });
    const shown = () => host.comments.get(`7 ${statusMark}`)?.body ?? "";
    return {
      host,
      reporter,
      begun,
      shown,
      release: () => waiting.shift()?.(),
      [Symbol.dispose]: () => host[Symbol.dispose](),
    };
  }
  const headerOf = (body: string) => /\*\*(.*)\*\*/.exec(body)?.[1] ?? "";

  it("has at most one edit under way, and the newest text is the next one", async () => {
    using it = slowHost();

    it.reporter.say("one");
    await expect.poll(() => it.begun).toEqual(["one"]);
    for (const text of ["two", "three", "four"]) it.reporter.say(text);
    expect(it.begun).toEqual(["one"]);
    it.release();
    await expect.poll(() => it.begun).toEqual(["one", "four"]);
    it.release();

    await expect.poll(() => headerOf(it.shown())).toBe("four");
    expect(parseStatus(it.shown())).toEqual(marker);
  });

  it("writes the final text after the edit under way, and nothing after it", async () => {
    using it = slowHost();

    it.reporter.say("one");
    await expect.poll(() => it.begun).toEqual(["one"]);
    it.reporter.say("two");
    const finished = it.reporter.finish("opened", "Opened #9", ["link"], { covers: "label-2" });
    it.reporter.say("three");
    it.release();
    await expect.poll(() => it.begun).toEqual(["one", "Opened #9"]);
    it.release();
    await finished;
    it.reporter.say("four");

    expect(it.begun).toEqual(["one", "Opened #9"]);
    expect(it.shown()).toContain("**Opened #9**\n\nlink");
    expect(parseStatus(it.shown())).toEqual({ ...marker, state: "opened", trigger: "label-2" });
  });

  it("says below each text what is known by then, also at the end", async () => {
    const facts: string[] = [];
    using it = slowHost(0, undefined, () => facts);

    it.reporter.say("one");
    await expect.poll(() => it.begun).toEqual(["one"]);
    it.release();
    await expect.poll(it.shown).toMatch(/\*\*one\*\*$/);
    facts.push("- A note.");
    it.reporter.say("two", ["line"]);
    await expect.poll(() => it.begun).toEqual(["one", "two"]);
    it.release();
    await expect.poll(it.shown).toMatch(/\*\*two\*\*\n\nline\n\n- A note\.$/);
    const finished = it.reporter.finish("gave-up", "Stopped", ["why"]);
    await expect.poll(() => it.begun).toEqual(["one", "two", "Stopped"]);
    it.release();
    await finished;

    expect(it.shown()).toMatch(/\*\*Stopped\*\*\n\nwhy\n\n- A note\.$/);
  });

  it("writes the final text however short the time since the last edit is", async () => {
    using it = slowHost(3_600_000);

    it.reporter.say("one");
    await expect.poll(() => it.begun).toEqual(["one"]);
    it.release();
    await expect.poll(() => headerOf(it.shown())).toBe("one");
    it.reporter.say("too early");
    const finished = it.reporter.finish("gave-up", "Stopped", []);
    await expect.poll(() => it.begun).toEqual(["one", "Stopped"]);
    it.release();
    await finished;

    expect(headerOf(it.shown())).toBe("Stopped");
  });

  it("edits nothing once another worker has the run, and says so at the end", async () => {
    using it = slowHost(0, () => Promise.reject(new Error("taken over")));

    it.reporter.say("one");
    await expect(it.reporter.finish("opened", "Opened", [])).rejects.toThrow("taken over");

    expect(it.begun).toEqual([]);
  });

  it("goes on after an edit that failed, and reports only the final one's failure", async () => {
    using host = createLocalHost();
    let failing = true;
    const write = (body: string) =>
      failing ? Promise.reject(new Error("502")) : host.forge.ensureComment(7, statusMark, body);
    const reporter = createReporter({ write, marker, everyMs: 0, guard: async () => {}, facts: () => [] });

    reporter.say("lost");
    await expect(
      createReporter({ write, marker, everyMs: 0, guard: async () => {}, facts: () => [] }).finish("gave-up", "x", []),
    ).rejects.toThrow("502");
    failing = false;
    reporter.say("two");

    await expect.poll(() => headerOf(host.comments.get(`7 ${statusMark}`)?.body ?? "")).toBe("two");
    await reporter.finish("gave-up", "Stopped", []);
  });

  it("has no edit under way and begins none once it is disposed of", async () => {
    using it = slowHost();
    let disposed = false;

    it.reporter.say("one");
    await expect.poll(() => it.begun).toEqual(["one"]);
    it.reporter.say("two");
    const closing = it.reporter[Symbol.asyncDispose]();
    void Promise.resolve(closing).then(() => (disposed = true));
    expect(disposed).toBe(false);
    it.release();
    await closing;

    expect(it.begun).toEqual(["one"]);
    expect(headerOf(it.shown())).toBe("one");
  });
});
