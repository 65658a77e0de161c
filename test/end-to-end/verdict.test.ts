import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Engine } from "../../sandbox/engine.ts";
import { OutageError } from "../../src/errors.ts";
import type { RunEvent } from "../../src/runlog.ts";
import type { Judged } from "../../worker/judge.ts";
import { testEngine } from "../sandbox/support.ts";
import { judgeOn } from "./support/judging.ts";
import { commitOf, createStage, expectNothingLeft, legOf } from "./support/local.ts";

let engine: Engine;
beforeEach(() => {
  engine = testEngine();
});
afterEach(async () => {
  await expectNothingLeft(engine);
});

const test = (name: string, body: string) => `test("${name}", () => { ${body} });\n`;
const head = `const { test } = require("node:test");\nconst assert = require("node:assert");\nconst { sum, product } = require("../sum.js");\n`;
const product = test("multiplies", "assert.equal(product(2, 3), 6);");
const adds = test("adds", "assert.equal(sum(1, 2), 3);");
const files = {
  "package.json": '{"scripts": {"test": "node --test test/*.test.js"}}\n',
  "README.md": "# sum\n",
  "sum.js": "exports.sum = (a, b) => a - b;\nexports.product = (a, b) => a * b;\n",
  "test/product.test.js": head + product,
};
const mended = "sed -i 's/a - b/a + b/' sum.js";
const write = (path: string, text: string) => `cat >${path} <<'END'\n${text}END`;

interface Judging {
  checks?: string[];
  title?: string;
  mayAskForTest?: boolean;
  /** What is told of every event. */
  onEvent?: (event: RunEvent) => void;
  /** The engine that the change's own legs run on. */
  on?: Engine;
}

/** What the gate says of what these commands change in a repository. */
async function judge(repository: Record<string, string>, commands: string, options: Judging = {}) {
  await using stage = await createStage(engine, repository);
  const { checks = ["npm test"], title = "The sum is wrong", mayAskForTest = true } = options;
  const { onEvent = () => {}, on = engine } = options;
  const { judged, events } = await judgeOn(on, stage, {
    change: await commitOf(stage, commands),
    baseline: { results: await legOf(stage, stage.base, checks), flaky: [] },
    checks,
    title,
    mayAskForTest,
    onEvent,
  });
  const gate = events.findLast((event) => event.type === "gate");
  const legs = events.flatMap((event) => (event.type === "checks" ? event.leg : []));
  return { judged, verdict: gate?.verdict, passed: gate?.passed, legs };
}

function endOf({ judged, verdict }: { judged: Judged; verdict: { decision: string } | undefined }): string {
  return `${judged.kind}: ${verdict?.decision}`;
}

