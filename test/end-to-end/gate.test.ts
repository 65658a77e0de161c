import Docker from "dockerode";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Engine } from "../../sandbox/engine.ts";
import { OutageError } from "../../src/errors.ts";
import { runLeg } from "../../worker/gate.ts";
import { obstacleOf } from "../../worker/verdict.ts";
import { testEngine } from "../sandbox/support.ts";
import { commitOf, createStage, expectNothingLeft, legAt, legOf, rowsOf } from "./support/local.ts";

let engine: Engine;
beforeEach(() => {
  engine = testEngine();
});
afterEach(async () => {
  await expectNothingLeft(engine);
});

const files = {
  ".gitignore": "node_modules\n*.local.js\n.npmrc\n",
  "package.json": '{"scripts": {"test": "check test.js"}}\n',
  "sum.js": "exports.sum = (a, b) => a - b;\n",
  "test.js": `const assert = require("node:assert");
try { require("./hooks.local.js"); } catch {}
assert.equal(require("./sum.js").sum(1, 2), 3, "one and two");
`,
};
const setup = `mkdir -p node_modules/.bin
printf '#!/bin/sh\\nexec node "$@"\\n' >node_modules/.bin/check; chmod +x node_modules/.bin/check`;
const other = "echo more >README.md";
const yes = `printf '#!/bin/sh\\nexit 0\\n' >$HOME/yes; chmod +x $HOME/yes`;

