import { readFileSync } from "node:fs";
import { lstat } from "node:fs/promises";
import type { Engine, Mount } from "./engine.ts";
import { helperFailure, runHelper } from "./helper.ts";
import { type Contents, listTree, type Listing, type Place, readTree, type Request, type Tracked } from "./walk.ts";
import type { Workspace } from "./workspace.ts";

/** Looks into a workspace: from the host where the engine's volumes are in reach, else in a helper container. */
export interface Reader {
  list(tracked: Tracked, most: number): Promise<Listing>;
  read(paths: readonly string[], mostBytes: number): Promise<Contents>;
}

const limitMs = 300_000;
// One text of both: a helper has no file of ours.
const [folders = "", walk = ""] = ["folders.ts", "walk.ts"].map((name) =>
  readFileSync(new URL(name, import.meta.url), "utf8").replaceAll(/^import [^;]* from "\.\/[^;]*;\n/gm, ""),
);
const script = `${folders}\n${walk}\nserve();`;

export async function openReader(engine: Engine, workspace: Workspace, signal?: AbortSignal): Promise<Reader> {
  const place = placeOf(workspace, ({ mountpoint }) => mountpoint);
  return (await isInReach(place)) ? hostReader(place) : helperReader(engine, workspace, signal);
}

/** Where a workspace's tree and layers are, each volume being at the folder that `at` tells. */
function placeOf({ volume, upper, copyOf, layers }: Workspace, at: (volume: Workspace["volume"]) => string): Place {
  const repo = (one: Workspace["volume"]) => `${at(one)}/repo`;
  return {
    tree: repo(volume),
    lowers: layers.filter((layer) => layer !== upper && layer !== volume).map(repo),
    ...(upper === undefined ? {} : { upper: repo(upper) }),
    ...(copyOf === undefined ? {} : { reference: repo(copyOf) }),
  };
}

// An overlay is mounted only while a container uses it.
async function isInReach({ tree }: Place): Promise<boolean> {
  return lstat(tree).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

function hostReader(place: Place): Reader {
  return {
    list: async (tracked, most) => listTree(place, tracked, most),
    read: async (paths, mostBytes) => readTree(place.tree, paths, mostBytes),
  };
}

function helperReader(engine: Engine, workspace: Workspace, signal: AbortSignal | undefined): Reader {
  const { volume, upper, copyOf, layers, run } = workspace;
  const others = [...new Set([upper, copyOf, ...layers])].filter((one) => one !== undefined && one !== volume);
  const folder = (one: Workspace["volume"]) => (one === volume ? "/workspace" : `/layers/${others.indexOf(one)}`);
  const place = placeOf(workspace, folder);
  const seen = [volume, ...others].flatMap((one) => one ?? []);
  const mounts: Mount[] = seen.map((one) => ({ volume: one.name, at: folder(one), readOnly: true }));

  async function ask(request: Request, maxStdoutBytes: number): Promise<{ answer: unknown; rest: Buffer }> {
    const what = { run, role: "changes", interpreter: "node" as const, script, args: [], mounts, timeoutMs: limitMs };
    const stdin = Buffer.from(JSON.stringify(request));
    const result = await runHelper(engine, { ...what, stdin, maxStdoutBytes, maxOutputBytes: 4_000 }, signal);
    const lineEnd = result.stdout.indexOf("\n");
    if (result.end !== "exited" || result.code !== 0 || result.stdoutTruncated || lineEnd < 0) {
      throw helperFailure("read the tree", result);
    }
    const line = result.stdout.subarray(0, lineEnd).toString("utf8");
    return { answer: JSON.parse(line), rest: result.stdout.subarray(lineEnd + 1) };
  }

  return {
    async list(tracked, most) {
      const request = { ask: "list" as const, place, tracked: [...tracked], most };
      return (await ask(request, most * 4_500)).answer as Listing;
    },
    async read(paths, mostBytes) {
      if (paths.length === 0) return new Map();
      const request = { ask: "read" as const, tree: place.tree, paths: [...paths], mostBytes };
      const { answer, rest } = await ask(request, mostBytes + paths.length * 4_500 + 1_000);
      return contentsIn(answer as { refused: "too large" } | { entries: [string, string, number][] }, rest);
    },
  };
}

function contentsIn(
  answer: { refused: "too large" } | { entries: [string, string, number][] },
  rest: Buffer,
): Contents {
  if ("refused" in answer) return answer;
  let start = 0;
  return new Map(
    answer.entries.map(([path, mode, length]) => {
      const bytes = rest.subarray(start, start + length);
      start += length;
      return [path, { mode, bytes }];
    }),
  );
}
