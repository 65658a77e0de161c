import { appendFile, mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import type { Flaky } from "./baseline.ts";
import { isFlaky } from "./compare.ts";
import type { Ran } from "./compare.ts";

/**
 * What a run saw of one test, or of a whole check, on one commit. `flaky`: it ended otherwise than before on the same
 * commit, or failed where it is known for that. `asked`: a run that was to mend it came to its end by itself.
 */
export interface Sighting {
  saw: "flaky" | "asked";
  run: string;
  leg: "base" | "head";
  commit: string;
}
export interface Seen extends Flaky {
  /** In the last 30 days. */
  times: number;
  /** ISO 8601. */
  last: string;
}

/** What the gate saw ending otherwise in one repository, kept in DATA_DIR/flaky for 30 days. */
export interface Ledger {
  note(sighting: Sighting, tests: readonly Flaky[]): Promise<void>;
  /** What was seen since another run than this one mended it or tried to, or if none did; most often seen first. */
  seen(run: string): Promise<Seen[]>;
}

const keepMs = 30 * 24 * 3600_000;
const mostLines = 4000;
/** One leg in which everything fell over tells little. */
const mostNoted = 200;

const line = z.object({
  at: z.iso.datetime(),
  run: z.string(),
  saw: z.enum(["flaky", "asked"]),
  check: z.string(),
  test: z.object({ name: z.string(), file: z.string().exactOptional() }).exactOptional(),
});
type Line = z.infer<typeof line>;

/** The ledger of the repository with this mirror, which all workers of a machine share. */
export function createLedger(dataDir: string, mirror: string): Ledger {
  const folder = folderOf(dataDir);
  const path = join(folder, `${basename(mirror, ".git")}.jsonl`);
  return {
    async note(sighting, tests) {
      if (tests.length === 0) return;
      const at = new Date().toISOString();
      const lines = tests.slice(0, mostNoted).map((test) => JSON.stringify({ at, ...sighting, ...test }));
      await mkdir(folder, { recursive: true, mode: 0o700 });
      // The newline comes first, so that a line which was torn takes no other with it.
      await appendFile(path, lines.map((one) => `\n${one}`).join(""), { mode: 0o600 });
    },
    async seen(run) {
      const byTest = Map.groupBy(linesIn(await read(path)), ({ line }) => keyOf(line));
      const all = [...byTest.values()].flatMap((lines) =>
        seenIn(
          lines.map(({ line }) => line),
          run,
        ),
      );
      return all.toSorted((one, other) => other.times - one.times || other.last.localeCompare(one.last));
    },
  };
}

/** Removes what is older than 30 days, and the oldest of more than a few thousand lines. */
export async function trimLedgers(dataDir: string): Promise<void> {
  const folder = folderOf(dataDir);
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    const text = await read(path);
    const kept = linesIn(text).map(({ text }) => `\n${text}`);
    if (kept.length === 0) await rm(path, { force: true });
    else if (kept.length < text.split("\n").filter(Boolean).length) {
      // A sighting that another worker notes in between is lost, and seen again if it matters.
      await writeFile(`${path}.new`, kept.join(""), { mode: 0o600 });
      await rename(`${path}.new`, path);
    }
  }
}

/** The tests and checks that fail here, and are known to do as they like. */
export function failingAgain(flaky: readonly Flaky[], ran: readonly Ran[]): Flaky[] {
  return flaky.filter((one) =>
    ran.some(({ check, tests = [] }) =>
      one.test === undefined
        ? one.check === check.name && !check.passed && check.notRun !== true
        : tests.some((test) => test.status === "failed" && isFlaky([one], check, test)),
    ),
  );
}

/** The same for one test in any list. */
export function keyOf({ check, test }: Flaky): string {
  return JSON.stringify([check, test?.file, test?.name]);
}

function folderOf(dataDir: string): string {
  return join(dataDir, "flaky");
}

async function read(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  });
}

/** Those that are whole and young enough, in their order. */
function linesIn(text: string): { line: Line; text: string }[] {
  const since = Date.now() - keepMs;
  const all = text.split("\n").flatMap((text) => {
    const line = text === "" ? undefined : parseLine(text);
    return line === undefined || Date.parse(line.at) < since ? [] : [{ line, text }];
  });
  return all.slice(-mostLines);
}

function parseLine(text: string): Line | undefined {
  try {
    return line.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function seenIn(lines: readonly Line[], run: string): Seen[] {
  const asked = lines.findLastIndex((one) => one.saw === "asked" && one.run !== run);
  const last = lines.findLast(({ saw }, index) => saw === "flaky" && index > asked);
  if (last === undefined) return [];
  const { at, saw: _saw, run: _run, ...test } = last;
  return [{ ...test, times: lines.filter(({ saw }) => saw === "flaky").length, last: at }];
}
