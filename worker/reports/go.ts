import { createCollection, joined } from "./results.ts";
import type { Place, Report, TestResult } from "./results.ts";

interface Event {
  Action?: unknown;
  Package?: unknown;
  ImportPath?: unknown;
  Test?: unknown;
  Output?: unknown;
}
interface Test {
  path: string[];
  status: TestResult["status"] | "running";
  output: string;
}

const statuses: Partial<Record<string, Test["status"]>> = {
  run: "running",
  pass: "passed",
  fail: "failed",
  skip: "skipped",
};
const longestOutput = 4_000;
const deepest = 50;

/**
 * What `go test -json` writes. Subtests and the tests around them are results each, as in go's own output; a test that
 * began and never ended has failed, and so has a package that failed by itself (it was not built).
 */
export function readGo(text: string, root: string): Report {
  const collection = createCollection(root);
  const tests = new Map<string, Test>();
  const lines: { text: string; of: Test | undefined }[] = [];
  let whole = true;
  for (const line of text.split("\n")) {
    const event = eventIn(line);
    if (event === undefined) {
      if (line !== "") lines.push({ text: `${line}\n`, of: undefined });
      whole &&= !line.startsWith('{"');
      continue;
    }
    const test = testOf(event, tests);
    if (typeof event.Output === "string") {
      lines.push({ text: event.Output, of: test });
      if (test !== undefined && test.output.length < longestOutput) test.output += event.Output.slice(0, longestOutput);
    }
    const status = typeof event.Action === "string" ? statuses[event.Action] : undefined;
    if (test !== undefined && status !== undefined) test.status = status;
  }
  const [packages, own] = partition([...tests.values()]);
  const failedIn = new Set(own.flatMap(({ path, status }) => (isFailed(status) ? [path[0]] : [])));
  // Where no test explains it, a package's failure is a result of its own.
  const bare = packages.filter(({ path, status }) => status === "failed" && !failedIn.has(path[0]));
  for (const { path, status, output } of [...own, ...bare]) {
    const name = path.slice(0, deepest).reduce(joined, "");
    const found = { name, status: status === "running" ? ("failed" as const) : status, message: output };
    if (!collection.add({ ...found, at: placeIn(output, path[0]) })) break;
  }
  const said = lines.filter(({ of }) => of === undefined || of.path.length === 1 || of.status !== "passed");
  const report = collection.report(whole ? undefined : "its last line is not whole");
  return { ...report, said: said.map((line) => line.text).join("") };
}

/** Go names the file without its folder, which is the package's. */
function placeIn(output: string, within = ""): Place | undefined {
  const match = /^ +([^\s:/]{1,200}_test\.go):(\d{1,7}): /m.exec(output);
  return match === null ? undefined : { file: `${within}/${match[1]}`, line: Number(match[2]) };
}

function eventIn(line: string): Event | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const event = JSON.parse(line) as Event;
    return typeof event.Action === "string" ? event : undefined;
  } catch {
    return undefined;
  }
}

/** The test, or the package, that an event is about. */
function testOf({ Package: name, Test: test }: Event, tests: Map<string, Test>): Test | undefined {
  if (typeof name !== "string") return undefined;
  const path = typeof test === "string" ? [name, ...test.split("/")] : [name];
  const key = path.join("\0");
  const known = tests.get(key);
  if (known !== undefined) return known;
  const made: Test = { path, status: "skipped", output: "" };
  tests.set(key, made);
  return made;
}

function partition(tests: readonly Test[]): [Test[], Test[]] {
  return [tests.filter(({ path }) => path.length === 1), tests.filter(({ path }) => path.length > 1)];
}

function isFailed(status: Test["status"]): boolean {
  return status === "failed" || status === "running";
}
