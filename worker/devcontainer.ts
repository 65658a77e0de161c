import { parse } from "jsonc-parser";
import type { ParseError } from "jsonc-parser";
import { quote } from "../sandbox/quote.ts";
import { repoDir } from "../sandbox/workspace.ts";
import type { CommitFiles } from "./checkout.ts";

/** What a devcontainer.json says about the inside of the container. Nothing of it acts on the host or its engine. */
export interface Devcontainer {
  path: string;
  image: string | undefined;
  env: Record<string, string>;
  /** `onCreateCommand`, `updateContentCommand` and `postCreateCommand`, in this order, for a POSIX shell. */
  setup: string[];
  /** The keys that are there and not used. */
  unused: string[];
  /** Sentences for people: what is not used, why, and what to do instead. */
  notes: string[];
}

/** Reads the repository's devcontainer.json as data; undefined where it has none, or several in folders. Never throws for its text. */
export async function readDevcontainer(files: CommitFiles): Promise<Devcontainer | undefined> {
  for (const path of [".devcontainer/devcontainer.json", ".devcontainer.json"]) {
    const text = await files.read(path);
    if (text !== undefined) return parseDevcontainer(path, text);
  }
  const folders = (await files.list(".devcontainer")).filter((name) => name.endsWith("/"));
  const paths = folders.map((folder) => `.devcontainer/${folder}devcontainer.json`);
  const texts = await Promise.all(paths.map(async (path) => ({ path, text: await files.read(path) })));
  const [only, ...others] = texts.filter(({ text }) => text !== undefined);
  return only?.text === undefined || others.length > 0 ? undefined : parseDevcontainer(only.path, only.text);
}

/** A text that can't be read gives a note and nothing else. */
export function parseDevcontainer(path: string, text: string): Devcontainer {
  const config = parseObject(text);
  if ("problem" in config) {
    const notes = [`\`${path}\` is not used: ${config.problem}.`];
    return { path, image: undefined, env: {}, setup: [], unused: [], notes };
  }
  const { value } = config;
  const notes: string[] = [];
  const image = readImage(value["image"], notes);
  const env = readEnv(value["containerEnv"], notes);
  const setup = ["onCreateCommand", "updateContentCommand", "postCreateCommand"].flatMap((key) =>
    readCommands(key, value[key], { env, notes }),
  );
  const refused = refusedKeys(value);
  return {
    path,
    image,
    env,
    setup,
    unused: refused.flatMap(({ keys }) => keys),
    notes: [
      ...refused.map(({ keys, reason }) => `${listed(keys)} of \`${path}\` ${isOrAre(keys)} not used: ${reason}.`),
      ...notes.map((note) => `\`${path}\`: ${note}.`),
    ],
  };
}

function parseObject(text: string): { value: Record<string, unknown> } | { problem: string } {
  if (text.length > maxTextLength) return { problem: `it is longer than ${maxTextLength} characters` };
  const clean = text.replace(/^\uFEFF/, "");
  const errors: ParseError[] = [];
  try {
    const value: unknown = parse(clean, errors, { allowTrailingComma: true });
    const [first] = errors;
    if (first !== undefined) {
      const line = clean.slice(0, first.offset).split("\n").length;
      return { problem: `it is not JSON with comments (line ${line})` };
    }
    return isObject(value) ? { value } : { problem: "it holds no object" };
  } catch (error) {
    // The parser calls itself for every level.
    if (error instanceof RangeError) return { problem: "it is nested too deeply" };
    throw error;
  }
}

const refusals: { keys: readonly string[]; reason: string }[] = [
  {
    keys: ["build", "dockerFile", "context", "features", "overrideFeatureInstallOrder"],
    reason: "that would build on the host's engine. Build the image elsewhere and name it in `image`",
  },
  { keys: ["dockerComposeFile", "service", "runServices"], reason: "a run has one container, and starts no services" },
  { keys: ["initializeCommand"], reason: "that would run on the host" },
  {
    keys: ["runArgs", "mounts", "workspaceMount", "workspaceFolder", "privileged", "capAdd", "securityOpt", "appPort"],
    reason: "the shape of the sandbox is fixed",
  },
  { keys: ["remoteUser", "containerUser"], reason: "every command runs as user 1000, without root" },
  { keys: ["remoteEnv"], reason: "only `containerEnv` is. Put the variables there" },
  {
    keys: ["postStartCommand", "postAttachCommand"],
    reason: "what runs in every new container stands in `prepare` of the settings",
  },
];

function refusedKeys(value: Record<string, unknown>) {
  return refusals
    .map(({ keys, reason }) => ({ keys: keys.filter((key) => says(key, value[key])), reason }))
    .filter(({ keys }) => keys.length > 0);
}

// A key that asks for nothing, or for what a run has anyhow, needs no sentence.
function says(key: string, value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === "") return false;
  if (key === "remoteUser" || key === "containerUser")
    return typeof value !== "string" || /^(?:root|0)(?::|$)/.test(value);
  return typeof value !== "object" || Object.keys(value).length > 0;
}

