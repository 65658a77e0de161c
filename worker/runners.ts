import { baseName, withoutWrappers, words } from "./command.ts";
import type { Word } from "./command.ts";
import type { Format } from "./reports/read.ts";

/** How results per test are had from a check. */
export type Reporting =
  | {
      /** What runs in place of the check's own command, which it ends like. */
      run: string;
      format: Format;
      /** Where the results are. */
      from: "file" | "stdout";
    }
  /** `why`: a part of a sentence after "judged by its exit code:". */
  | { why: string };

export interface RunnerTask {
  /** The file that the runner is to write; letters, digits, "/", "-" and "." alone. */
  file: string;
  /** A file of the commit that the command runs on. */
  read: (path: string) => Promise<string | undefined>;
}

/**
 * Adds a reporter to a command of a runner that is known, by the runner's own flag or variable, also through the scripts
 * of package.json. Where anything is uncertain the command stays as it is.
 */
export async function withReporter(run: string, task: RunnerTask): Promise<Reporting> {
  const found = await findRunner(run, { ...task, folder: "", depth: 0 });
  if ("why" in found) return found;
  const { runner, insert } = found;
  const { exports = [], flags = "" } = runner.added(task.file);
  const lines = exports.map(([name, value]) => `export ${name}="\${${name}:+$${name} }${value}"`);
  return { run: [...lines, flags === "" ? run : insert(flags)].join("\n"), format: runner.format, from: runner.from };
}

interface Runner {
  format: Format;
  from: "file" | "stdout";
  added(file: string): { exports?: [name: string, value: string][]; flags?: string };
  /** Arguments with which it writes a report of its own, or runs no tests. */
  own?: RegExp;
}

const runners = {
  "node --test": {
    format: "junit",
    from: "file",
    // As flags they would have to stand before the first file, which a script's arguments can't.
    added: (file) => ({
      exports: [
        [
          "NODE_OPTIONS",
          `--test-reporter=spec --test-reporter-destination=stdout --test-reporter=junit --test-reporter-destination=${file}`,
        ],
      ],
    }),
    own: /^--test-reporter|^--watch$/,
  },
  vitest: {
    format: "jest",
    from: "file",
    added: (file) => ({ flags: `--reporter=default --reporter=json --outputFile.json=${file}` }),
    own: /^--(?:reporter|outputFile)|^(?:bench|list|init|complete)$/,
  },
  jest: {
    format: "jest",
    from: "file",
    added: (file) => ({ flags: `--json --outputFile=${file}` }),
    own: /^--(?:json|outputFile|listTests|init|showConfig)\b/,
  },
  mocha: {
    format: "mocha",
    from: "file",
    added: (file) => ({ flags: `--reporter=json --reporter-option=output=${file}` }),
    own: /^(?:--reporter|-R|-O)/,
  },
  tape: { format: "tap", from: "stdout", added: () => ({}) },
  pytest: {
    format: "junit",
    from: "file",
    // The other family of its reports names no files.
    added: (file) => ({ exports: [["PYTEST_ADDOPTS", `--junitxml=${file} -o junit_family=xunit1`]] }),
    own: /^--(?:junit-?xml|collect-only|co\b)/,
  },
  "go test": { format: "go", from: "stdout", added: () => ({ flags: "-json" }), own: /^--?(?:json|c|list)\b/ },
  ctest: {
    format: "junit",
    from: "file",
    added: (file) => ({ flags: `--output-junit ${file}` }),
    own: /^--output-junit|^-(?:N|S|M|T|D)$/,
  },
} satisfies Record<string, Runner>;

/** `folder`: of the package, "" or with "/" at its end; undefined outside of the repository. */
type Search = RunnerTask & { folder: string | undefined; depth: number };
/** `append`: what a script's last arguments have to be; undefined where they can't be flags. */
type FoundRunner = { runner: Runner; insert: (flags: string) => string; append?: (flags: string) => string };

const deepest = 5;

async function findRunner(run: string, search: Search): Promise<FoundRunner | { why: string }> {
  const [, change = "", folder = "", rest = run] = /^(\s*cd\s+([\w@./-]+)\s*&&\s*)(.*)$/s.exec(run) ?? [];
  const all = words(rest);
  if (all === undefined) return { why: "it is not one plain command" };
  const at = { ...search, folder: joinFolder(search.folder, folder) };
  const { set, command } = withoutWrappers(all);
  const script = scriptOf(command);
  const found = script === undefined ? direct(rest, { command, set }) : await inScript(rest, script, at);
  if ("why" in found || change === "") return found;
  return { ...found, insert: (flags) => change + found.insert(flags) };
}

interface Command {
  /** From the runner's or the package manager's own name. */
  command: readonly Word[];
  /** The variables that the command sets itself. */
  set: readonly string[];
}

function direct(run: string, { command, set }: Command): FoundRunner | { why: string } {
  const known = runnerOf(command);
  if (known === undefined) return { why: `${nameOf(command)} is no runner whose report is known` };
  const { name, last } = known;
  const runner: Runner = runners[name];
  const args = command.slice(command.indexOf(last) + 1).map(({ text }) => text);
  const own = args.find((word) => runner.own?.test(word) === true);
  if (own !== undefined) return { why: `it has ${own.slice(0, 60)} itself` };
  const variable = (runner.added("").exports ?? []).find(([one]) => set.includes(one))?.[0];
  if (variable !== undefined) return { why: `it sets ${variable} itself` };
  const insert = (flags: string) => `${run.slice(0, last.end)} ${flags}${run.slice(last.end)}`;
  const isOpen = !args.includes("--") && name !== "go test";
  return { runner, insert, ...(isOpen ? { append: (flags: string) => flags } : {}) };
}

