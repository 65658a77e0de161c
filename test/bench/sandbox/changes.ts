import { readChanges } from "../../../sandbox/changes.ts";
import { trackedAt } from "../../../sandbox/tracked.ts";
import { repoDir } from "../../../sandbox/workspace.ts";
import { copyWorkspace } from "../../../sandbox/workspace.ts";
import { type Bench, time } from "../harness.ts";
import { image, pathOf, run } from "../support.ts";
import { openPlace } from "./place.ts";

const limits = { memoryBytes: 2 * 2 ** 30, cpus: 2, pids: 512 };
const most = { maxFiles: 1_000, maxBytes: 32 * 2 ** 20 };

/** 13 changed paths: edited, new, binary, deleted, made executable; and 300 new files that are ignored. */
const edits = [
  ...[1, 2, 3, 4].map((file) => `echo edited >>${pathOf(file)}`),
  ...[5, 6].map((file) => `rm ${pathOf(file)}`),
  ...[7, 8].map((file) => `chmod +x ${pathOf(file)}`),
  "mkdir -p src/fresh/deep && echo new >src/fresh/one.js && echo new >src/fresh/deep/two.js && echo new >src/part-1/three.js",
  "head -c 100000 /dev/urandom >src/fresh/picture.bin && head -c 100000 /dev/urandom >src/part-2/picture.bin",
  "mkdir -p node_modules/late && for n in $(seq 150); do echo $n >node_modules/late/$n.js; echo $n >src/part-3/$n.log; done",
];

/** What a run changed, taken out of a large tree, beside git's own look at the same tree. */
export async function changes(stack: AsyncDisposableStack): Promise<Bench[]> {
  const { upstream, tools, engine } = await openPlace(stack);
  const { signal } = new AbortController();
  const mirror = await tools.mirrors.fetch({ key: "upstream", url: upstream.gitDir }, signal);
  const sources = { mirror };
  const ids = (await run("git", ["-C", mirror, "rev-list", "--max-count=10", "main"])).trim().split("\n");
  const [commit = "", ...others] = ids;
  const base = await tools.kept.base(mirror, sources, commit);
  const workspace = stack.use(await copyWorkspace(engine, base, { run: "bench", sources }));
  const { mounts } = workspace;
  const labels = { run: "bench", role: "agent" };
  const sandbox = stack.use(await engine.startSandbox({ image, labels, mounts, cwd: repoDir, limits }));

  const inTree = async (command: string) => {
    const result = await sandbox.exec(command, { cwd: repoDir, timeoutMs: 60_000 });
    if (result.end !== "exited" || result.code !== 0) throw new Error(`${command}: ${JSON.stringify(result)}`);
  };
  const ours = async () => {
    const read = await readChanges(engine, workspace, most);
    if (read.kind === "refused" || read.changes.length !== 13) throw new Error(JSON.stringify(read));
  };
  const forget = async () => {
    for (const other of others) await trackedAt(sources, other);
  };
  // Edits are what comes between most looks; a new file has git asked again about what is ignored.
  const editAgain = () => inTree(`echo more >>${pathOf(1)}`);
  const addAnother = () => inTree("n=$(ls node_modules/late | wc -l); echo $n >node_modules/late/more-$n.js");
  await inTree(`set -e\n${edits.join("\n")}`);

  const row = { measure: "changes() after 13 edits in 5,000 files", unit: "ms", beside: "git status" };
  return [
    {
      rounds: 40,
      contenders: {
        "changes()": async () => {
          await editAgain();
          return time(ours);
        },
        "changes(), one more file": async () => {
          await addAnother();
          return time(ours);
        },
        "changes(), the first of its commit": async () => {
          await forget();
          await addAnother();
          return time(ours);
        },
        "git status": () => time(() => inTree("git status --porcelain")),
      },
      rows: [
        { ...row, value: "changes()", goal: { atMost: 0.5 } },
        { ...row, measure: "the same with one more ignored file", value: "changes(), one more file" },
        { ...row, measure: "the same for the first time", value: "changes(), the first of its commit" },
      ],
    },
  ];
}
