import { randomUUID } from "node:crypto";
import { createEngine, type Engine } from "../../../sandbox/engine.ts";
import { createKeptTrees } from "../../../sandbox/kept.ts";
import { openRunLog } from "../../../src/runlog.ts";
import { parseSettings, settingsPath } from "../../../src/settings.ts";
import { commitOf, createMirrors, readCommit } from "../../../worker/checkout.ts";
import { prepareEnvironment } from "../../../worker/environment.ts";
import type { Tools } from "../../../worker/run.ts";
import { openWorkplace, type Workplace } from "../../../worker/workplace.ts";
import { createUpstream, image, openFolder, type Upstream } from "../support.ts";
import { createRedact } from "../../../src/redact.ts";

/** The large repository, its set-up, and what a worker has around a run. */
export interface Place {
  folder: string;
  upstream: Upstream;
  tools: Tools;
  engine: Engine;
  /** What a worker does from picking a job to the tree in which commands run. */
  pick(): Promise<Picked>;
}
export interface Picked extends AsyncDisposable {
  workplace: Workplace;
  mirror: string;
  commit: string;
}

const setup = "mkdir -p node_modules && cd node_modules && for n in $(seq 2000); do echo $n >module-$n.js; done";
export const placeFiles = {
  ".gitignore": "node_modules/\n*.log\n",
  "package.json": "{}\n",
  [settingsPath]: `setup:\n  - ${JSON.stringify(setup)}\nchecks:\n  - "true"\n`,
};

export async function openPlace(stack: AsyncDisposableStack): Promise<Place> {
  const folder = await openFolder(stack);
  const upstream = await createUpstream(folder, placeFiles);
  const engine = createEngine({ instance: `bench-${randomUUID()}`, image });
  const kept = createKeptTrees(engine, `${folder}/kept`);
  stack.defer(() => kept.clear());
  const tools: Tools = {
    engine,
    kept,
    model: { reply: nobody, describe: nobody },
    mirrors: createMirrors(folder),
    dataDir: folder,
    image,
    egress: { trustedHosts: [] },
    gitEnv: {},
    redact: createRedact([]),
  };
  return { folder, upstream, tools, engine, pick: () => pick({ upstream, tools }) };
}

async function pick({ upstream, tools }: Pick<Place, "upstream" | "tools">): Promise<Picked> {
  const { engine } = tools;
  const { signal } = new AbortController();
  await using stack = new AsyncDisposableStack();
  const runId = randomUUID();
  const log = openRunLog(tools.dataDir, runId);
  stack.defer(() => log.close());
  const mirror = await tools.mirrors.fetch({ key: "upstream", url: upstream.gitDir }, signal);
  const commit = await commitOf(mirror, "main");
  if (commit === undefined) throw new Error("the upstream has no commit");
  const read = await readCommit(mirror, commit);
  const settings = parseSettings((await read.read(settingsPath)) ?? "");
  if (!settings.ok) throw new Error(settings.problems.join("\n"));
  const at = { setupAt: commit, isDefault: true, base: commit };
  const sources = { mirror };
  const task = { runId, log, signal, settings: settings.settings, files: read, sources, ...at };
  const result = await prepareEnvironment(task, tools);
  if (!result.ok) throw new Error(result.outcome.detail);
  const prepared = stack.use(result.prepared);
  const own = { settings: settings.settings, egress: tools.egress, log };
  const workplace = stack.use(await openWorkplace({ runId, engine, prepared, sources, base: commit, signal, ...own }));
  const owned = stack.move();
  return { workplace, mirror, commit, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function nobody(): never {
  throw new Error("no model is asked here");
}
