// npm run bench -- NAME [--json]: measures our way beside the usual ones in the same run, and prints medians.
import { parseArgs } from "node:util";
import { cache } from "./cache.ts";
import { gate } from "./gate.ts";
import { measure, type Row, type Suite } from "./harness.ts";
import { loop } from "./loop.ts";
import { parser } from "./parser.ts";
import { changes } from "./sandbox/changes.ts";
import { commands } from "./sandbox/commands.ts";
import { label } from "./sandbox/label.ts";
import { lifecycle } from "./sandbox/lifecycle.ts";
import { tree } from "./sandbox/tree.ts";

const parts: Record<string, Suite> = { commands, tree, changes, lifecycle, label };
// Each part alone too: all of them take a quarter of an hour.
const alone = Object.entries(parts).map(([name, suite]): [string, Suite[]] => [name, [suite]]);
const suites = new Map<string, Suite[]>([
  ["sandbox", Object.values(parts)],
  ...alone,
  ["parser", [parser]],
  ["cache", [cache]],
  ["loop", [loop]],
  ["gate", gate],
]);

const { positionals, values } = parseArgs({ allowPositionals: true, options: { json: { type: "boolean" } } });
const chosen = suites.get(positionals[0] ?? "");
if (chosen === undefined) {
  console.error(`usage: npm run bench -- ${[...suites.keys()].join("|")} [--json]`);
  process.exitCode = 2;
} else {
  process.exitCode = (await runAll(chosen)) ? 0 : 1;
}

/** Whether every goal was met. */
async function runAll(suites: readonly Suite[]): Promise<boolean> {
  let met = true;
  if (!values.json) print(["measure", "value", "beside it", "ratio", "goal", ""]);
  for (const suite of suites) {
    await using stack = new AsyncDisposableStack();
    for (const bench of await suite(stack)) {
      for (const row of await measure(bench)) {
        met &&= row.met !== false;
        if (values.json) console.log(JSON.stringify(row));
        else print(cells(row));
      }
    }
  }
  return met;
}

function cells({ measure, value, unit, beside, ratio, goal, met }: Row): string[] {
  const verdict = met === null ? "" : met ? "met" : "MISSED";
  return [measure, `${value} ${unit}`, `${beside.value} ${unit} (${beside.what})`, `${ratio} x`, goal ?? "", verdict];
}

function print([measure = "", value = "", beside = "", ...rest]: string[]): void {
  const [ratio = "", goal = "", verdict = ""] = rest;
  const line = [measure.padEnd(46), value.padEnd(16), beside.padEnd(40), ratio.padEnd(10), goal.padEnd(16), verdict];
  console.log(line.join(" ").trimEnd());
}
