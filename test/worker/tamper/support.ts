import type { Change } from "../../../sandbox/changes.ts";
import type { Base, Pair } from "../../../worker/tamper/pairs.ts";
import { pairsOf } from "../../../worker/tamper/pairs.ts";

type Side = string | Buffer | { mode: "100755" | "120000" | "160000"; text: string } | undefined;

/** A change and its base, each path with what was there and what is there now. */
export function changeFrom(files: Record<string, readonly [Side, Side]>): { changes: Change[]; base: Base } {
  const before = new Map<string, Buffer>();
  const tracked = new Map<string, { mode: string }>();
  const changes: Change[] = [];
  for (const [path, [was, is]] of Object.entries(files)) {
    if (was !== undefined) {
      before.set(path, bytesOf(was));
      tracked.set(Buffer.from(path).toString("latin1"), { mode: modeOf(was) });
    }
    const mode = is === undefined ? "deleted" : modeOf(is);
    if (is === undefined || mode === "deleted") changes.push({ path, mode: "deleted" });
    else if (mode !== "160000") changes.push({ path, mode, bytes: bytesOf(is) });
  }
  return { changes, base: { before: async (path) => before.get(path), tracked } };
}

export function pairsFrom(files: Record<string, readonly [Side, Side]>): Promise<Pair[]> {
  const { changes, base } = changeFrom(files);
  return pairsOf(changes, base);
}

function modeOf(side: Exclude<Side, undefined>): "100644" | "100755" | "120000" | "160000" {
  return typeof side === "string" || Buffer.isBuffer(side) ? "100644" : side.mode;
}

function bytesOf(side: Exclude<Side, undefined>): Buffer {
  if (Buffer.isBuffer(side)) return side;
  return Buffer.from(typeof side === "string" ? side : side.text);
}