function readImage(value: unknown, notes: string[]): string | undefined {
  if (value === undefined) return undefined;
  const image = typeof value === "string" ? substitute(value) : undefined;
  if (image?.dropped.length === 0 && /^[^\s$]+$/.test(image.text)) return image.text;
  notes.push("`image` is not used: it is not the name of an image");
  return undefined;
}

const maxTextLength = 65_536;
const maxValueLength = 32_768;

// The set-up network is reached through these, and home is where what set-up installs is kept.
const reserved =
  /^(?:home|(?:https?|all|ftp|no)_proxy|npm_config_(?:proxy|https?_proxy|noproxy|cafile)|node_use_env_proxy|node_extra_ca_certs|ssl_cert_(?:file|dir)|curl_ca_bundle|requests_ca_bundle|pip_cert|pip_proxy|git_ssl_cainfo|cargo_http_(?:cainfo|proxy))$/i;

function readEnv(value: unknown, notes: string[]): Record<string, string> {
  if (value === undefined) return {};
  if (!isObject(value)) {
    notes.push("`containerEnv` is not used: it is not an object");
    return {};
  }
  const env = new Map<string, string>();
  for (const [name, given] of Object.entries(value)) {
    const read = readVariable(name, given, env);
    if ("problem" in read) notes.push(`\`containerEnv.${shown(name)}\` is not used: ${read.problem}`);
    else env.set(name, read.text);
  }
  return Object.fromEntries(env);
}

function readVariable(name: string, value: unknown, env: ReadonlyMap<string, string>) {
  if (!/^[A-Za-z_]\w*$/.test(name) || name === "__proto__") return { problem: "that is no name of a variable" };
  if (reserved.test(name)) return { problem: "the sandbox sets it itself" };
  if (typeof value !== "string") return { problem: "its value is no text" };
  const { text, dropped } = substitute(value, env);
  if (dropped.length > 0) return { problem: `${listed(dropped)} ${isOrAre(dropped)} not known in the sandbox` };
  if (text.includes("\0") || text.length > maxValueLength) return { problem: "its value is too long or holds a NUL" };
  return { text };
}

function readCommands(
  key: string,
  value: unknown,
  { env, notes }: { env: Record<string, string>; notes: string[] },
): string[] {
  const commands = isObject(value) ? Object.values(value) : value === undefined || value === null ? [] : [value];
  return commands.flatMap((command) => {
    const line = lineOf(command, new Map(Object.entries(env)));
    if (line === undefined || line.text.includes("\0")) {
      notes.push(`a command of \`${key}\` is not used: it is neither a text nor a list of texts`);
      return [];
    }
    if (line.dropped.length > 0)
      notes.push(`${listed(line.dropped)} in \`${key}\` ${isOrAre(line.dropped)} empty: nothing of the host is read`);
    return line.text.trim() === "" ? [] : [line.text];
  });
}

function lineOf(command: unknown, env: ReadonlyMap<string, string>): Filled | undefined {
  if (typeof command === "string") return substitute(command, env, "shell");
  if (!Array.isArray(command) || !command.every((word) => typeof word === "string")) return undefined;
  const words = command.map((word: string) => substitute(word, env));
  return {
    text: words.map(({ text }) => (/^[\w./:=@%+-]+$/.test(text) ? text : quote(text))).join(" "),
    dropped: words.flatMap(({ dropped }) => dropped),
  };
}

interface Filled {
  text: string;
  /** The variables without a value here. They became empty. */
  dropped: string[];
}

/** Fills in the format's own variables. In a shell's text, the shell itself knows those of the image. */
function substitute(text: string, env: ReadonlyMap<string, string> = new Map(), where?: "shell"): Filled {
  const dropped: string[] = [];
  const pattern = /\$\{(\w+)(?::([A-Za-z_]\w*)(?::([^}]*))?)?\}/g;
  // Behind the last brace the pattern would look for one from every beginning.
  const end = text.lastIndexOf("}") + 1;
  const filled = text.slice(0, end).replaceAll(pattern, (whole, kind: string, name?: string, other?: string) => {
    if (name === undefined) return folders.get(kind) ?? whole;
    if (!["localEnv", "env", "containerEnv"].includes(kind)) return whole;
    const known = kind === "containerEnv" ? env.get(name) : undefined;
    if (kind === "containerEnv" && known === undefined && where === "shell")
      return other === undefined ? `\${${name}}` : `\${${name}:-${other}}`;
    const value = known ?? other;
    if (value === undefined) dropped.push(whole);
    return value ?? "";
  });
  return { text: filled + text.slice(end), dropped };
}

const repoName = repoDir.split("/").at(-1) ?? "";
const folders = new Map([
  ["workspaceFolder", repoDir],
  ["containerWorkspaceFolder", repoDir],
  ["localWorkspaceFolder", repoDir],
  ["containerWorkspaceFolderBasename", repoName],
  ["localWorkspaceFolderBasename", repoName],
]);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function listed(words: readonly string[]): string {
  return words.map((word) => `\`${shown(word)}\``).join(", ");
}

function isOrAre(words: readonly string[]): string {
  return words.length === 1 ? "is" : "are";
}

// It goes into a comment: no mark-up, no new lines, not long.
function shown(word: string): string {
  return word.replaceAll(/[^\w${}:.-]/g, "?").slice(0, 80);
}
