import { expect, test } from "vitest";
import { createEngine } from "../../sandbox/engine.ts";
import { createKeptTrees } from "../../sandbox/kept.ts";
import { OutageError } from "../../src/errors.ts";
import { createRedact } from "../../src/redact.ts";
import { openRunLog } from "../../src/runlog.ts";
import { defaultSettings } from "../../src/settings.ts";
import { testRepository } from "../sandbox/support.ts";
import { createMirrors, readCommit } from "../../worker/checkout.ts";
import { prepareEnvironment } from "../../worker/environment.ts";
import { assertKept, describeEnd } from "../../worker/container.ts";
import { dataFolder, never } from "./support.ts";

test("a repository without checks is asked for them before an engine is needed", async () => {
  using data = dataFolder();
  using repository = testRepository({ "README.md": "hello\n" });
  const [base = ""] = repository.commits;
  const log = openRunLog(data.path, "run-1");
  const task = {
    runId: "run-1",
    log,
    signal: never,
    settings: defaultSettings,
    files: await readCommit(repository.mirror, base),
    sources: { mirror: repository.mirror },
    setupAt: base,
    isDefault: true,
    base,
  };
  const engine = createEngine({ instance: "none", image: "none", socketPath: `${data.path}/none.sock` });
  const model = {
    reply: () => Promise.reject(new Error("unused")),
    describe: () => Promise.reject(new Error("unused")),
  };

  const mirrors = createMirrors(data.path);
  const kept = createKeptTrees(engine, `${data.path}/kept`);
  const fixed = {
    mirrors,
    kept,
    dataDir: data.path,
    gitEnv: {},
    redact: createRedact([]),
    image: "none",
    egress: { trustedHosts: [] },
  };
  const result = await prepareEnvironment(task, { engine, model, ...fixed });
  log.close();

  expect(result).toMatchObject({ ok: false, outcome: { outcome: "needs-input", cause: "no checks" } });
});

test("a container that went away is an outage; every other ending says something about the command", () => {
  expect(() => assertKept({ end: "sandbox-lost" }, "set-up")).toThrow(OutageError);
  for (const end of ["exited", "timed-out", "killed", "out-of-memory"]) assertKept({ end }, "set-up");
});

test("endings have words for people", () => {
  expect(["timed-out", "out-of-memory", "killed"].map((end) => describeEnd({ end }))).toEqual([
    "stopped at its time limit",
    "ran out of memory",
    "killed",
  ]);
  expect([0, 7].map((code) => describeEnd({ end: "exited", code }))).toEqual(["passed", "exit code 7"]);
});
