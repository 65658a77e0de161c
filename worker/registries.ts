import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { git } from "../sandbox/git.ts";
import { inTime } from "../src/in-time.ts";
import { settingsPath } from "../src/settings.ts";
import type { Manifest } from "./manifests.ts";
import { namesRegistries, registriesIn } from "./registry-files.ts";
import type { Named, RegistryFile } from "./registry-files.ts";

/** What `auto` stands for. */
export interface Registries {
  /** Names in lower case, with their port where it is not the usual one. */
  hosts: string[];
  /**
   * Package managers to ask once more, in the set-up network limited to `hosts`: an index tells there where its
   * packages lie. Their answer is read together with the first one.
   */
  askAgain: string[];
  /** Sentences for people: which package managers could not be asked, and what to do. */
  notes: string[];
}

const question = readFileSync(new URL("registries.sh", import.meta.url), "utf8");

/**
 * The command that asks package managers, all of them or the named ones, where they fetch from. It runs in the run's
 * own image, without network, as user 1000, in the tree of a commit that holds nothing of an agent.
 */
export function registryQuestion(names: readonly string[] = []): string[] {
  return ["/bin/sh", "-c", question, "registries", ...names];
}

interface Facts {
  files: readonly RegistryFile[];
  manifests: readonly { path: string }[];
  /** How long the files may take all together. */
  limitMs?: number;
}

/** The registries that the package managers' answers and the repository's own files name. */
export function readRegistries(answer: string, { files, manifests, limitMs = 4000 }: Facts): Registries {
  const inFiles = inTime(() => files.flatMap(registriesIn), limitMs);
  const named = [...linesOf(answer), ...(inFiles ?? [])].flatMap(({ name, url }) => {
    const host = hostOf(url);
    return host === undefined ? [] : [{ name, host }];
  });
  const names = new Set(named.map(({ name }) => name));
  const inUse = named.filter(({ name }) => name !== "pip-default" || !names.has("pip"));
  const tops = manifests.map(({ path }) => path).filter((path) => !path.includes("/"));
  const used = managers.filter(({ file }) => tops.some((path) => file.test(path)));
  const silent = used.filter(({ answers }) => !answers.some((name) => names.has(name)));
  const cargo = names.has("cargo-index") && silent.some(({ title }) => title === "Cargo");
  return {
    hosts: [...new Set(inUse.map(({ host }) => host))].toSorted().slice(0, mostHosts),
    askAgain: cargo ? ["cargo"] : [],
    notes: [...(inFiles === undefined ? [tooLong] : []), ...silent.map(({ title }) => noteOn(title))],
  };
}

/** The texts of those manifests that may name registries. They are read at once, and nothing is checked out. */
export async function readRegistryFiles(mirror: string, manifests: readonly Manifest[]): Promise<RegistryFile[]> {
  const wanted = manifests.filter(({ path }) => namesRegistries(path)).slice(0, mostFiles);
  if (wanted.length === 0) return [];
  const stdin = wanted.map(({ oid }) => `${oid}\n`).join("");
  const out = await git(["cat-file", "--batch=%(objectsize)"], { gitDir: mirror, stdin });
  let at = 0;
  return wanted.map(({ path }) => {
    const start = out.indexOf("\n", at) + 1;
    const end = start + Number(out.toString("latin1", at, start));
    at = end + 1;
    return { path, text: out.toString("utf8", start, Math.min(end, start + mostText)) };
  });
}

const mostHosts = 200;
const mostFiles = 500;
const mostText = 5_000_000;

/** Each package manager that a manifest in the top folder tells of, and the names of the answers that suffice for it. */
const managers: { title: string; file: RegExp; answers: string[] }[] = [
  { title: "npm", file: /^package\.json$/, answers: ["npm", "pnpm", "yarn"] },
  { title: "Yarn", file: /^yarn\.lock$/, answers: ["yarn"] },
  {
    title: "pip",
    file: /^(?:pyproject\.toml|setup\.(?:py|cfg)|Pipfile|.*requirements.*\.txt|(?:uv|poetry|pdm)\.lock)$/,
    answers: ["pip", "pip-default", "uv-lock"],
  },
  { title: "Go", file: /^go\.(?:mod|work)$/, answers: ["go"] },
  { title: "Cargo", file: /^Cargo\.toml$/, answers: ["cargo"] },
  { title: "Bundler", file: /^(?:Gemfile|gems\.rb)$/, answers: ["gem"] },
  { title: "Maven", file: /^pom\.xml$/, answers: ["maven"] },
  { title: "Gradle", file: /^(?:build|settings)\.gradle(?:\.kts)?$/, answers: [] },
  { title: "Composer", file: /^composer\.json$/, answers: [] },
  { title: "Mix", file: /^mix\.exs$/, answers: [] },
  { title: "NuGet", file: /\.(?:cs|fs|vb)proj$|^Directory\.Packages\.props$/, answers: [] },
  { title: "Swift's package manager", file: /^Package\.swift$/, answers: [] },
  { title: "Dart's package manager", file: /^pubspec\.yaml$/, answers: [] },
];

const advice = `Name the hosts in \`${settingsPath}\`: \`network: {setup: [auto, HOST]}\`.`;
const tooLong = `The repository's files that name registries take too long to read. ${advice}`;

function noteOn(title: string): string {
  return `${title} could not be asked in this image where it fetches packages from. ${advice}`;
}

function linesOf(answer: string): Named[] {
  return Array.from(answer.matchAll(/^([a-z-]+) (https?:\/\/\S+)$/gm), ([, name = "", url = ""]) => ({ name, url }));
}

// The proxy of the set-up network lets no address pass.
function hostOf(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) return undefined;
  const host = url.host.replace(/\.(?=$|:)/, "");
  const known = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*(?::\d+)?$/.test(host);
  return known && isIP(url.hostname) === 0 ? host : undefined;
}