function nameOf(command: readonly Word[]): string {
  const name = command
    .slice(0, 2)
    .map(({ text }) => text)
    .join(" ");
  return name === "" ? "it" : name.slice(0, 60);
}

/** The runner that a command calls, and the word after which its arguments begin. */
function runnerOf(command: readonly Word[]): { name: keyof typeof runners; last: Word } | undefined {
  const [first, second] = command;
  if (first === undefined) return undefined;
  const program = baseName(first.text);
  if (program === "node" || program === "nodejs") return nodeRunner(command);
  if (program === "go" && second?.text === "test") return { name: "go test", last: second };
  const isPython = /^python(?:\d[\d.]*)?$/.test(program) && second?.text === "-m";
  const [tool, last] = isPython ? [command[2]?.text, command[2]] : [program, first];
  if (last === undefined) return undefined;
  if (tool === "pytest" || tool === "py.test") return { name: "pytest", last };
  const name = (["vitest", "jest", "mocha", "tape", "ctest"] as const).find((one) => one === tool);
  return name === undefined ? undefined : { name, last };
}

const optionsWithValue = new Set([
  "-r",
  "--require",
  "--import",
  "--loader",
  "--experimental-loader",
  "--env-file",
  "-C",
]);

/** `node --test`, or node with the program of a runner. */
function nodeRunner(command: readonly Word[]): ReturnType<typeof runnerOf> {
  let at = 1;
  for (; command[at]?.text.startsWith("-") === true; at++) {
    const word = command[at];
    if (word?.text === "--test") return { name: "node --test", last: word };
    if (optionsWithValue.has(word?.text ?? "")) at++;
  }
  const last = command[at];
  const program = /(?:^|\/)node_modules\/(?:\.bin\/)?(vitest|jest|mocha|tape)(?:\/|\.m?js$|$)/.exec(
    last?.text ?? "",
  )?.[1];
  const name = (["vitest", "jest", "mocha", "tape"] as const).find((one) => one === program);
  return name === undefined || last === undefined ? undefined : { name, last };
}

interface Script {
  manager: "npm" | "pnpm" | "yarn";
  name: string;
  folder: string;
  hasDashes: boolean;
}

/** The script of package.json that a command of a package manager runs, if it is one and nothing else of it is unknown. */
function scriptOf(command: readonly Word[]): Script | undefined {
  const [first, ...rest] = command.map(({ text }) => text);
  const manager = (["npm", "pnpm", "yarn"] as const).find((one) => one === first);
  if (manager === undefined) return undefined;
  const dashes = rest.indexOf("--");
  const { folder, plain } = withoutOptions(dashes < 0 ? rest : rest.slice(0, dashes));
  const name = scriptName(manager, plain);
  return name === "" || name.startsWith("-") ? undefined : { manager, name, folder, hasDashes: dashes >= 0 };
}

function withoutOptions(all: readonly string[]): { folder: string; plain: string[] } {
  let folder = "";
  const plain: string[] = [];
  for (let at = 0; at < all.length; at++) {
    const word = all[at] ?? "";
    const [flag = "", value] = word.split("=", 2);
    if (["--silent", "-s", "--if-present"].includes(word)) continue;
    if (["--prefix", "-C", "--dir", "--cwd"].includes(flag)) folder = value ?? all[++at] ?? "";
    else plain.push(word);
  }
  return { folder, plain };
}

function scriptName(manager: Script["manager"], plain: readonly string[]): string {
  const isRun = /^run(?:-script)?$/.test(plain[0] ?? "");
  const [verb = "", ...args] = isRun ? plain.slice(1) : plain;
  // npm takes flags that stand before the dashes for its own.
  if (manager === "npm" && args.some((word) => word.startsWith("-"))) return "";
  if (!isRun && /^(?:test|t|tst)$/.test(verb)) return "test";
  return isRun || manager !== "npm" ? verb : "";
}

async function inScript(run: string, script: Script, search: Search): Promise<FoundRunner | { why: string }> {
  const { manager, name, hasDashes } = script;
  const folder = joinFolder(search.folder, script.folder);
  const text = folder === undefined ? undefined : scriptIn(await search.read(`${folder}package.json`), name);
  if (text === undefined) return { why: `the script ${name} is not in package.json` };
  if (search.depth >= deepest) return { why: "its scripts call each other" };
  const found = await findRunner(text, { ...search, folder, depth: search.depth + 1 });
  if ("why" in found) return { why: `of the script ${name}: ${found.why}` };
  const { append, runner } = found;
  if (append === undefined) {
    if (runner.added("").flags === undefined) return { runner, insert: () => run };
    return { why: `of the script ${name}: it takes no more flags at its end` };
  }
  const dashes = manager === "npm" && !hasDashes ? "-- " : "";
  const further = (flags: string) => dashes + append(flags);
  return { runner, insert: (flags) => `${run.trimEnd()} ${further(flags)}`, append: further };
}

function scriptIn(manifest: string | undefined, name: string): string | undefined {
  try {
    const { scripts } = JSON.parse(manifest?.replace(/^\uFEFF/, "") ?? "{}") as { scripts?: Record<string, unknown> };
    const text = Object.entries(scripts ?? {}).find(([key]) => key === name)?.[1];
    return typeof text === "string" ? text : undefined;
  } catch {
    return undefined;
  }
}

/** "" or with "/" at its end; undefined outside of the repository. */
function joinFolder(folder: string | undefined, below: string): string | undefined {
  const parts = below.split("/").filter((part) => part !== "" && part !== ".");
  if (folder === undefined || below.startsWith("/") || parts.includes("..")) return undefined;
  return folder + parts.map((part) => `${part}/`).join("");
}