describe("a leg of the gate", () => {
  it("is red on the bug and green on its mend", async () => {
    await using stage = await createStage(engine, files, setup);
    const mended = await commitOf(stage, "echo 'exports.sum = (a, b) => a + b;' >sum.js");

    const base = await legOf(stage, stage.base, ["npm test"]);
    const head = await legOf(stage, mended.commit, ["npm test"]);

    expect(base).toMatchObject([{ passed: false, end: "exit code 1", tail: expect.stringContaining("one and two") }]);
    const rows = rowsOf(stage, base, head);
    expect(rows).toMatchObject([{ word: "new-pass" }]);
    expect(obstacleOf(rows, [])).toBeUndefined();
  });

  it.each([
    ["a forged program in node_modules/.bin", `${yes}; cp $HOME/yes node_modules/.bin/check`],
    ["a script-shell in the home folder's .npmrc", `${yes}; echo "script-shell=$HOME/yes" >$HOME/.npmrc`],
    ["a script-shell in an ignored .npmrc", `${yes}; echo "script-shell=$HOME/yes" >.npmrc`],
    ["an exit in an ignored file that the tests load", "echo 'process.exit(0)' >hooks.local.js"],
    [
      "a module that node loads first",
      "echo 'process.exit(0)' >a.local.js; echo 'node-options=--require ./a.local.js' >.npmrc",
    ],
  ])("stays red with %s, although it works in the agent's own container", async (_what, forge) => {
    await using stage = await createStage(engine, files, setup);
    const forged = await commitOf(stage, `${forge}; ${other}`, "npm test");

    const head = await legOf(stage, forged.commit, ["npm test"]);

    expect(forged.tried).toMatchObject({ end: "exited", code: 0 });
    expect(forged.changes.map(({ path }) => path)).toEqual(["README.md"]);
    expect(head).toMatchObject([{ passed: false, end: "exit code 1", tail: expect.stringContaining("one and two") }]);
  });

  it("stays red with a result file at every likely path, and with hooks, profiles and programs beside the tree", async () => {
    await using stage = await createStage(engine, files, setup);
    const forged = await commitOf(
      stage,
      `for place in . .git .agent-fix coverage test-results $HOME /workspace /tmp; do
         mkdir -p $place; for name in result result.json results.json exit-code status junit.xml test-results.xml report.json; do
           echo '{"passed":true,"exitCode":0,"code":0}' >$place/$name; done; echo 0 >$place/exit; done
       ${yes}; for name in node npm sh check git; do mkdir -p $HOME/bin $HOME/.local/bin /workspace/bin
         for place in $HOME/bin $HOME/.local/bin /workspace/bin; do cp $HOME/yes $place/$name; done; done
       for name in .profile .bashrc .bash_profile .shrc .zshenv; do echo 'exit 0' >$HOME/$name; done
       mkdir -p .git/hooks; for hook in post-checkout post-index-change; do cp $HOME/yes .git/hooks/$hook; done
       ${other}`,
    );

    const head = await legOf(stage, forged.commit, ["npm test", "exec 2>/dev/null; echo passed; false"]);

    expect(head.map(({ passed, end }) => ({ passed, end }))).toEqual([
      { passed: false, end: "exit code 1" },
      { passed: false, end: "exit code 1" },
    ]);
  });

  it("names a check that is red before and after, and does not pass it; one that is not required may be red", async () => {
    await using stage = await createStage(engine, files, setup);
    const change = await commitOf(stage, other);
    const checks = ["npm test", { run: "test -e never", required: false }];

    const base = await legOf(stage, stage.base, checks);
    const rows = rowsOf(stage, base, await legOf(stage, change.commit, checks));
    const mended = await commitOf(stage, "echo 'exports.sum = (a, b) => a + b;' >sum.js");

    expect(rows.map(({ word }) => word)).toEqual(["known-red", "known-red"]);
    const reason = "`npm test` fails, as it did before the change (exit code 1)";
    expect(obstacleOf(rows, [])).toEqual({ decision: "already-red", reason });
    expect(obstacleOf(rowsOf(stage, base, await legOf(stage, mended.commit, checks)), [])).toBeUndefined();
  });

  it("gives a check no way to any host, this machine included", async () => {
    let asked = 0;
    const server = createServer((_request, response) => {
      asked++;
      response.end("here\n");
    });
    const listening = Promise.withResolvers<void>();
    server.listen(0, "0.0.0.0", listening.resolve);
    await listening.promise;
    const { port } = server.address() as AddressInfo;
    const addresses = Object.values(networkInterfaces()).flatMap((list) =>
      (list ?? []).filter((one) => one.family === "IPv4"),
    );
    const urls = addresses.map(({ address }) => `http://${address}:${port}/`);
    await using stage = await createStage(engine, files, setup);

    const here = await Promise.all(urls.map(async (url) => (await fetch(url)).text()));
    const before = asked;
    const checks = urls.map(
      (url) => `node -e 'fetch("${url}").catch((e) => { console.log(e.cause); process.exit(7); })'`,
    );
    const head = await legOf(stage, stage.base, [...checks, 'test -z "$(sed 1d /proc/net/route)"']);
    server.close();

    expect(here).toEqual(urls.map(() => "here\n"));
    expect(asked).toBe(before);
    expect(head.map(({ end }) => end)).toEqual([...checks.map(() => "exit code 7"), "passed"]);
  });

  it("runs what is about other paths only while there is time for that, and says what it left out", async () => {
    await using stage = await createStage(engine, files, setup);
    const leg = { ...legAt(stage, stage.base, ["echo own", "echo rest"]), rest: new Set(["echo rest"]) };

    const late = await runLeg(engine, { ...leg, restMs: 0 });
    const early = await runLeg(engine, leg);

    expect(late.map(({ name, end, passed, notRun = false }) => ({ name, end, passed, notRun }))).toEqual([
      { name: "echo own", end: "passed", passed: true, notRun: false },
      { name: "echo rest", end: expect.stringMatching(/^not run: /), passed: false, notRun: true },
    ]);
    expect(early.map(({ end }) => end)).toEqual(["passed", "passed"]);
  });

  it("runs prepare before every check of both legs, and is red when prepare fails", async () => {
    await using stage = await createStage(engine, files, setup);
    const change = await commitOf(stage, "echo 'exports.sum = (a, b) => a + b;' >sum.js");
    const prepare = ["cp sum.js /tmp/built.js"];
    const checks = ["cat /tmp/built.js", "grep -c sum /tmp/built.js"];

    const base = await legOf(stage, stage.base, checks, { prepare });
    const head = await legOf(stage, change.commit, checks, { prepare });
    const without = await legOf(stage, change.commit, checks);
    const failing = await legOf(stage, change.commit, ["true"], { prepare: ["false", "true"] });

    expect(base.map(({ tail }) => tail)).toEqual(["exports.sum = (a, b) => a - b;\n", "1\n"]);
    expect(head.map(({ tail }) => tail)).toEqual(["exports.sum = (a, b) => a + b;\n", "1\n"]);
    expect(without.map(({ passed }) => passed)).toEqual([false, false]);
    expect(failing).toMatchObject([{ passed: false, end: "exit code 1" }]);
  });

  it("begins every check from the clean checkout, so that one check can't prepare the next one's pass", async () => {
    await using stage = await createStage(engine, files, setup);
    const change = await commitOf(stage, other);
    const spoil = `${yes}; cp $HOME/yes node_modules/.bin/check; echo "script-shell=$HOME/yes" >$HOME/.npmrc; echo 'process.exit(0)' >test.js`;

    const head = await legOf(stage, change.commit, [spoil, "npm test"]);

    expect(head.map(({ end }) => end)).toEqual(["passed", "exit code 1"]);
  });

  it("takes no check for passed that kills what it runs in or runs out of memory", async () => {
    await using stage = await createStage(engine, files, setup);
    const small: Engine = {
      ...engine,
      runOnce: (spec, signal) =>
        engine.runOnce({ ...spec, limits: { ...spec.limits, memoryBytes: 256 * 2 ** 20 } }, signal),
    };
    const eat = "node -e 'const all = []; for (;;) all.push(Buffer.alloc(2 ** 24, 1))'";

    const killed = await legOf(stage, stage.base, [
      "kill -KILL $$",
      "kill -TERM $$",
      "kill -KILL -1",
      "kill -TERM 1; cat",
    ]);
    const [hungry] = await legOf(stage, stage.base, [`exec ${eat}`], { engine: small });

    expect(killed.map(({ passed }) => passed)).toEqual([false, false, false, false]);
    expect(hungry).toMatchObject({ passed: false, end: "ran out of memory" });
  });

  it("takes no check for passed whose container is taken away", async () => {
    await using stage = await createStage(engine, files, setup);

    const leg = legOf(stage, stage.base, ["sleep 600"]).then(
      (results) => results.map(({ passed }) => passed),
      (error: unknown) => error,
    );
    const idOf = async () => (await engine.list()).find(({ role }) => role === "check-base")?.id ?? "";
    const runs = async () => {
      const id = await idOf();
      return id !== "" && (await new Docker().getContainer(id).inspect()).State.Running;
    };
    await expect.poll(runs, { timeout: 60_000 }).toBe(true);
    await engine.remove(await idOf());

    // The engine may tell that it was killed before it is gone.
    const end = await leg;
    expect(end instanceof OutageError ? [false] : end).toEqual([false]);
  });
});
