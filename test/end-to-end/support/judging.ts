import type { Engine } from "../../../sandbox/engine.ts";
import { createRedact } from "../../../src/redact.ts";
import type { RunEvent, RunLog, Stamped } from "../../../src/runlog.ts";
import { defaultSettings } from "../../../src/settings.ts";
import type { Baseline } from "../../../worker/baseline.ts";
import type { Leg } from "../../../worker/gate.ts";
import { checkHead } from "../../../worker/judge.ts";
import type { Judged } from "../../../worker/judge.ts";
import { image } from "../../sandbox/support.ts";
import { submission } from "../../worker/support.ts";
import type { commitOf, Stage } from "./local.ts";

/** A change as a run has it, and what its gate is told. */
export interface Judging {
  change: Awaited<ReturnType<typeof commitOf>>;
  baseline: Baseline;
  /** All of them required. */
  checks: readonly string[];
  title: string;
  prepare?: string[];
  image?: string;
  bounds?: Pick<Leg, "limits" | "restMs">;
  /** Default: it may not. */
  mayAskForTest?: boolean;
  /** Told of each event before it is recorded. */
  onEvent?: (event: RunEvent) => void;
}

/** What the real gate says of a change on a stage, and what it recorded. */
export async function judgeOn(
  engine: Engine,
  stage: Stage,
  { change, baseline, checks, title, bounds, image: used = image, ...more }: Judging,
): Promise<{ judged: Judged; events: Stamped[] }> {
  const { prepare = [], mayAskForTest = false, onEvent = () => {} } = more;
  const events: Stamped[] = [];
  const append = async (event: RunEvent) => {
    onEvent(event);
    events.push({ n: events.length, at: "", ...event });
  };
  const log: RunLog = { dir: stage.dir, events, append, close: () => {} };
  await append({ type: "snapshot", hash: "", title, body: "" });
  const required = checks.map((run) => ({ name: run, run, required: true }));
  const environment = { image: used, env: {}, setup: [], prepare, checks: required, from: "settings", notes: [] };
  const { commit, tree: treeId, changes } = change;
  const sources = { ...stage.prepared.sources, extraObjects: [`${stage.path}/objects`] };
  const judged = await checkHead(
    {
      runId: "r",
      kind: "issue",
      log,
      signal: new AbortController().signal,
      settings: defaultSettings,
      base: stage.base,
      repository: stage.path,
      measuring: { baseline: Promise.resolve(baseline) },
      prepared: { image: used, environment },
      ...(bounds !== undefined && { bounds }),
    },
    { engine, redact: createRedact([]) },
    { commit, treeId, changes, layered: stage.prepared, sources, round: 0, submission, mayAskForTest },
  );
  return { judged, events };
}