describe("the gate's verdict on a repository of node's own tests", () => {
  it("is ready for a mend whose test fails without it, and names the test", async () => {
    const result = await judge(files, `${mended}\n${write("test/sum.test.js", head + adds)}`);

    expect(endOf(result)).toBe("done: ready");
    expect(result.verdict?.bite).toEqual({ kind: "bites", failing: ["adds"], of: 1 });
    expect(result.verdict?.rows).toMatchObject([
      { word: "still-pass", tests: { "still-pass": { count: 1 }, "new-pass": { count: 1, names: ["adds"] } } },
    ]);
    expect(result.legs).toEqual(["head", "bite"]);
  });

  it("is ready for a test in a file that can't be loaded without the change", async () => {
    const loads = `${head}const { quotient } = require("../quotient.js");\n${test("divides", "assert.equal(quotient(6, 3), 2);")}`;
    const result = await judge(
      files,
      `echo 'exports.quotient = (a, b) => a / b;' >quotient.js\n${write("test/quotient.test.js", loads)}`,
    );

    expect(endOf(result)).toBe("done: ready");
    expect(result.verdict?.bite).toEqual({ kind: "bites", failing: ["divides"], of: 1 });
  });

  it("asks for a test that fails without the change where the one that there is does not, and is a draft after that", async () => {
    const commands = `${mended}\n${write("test/sum.test.js", head + test("adds nothing", "assert.equal(sum(0, 0), 0);"))}`;
    const first = await judge(files, commands);
    const second = await judge(files, commands, { mayAskForTest: false });

    expect([endOf(first), first.passed]).toEqual(["without-test: draft", false]);
    expect(first.verdict?.bite).toEqual({ kind: "green-on-base", tests: ["adds nothing"] });
    expect([endOf(second), second.passed]).toEqual(["done: draft", true]);
    expect(second.verdict?.reason).toContain("the change's tests pass without the change as well");
  });

  it("asks for a test where a mend has none, and runs nothing on the base for that", async () => {
    const result = await judge(files, mended);

    expect(endOf(result)).toBe("without-test: draft");
    expect(result.verdict?.bite).toEqual({ kind: "no-test" });
    expect(result.legs).toEqual(["head"]);
  });

  it("asks for none where a test of the base failed and passes now, nor for documentation, nor where a refactoring was asked for", async () => {
    const known = await judge({ ...files, "test/sum.test.js": head + adds }, mended);
    const documents = await judge(files, "echo more >>README.md");
    const refactoring = await judge(files, "sed -i 's/(a, b) => a - b/(x, y) => x - y/' sum.js", {
      title: "Refactor sum",
    });

    expect([known, documents, refactoring].map(endOf)).toEqual(["done: ready", "done: ready", "done: ready"]);
    expect(known.verdict?.bite).toEqual({ kind: "bites", failing: ["adds"] });
    expect(documents.verdict).toMatchObject({ claim: "documentation", bite: { kind: "nothing" } });
    expect(refactoring.verdict).toMatchObject({ claim: "refactoring", bite: { kind: "nothing" } });
  });

  it("takes no test for mended that the change itself made pass", async () => {
    const wrong = test("adds", "assert.equal(sum(1, 2), 3);");
    const right = test("adds", "assert.equal(sum(1, 2), -1);");
    const result = await judge(
      { ...files, "test/sum.test.js": head + wrong },
      `echo 'exports.more = 1;' >>sum.js\n${write("test/sum.test.js", head + right)}`,
    );

    expect(result.verdict?.bite).toMatchObject({ kind: "green-on-base" });
    expect(endOf(result)).toBe("without-test: draft");
  });

  it("is a rejection where another test breaks, with its name and the way it fails", async () => {
    const result = await judge(
      files,
      `sed -i 's/a - b/a + b/; s/a \\* b/a + b/' sum.js\n${write("test/sum.test.js", head + adds)}`,
    );

    expect(endOf(result)).toBe("rejected: rejected");
    expect(result.judged).toMatchObject({ goesBack: true, cause: "gate rejected", kept: { verdict: {} } });
    expect(result.verdict?.reason).toContain("`npm test`: one test that passed before the change fails or is gone");
    expect(result.judged).toMatchObject({ output: expect.stringMatching(/regressed: 1 \(multiplies\)[^]*5 == 6/) });
    expect(result.legs).toEqual(["head"]);
  });

  it("is a rejection, by the look at the files, where a test is deleted, and no branch is kept of it", async () => {
    const result = await judge(
      { ...files, "test/product.test.js": head + product + adds.replace("3", "-1") },
      `${mended}\n${write("test/product.test.js", head + product)}`,
    );

    expect(endOf(result)).toBe("rejected: rejected");
    expect(result.verdict?.reason).toBe("the change has what no change may have: deleted-test");
    expect(result.judged).not.toHaveProperty("kept");
  });

  it("is a rejection where a test of the base is no longer run though its file is still there", async () => {
    const result = await judge(
      { ...files, "test/sum.test.js": head + test("is odd", "assert.equal(sum(3, 2), 1);") },
      `${mended}\nsed -i 's/^exports.sum/if (process.argv[1]?.endsWith("sum.test.js")) process.exit(0);\\nexports.sum/' sum.js`,
    );

    expect(endOf(result)).toBe("rejected: rejected");
    expect(result.verdict?.rows).toMatchObject([{ word: "regressed", tests: { regressed: { names: ["is odd"] } } }]);
  });

  it("charges a test that was red before to nobody, and opens the pull request", async () => {
    const result = await judge(
      { ...files, "test/odd.test.js": head + test("is red", "assert.equal(1, 2);") },
      `${mended}\n${write("test/sum.test.js", head + adds)}`,
    );

    expect(endOf(result)).toBe("done: ready");
    expect(result.verdict?.rows).toMatchObject([
      { word: "known-red", excused: true, tests: { "known-red": { count: 1, names: ["is red"] } } },
    ]);
    expect(result.verdict?.bite).toEqual({ kind: "bites", failing: ["adds"], of: 1 });
  });

  it("is no fault of the change where a check without results per test was red before, and goes back once for that", async () => {
    const result = await judge(files, `${mended}\n${write("test/sum.test.js", head + adds)}`, {
      checks: ["npm test", "test -e never"],
    });

    expect(endOf(result)).toBe("rejected: already-red");
    expect(result.judged).toMatchObject({ goesBack: true, cause: "already red" });
    expect(result.verdict?.reason).toBe("`test -e never` fails, as it did before the change (exit code 1)");
  });

  it("goes by the exit code where there are no results per test", async () => {
    const script = (expected: string) => `require('assert').equal(require('../sum.js').sum(1, 2), ${expected});\n`;
    const repository = { ...files, "test/all.test.sh": "for file in test/*.check.test.js; do node $file; done\n" };
    const run = "sh -e test/all.test.sh";
    const checked = { ...repository, "test/a.check.test.js": "" };
    const bites = await judge(checked, `${mended}\n${write("test/b.check.test.js", script("3"))}`, { checks: [run] });
    const green = await judge(
      checked,
      `${mended}\n${write("test/b.check.test.js", script("sum"))}`.replace("sum);", "require('../sum.js').sum(1, 2));"),
      {
        checks: [run],
      },
    );

    expect(bites.verdict?.bite).toEqual({ kind: "bites", failing: [run] });
    expect(green.verdict?.bite).toEqual({ kind: "green-on-base", tests: [] });
  });

  it.each(["head", "bite"])(
    "is none where the %s leg loses its container: the run is to be taken again",
    async (leg) => {
      const on: Engine = {
        ...engine,
        async runOnce(spec, signal) {
          const ended = await engine.runOnce(spec, signal);
          const { stdout, stdoutTruncated, output, durationMs } = ended;
          return spec.labels.role === `check-${leg}`
            ? { end: "sandbox-lost", stdout, stdoutTruncated, output, durationMs }
            : ended;
        },
      };
      const events: RunEvent["type"][] = [];

      const judging = judge(files, `${mended}\n${write("test/sum.test.js", head + adds)}`, {
        on,
        onEvent: ({ type }) => events.push(type),
      });

      await expect(judging).rejects.toThrow(new OutageError("the container of the check npm test disappeared"));
      expect(events).not.toContain("gate");
    },
  );
});
