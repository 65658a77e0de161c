import { parse } from "yaml";
import { inTime } from "../src/in-time.ts";
import type { Settings } from "../src/settings.ts";
import type { CommitFiles } from "./checkout.ts";
import { readDevcontainer } from "./devcontainer.ts";
import type { Devcontainer } from "./devcontainer.ts";

/** One command whose exit status says whether the repository is whole. */
export interface Check {
  name: string;
  run: string;
  required: boolean;
  /** What it is about, as globs or folders; default: everything. */
  paths?: string[];
  /** The file in the checkout to which it writes its results per test. */
  report?: string;
}
/** What a run works in, and where each part of it was found. */
export interface Environment {
  image: string | undefined;
  /** Variables of every command in the run's image. */
  env: Record<string, string>;
  setup: string[];
  prepare: string[];
  checks: Check[];
  /** For the run log and the pull request: "settings" or what was detected, and the devcontainer.json in use. */
  from: string;
  /** Sentences for people: what is not used, why, and what to do instead. */
  notes: string[];
}

/**
 * Settings first, else what the manifests of the base commit show. Image and set-up stand in devcontainer.json before
 * that: where it has set-up commands, they replace the detected ones, since its owner said how to set up. No checks
 * means that none was found.
 */
export async function detectEnvironment(files: CommitFiles, settings: Settings): Promise<Environment> {
  const [detected, devcontainer] = await Promise.all([detectTools(files), readDevcontainer(files)]);
  const container = devcontainer ?? noDevcontainer;
  const names = settings.checks === undefined ? detected.map((tool) => tool.name) : ["settings"];
  const from = isUsed(container, settings) ? [...names, container.path] : names;
  return {
    image: settings.image ?? container.image,
    env: container.env,
    setup: settings.setup ?? (container.setup.length > 0 ? container.setup : detected.flatMap((tool) => tool.setup)),
    prepare: settings.prepare,
    checks: settings.checks?.map(toCheck) ?? detected.flatMap((tool) => tool.checks.map(toCheck)),
    from: from.length === 0 ? "nothing" : from.join(", "),
    notes: container.notes,
  };
}

const mostWorkspaces = 50;
/** It becomes a part of a command. */
const plainFolder = /^[\w@][\w@.-]*(?:\/[\w@][\w@.-]*)*$/;
const noDevcontainer: Devcontainer = { path: "", image: undefined, env: {}, setup: [], unused: [], notes: [] };

function isUsed({ image, setup, env }: Devcontainer, settings: Settings): boolean {
  const forImage = settings.image === undefined && image !== undefined;
  const forSetup = settings.setup === undefined && setup.length > 0;
  return forImage || forSetup || Object.keys(env).length > 0;
}

type Asked = NonNullable<Settings["checks"]>[number];

interface Tool {
  name: string;
  setup: string[];
  checks: Asked[];
}

async function detectTools(files: CommitFiles): Promise<Tool[]> {
  const found = await Promise.all([
    detectNode(files),
    detectPython(files),
    detectGo(files),
    detectCargo(files),
    detectJvm(files),
  ]);
  const tools = found.filter((tool) => tool !== undefined);
  const make = tools.some((tool) => tool.checks.length > 0) ? undefined : await detectMake(files);
  return make === undefined ? tools : [...tools, make];
}

async function detectNode(files: CommitFiles): Promise<Tool | undefined> {
  const text = await files.read("package.json");
  if (text === undefined) return undefined;
  const manifest = parseObject(text);
  const hasTest = hasTests(manifest);
  const dependencies = [manifest["dependencies"], manifest["devDependencies"]].some(
    (group) => Object.keys(objectOf(group)).length > 0,
  );
  const { top } = files;
  const has = { test: hasTest, dependencies };
  if (top.includes("pnpm-lock.yaml") || top.includes("pnpm-workspace.yaml"))
    return node(files, manifest, { ...has, ...pnpm });
  if (top.includes("yarn.lock")) return node(files, manifest, { ...has, ...yarn });
  const locked = top.includes("package-lock.json") || top.includes("npm-shrinkwrap.json");
  const install = locked ? "npm ci --no-audit --no-fund" : "npm install --no-package-lock --no-audit --no-fund";
  return node(files, manifest, { ...has, ...npm, install });
}

const npm = { name: "npm", run: "npm test", runIn: (folder: string) => `npm test --workspace ${folder}` };
const pnpm = {
  name: "pnpm",
  install: "npx --yes pnpm install --frozen-lockfile",
  run: "npx pnpm test",
  runIn: (folder: string) => `npx pnpm --dir ${folder} test`,
};
const yarn = {
  name: "yarn",
  install: "npx --yes yarn install --frozen-lockfile",
  run: "npx yarn test",
  runIn: (folder: string) => `npx yarn --cwd ${folder} test`,
};

interface NodeProject {
  name: string;
  install: string;
  run: string;
  runIn: (folder: string) => string;
  test: boolean;
  dependencies: boolean;
}

/** Where the root has no tests of its own, those of its workspaces, each about its folder. */
async function node(files: CommitFiles, manifest: Record<string, unknown>, project: NodeProject): Promise<Tool> {
  const { name, install, run, runIn, test, dependencies } = project;
  const folders = test ? [] : await testedWorkspaces(files, manifest);
  const setup = dependencies || folders.length > 0 ? [install] : [];
  const inFolders = folders.map((folder) => ({
    name: runIn(folder),
    run: runIn(folder),
    required: true,
    paths: [folder],
  }));
  return { name, setup, checks: test ? [run] : inFolders };
}

