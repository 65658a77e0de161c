import type { Settings } from "../src/settings.ts";
import type { CommitFiles } from "./checkout.ts";
import { readDevcontainer } from "./devcontainer.ts";
import type { Devcontainer } from "./devcontainer.ts";

/** One command whose exit status says whether the repository is whole. */
export interface Check {
  name: string;
  run: string;
  required: boolean;
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

const noDevcontainer: Devcontainer = { path: "", image: undefined, env: {}, setup: [], unused: [], notes: [] };

function isUsed({ image, setup, env }: Devcontainer, settings: Settings): boolean {
  const forImage = settings.image === undefined && image !== undefined;
  const forSetup = settings.setup === undefined && setup.length > 0;
  return forImage || forSetup || Object.keys(env).length > 0;
}

interface Tool {
  name: string;
  setup: string[];
  checks: string[];
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
  const test = objectOf(manifest["scripts"])["test"];
  const hasTest = typeof test === "string" && !test.includes("no test specified");
  const dependencies = [manifest["dependencies"], manifest["devDependencies"]].some(
    (group) => Object.keys(objectOf(group)).length > 0,
  );
  const { top } = files;
  if (top.includes("pnpm-lock.yaml"))
    return node("pnpm", "npx --yes pnpm install --frozen-lockfile", "npx pnpm test", { hasTest, dependencies });
  if (top.includes("yarn.lock"))
    return node("yarn", "npx --yes yarn install --frozen-lockfile", "npx yarn test", { hasTest, dependencies });
  const locked = top.includes("package-lock.json") || top.includes("npm-shrinkwrap.json");
  const install = locked ? "npm ci --no-audit --no-fund" : "npm install --no-package-lock --no-audit --no-fund";
  return node("npm", install, "npm test", { hasTest, dependencies });
}

function node(
  name: string,
  install: string,
  test: string,
  { hasTest, dependencies }: { hasTest: boolean; dependencies: boolean },
): Tool {
  return { name, setup: dependencies ? [install] : [], checks: hasTest ? [test] : [] };
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

function toCheck(check: NonNullable<Settings["checks"]>[number]): Check {
  return typeof check === "string"
    ? { name: check, run: check, required: true }
    : {
        name: check.name,
        run: check.run,
        required: check.required,
        ...(check.report === undefined ? {} : { report: check.report }),
      };
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
