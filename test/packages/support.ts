import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fetchPackage } from "../../src/demo/cases/fetch-package.ts";
import type { Engine } from "../../sandbox/engine.ts";
import { measureBaseline } from "../../worker/baseline.ts";
import { verdictOf } from "../../worker/verdict.ts";
import { image } from "../sandbox/support.ts";
import { commitOf, createStage, legAt } from "../end-to-end/support/local.ts";
import { judgeOn } from "../end-to-end/support/judging.ts";

/** Files of a repository by path. */
export type Tree = Record<string, string>;

export interface Judged {
  decision: string | undefined;
  reason: string | undefined;
  /** Tests that pass and fail on the base, where its report tells that. */
  base: { passed: number | undefined; failed: number | undefined };
  /** Names of tests that fail without the change. */
  bites: string[];
}

/** A published version, without packages that it may carry along. */
export async function publishedTree(name: string, version: string): Promise<Tree> {
  const files = Object.entries(await fetchPackage(name, version));
  return Object.fromEntries(
    files.flatMap(([path, { bytes }]) =>
      path.startsWith("node_modules/") ? [] : [[path, Buffer.from(bytes).toString("utf8")]],
    ),
  );
}

/** Packages of the registry, installed without their scripts, as a folder that containers can mount. */
export function installed(packages: Record<string, string>): { folder: string } & Disposable {
  const folder = mkdtempSync(join(tmpdir(), "agent-fix-packages-"));
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ dependencies: packages }));
  const quiet = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
  execFileSync("npm", ["install", "--legacy-peer-deps", ...quiet], { cwd: folder, stdio: "pipe" });
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}

export interface Change {
  base: Tree;
  head: Tree;
  prepare?: string[];
  check: string;
  /** Where `node_modules` come from, or nothing. */
  modules?: string;
  image?: string;
  title: string;
}

/** What the gate says of one historical change, with a real baseline. */
export async function judgeChange(engine: Engine, change: Change): Promise<Judged> {
  const { base, head, prepare = [], check, title, modules, image: used = image } = change;
  const mounts = modules === undefined ? [] : [{ hostDir: modules, at: "/packages", readOnly: true as const }];
  const setup = modules === undefined ? "true" : "cp -r /packages/node_modules .";
  await using stage = await createStage(engine, { ".gitignore": "node_modules\n", ...base }, setup, {
    mounts,
    image: used,
  });
  const baseline = await measureBaseline(engine, legAt(stage, stage.base, [check], { image: used, prepare }));
  const { events } = await judgeOn(engine, stage, {
    change: await commitOf(stage, writing(base, head)),
    baseline,
    checks: [check],
    title,
    prepare,
    image: used,
  });
  const gate = events.findLast((event) => event.type === "gate");
  const verdict = gate?.verdict && verdictOf(gate.verdict, gate.checks);
  const tests = baseline.results[0]?.tests;
  return {
    decision: verdict?.decision,
    reason: gate?.reason,
    base: { passed: tests?.passed, failed: tests?.failed },
    bites: verdict?.bite.kind === "bites" ? verdict.bite.failing : [],
  };
}

/** The commands that make one tree of the other. */
function writing(base: Tree, head: Tree): string {
  const paths = Object.keys({ ...base, ...head }).filter((path) => base[path] !== head[path]);
  return paths.map((path) => writingOf(path, head[path])).join("\n");
}

function writingOf(path: string, text: string | undefined): string {
  const quoted = `'${path.replaceAll("'", String.raw`'\''`)}'`;
  if (text === undefined) return `rm ${quoted}`;
  return `mkdir -p "$(dirname ${quoted})" && base64 -d >${quoted} <<'END'\n${Buffer.from(text).toString("base64")}\nEND`;
}