/** Of workspaces that are named by their folder, or by all folders in one. */
async function testedWorkspaces(files: CommitFiles, manifest: Record<string, unknown>): Promise<string[]> {
  const own = manifest["workspaces"];
  const listed = Array.isArray(own) ? own : objectOf(own)["packages"];
  const told: unknown = listed ?? objectOf(parseYaml((await files.read("pnpm-workspace.yaml")) ?? ""))["packages"];
  const patterns = (Array.isArray(told) ? told : []).filter((one) => typeof one === "string");
  const folders = await Promise.all(patterns.map((pattern) => foldersOf(files, pattern.replace(/^\.\/|\/$/g, ""))));
  const tested = await Promise.all(
    [...new Set(folders.flat())].map(async (folder) => {
      const text = await files.read(`${folder}/package.json`);
      return text !== undefined && hasTests(parseObject(text)) ? [folder] : [];
    }),
  );
  return tested.flat().slice(0, mostWorkspaces);
}

async function foldersOf(files: CommitFiles, pattern: string): Promise<string[]> {
  if (plainFolder.test(pattern)) return [pattern];
  const parent = /^(.+)\/\*\*?$/.exec(pattern)?.[1];
  if (parent === undefined || !plainFolder.test(parent)) return [];
  const names = (await files.list(parent)).filter((name) => name.endsWith("/"));
  return names.map((name) => `${parent}/${name.slice(0, -1)}`).filter((folder) => plainFolder.test(folder));
}

async function detectPython(files: CommitFiles): Promise<Tool | undefined> {
  const { top } = files;
  const project = (await files.read("pyproject.toml")) ?? "";
  const config = `${project}${(await files.read("setup.cfg")) ?? ""}${(await files.read("tox.ini")) ?? ""}`;
  const marked = top.includes("pytest.ini") || top.includes("conftest.py") || config.includes("pytest");
  const tested = marked || top.some((name) => /^test_.*\.py$/.test(name)) || (top.includes("tests/") && isPython(top));
  if (!isPython(top) && !tested) return undefined;
  const pip = "python3 -m pip install --quiet --user --break-system-packages";
  const setup = top.includes("requirements.txt")
    ? [`${pip} -r requirements.txt`]
    : project.includes("[project]")
      ? [`${pip} -e .`]
      : [];
  return { name: "pytest", setup, checks: tested ? ["python3 -m pytest -q"] : [] };
}

function isPython(top: readonly string[]): boolean {
  return ["pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "tox.ini"].some((name) => top.includes(name));
}

async function detectGo({ top }: CommitFiles): Promise<Tool | undefined> {
  return top.includes("go.mod")
    ? { name: "go", setup: top.includes("go.sum") ? ["go mod download"] : [], checks: ["go test ./..."] }
    : undefined;
}

async function detectCargo({ top }: CommitFiles): Promise<Tool | undefined> {
  return top.includes("Cargo.toml")
    ? { name: "cargo", setup: ["cargo fetch"], checks: ["cargo test --offline"] }
    : undefined;
}

async function detectJvm({ top }: CommitFiles): Promise<Tool | undefined> {
  if (top.includes("pom.xml")) {
    const mvn = top.includes("mvnw") ? "sh ./mvnw" : "mvn";
    return { name: "maven", setup: [`${mvn} -q -B dependency:go-offline`], checks: [`${mvn} -q -B -o test`] };
  }
  if (!top.includes("build.gradle") && !top.includes("build.gradle.kts")) return undefined;
  const gradle = top.includes("gradlew") ? "sh ./gradlew" : "gradle";
  return { name: "gradle", setup: [`${gradle} -q testClasses`], checks: [`${gradle} -q --offline test`] };
}

async function detectMake(files: CommitFiles): Promise<Tool | undefined> {
  const text = (await files.read("Makefile")) ?? (await files.read("makefile")) ?? (await files.read("GNUmakefile"));
  const target = ["test", "check"].find((name) => new RegExp(`^${name}\\s*:(?!=)`, "m").test(text ?? ""));
  return target === undefined ? undefined : { name: "make", setup: [], checks: [`make ${target}`] };
}

function toCheck(check: Asked): Check {
  return typeof check === "string"
    ? { name: check, run: check, required: true }
    : {
        name: check.name,
        run: check.run,
        required: check.required,
        ...(check.paths.length === 0 ? {} : { paths: check.paths }),
        ...(check.report === undefined ? {} : { report: check.report }),
      };
}

function hasTests(manifest: Record<string, unknown>): boolean {
  const test = objectOf(manifest["scripts"])["test"];
  return typeof test === "string" && !test.includes("no test specified");
}

function parseYaml(text: string): unknown {
  try {
    // Some short texts take it minutes.
    return inTime(() => parse(text) as unknown, 1000);
  } catch {
    return undefined;
  }
}

function parseObject(text: string): Record<string, unknown> {
  try {
    return objectOf(JSON.parse(text.replace(/^\uFEFF/, "")));
  } catch {
    return {};
  }
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
