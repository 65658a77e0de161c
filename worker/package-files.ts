/** A manifest or lock file, as data. */
export interface PackageFile {
  path: string;
  text: string;
}
/** One package that a manifest or lock file names. */
export interface Package {
  name: string;
  version: string;
  /** The content's hash, else where it comes from; empty where the file says neither. */
  source: string;
  /** It has an install script and is not optional, as far as the format says so. */
  script: boolean;
}

/**
 * The packages of a manifest or lock file; undefined where its format is unknown or it can't be read. Never throws, and
 * takes time in proportion to the text: agents write these files. So only what package managers write themselves is
 * understood, line by line; a YAML parser takes minutes for some short texts.
 */
export function packagesIn({ path, text }: PackageFile): Package[] | undefined {
  try {
    return (
      formatOf(path)
        // Package managers skip a byte order mark too.
        ?.read(text.replace(/^\u{FEFF}/u, ""))
        .filter(({ name }) => name !== "")
        .map(bounded)
    );
  } catch {
    return undefined;
  }
}

/** Whether a file beside this one says more exactly which packages are installed. */
export function isLoose(path: string): boolean {
  return formatOf(path)?.loose === true;
}

interface Format {
  file: RegExp;
  read: (text: string) => Package[];
  loose?: true;
}

const formats: Format[] = [
  { file: /(?:^|\/)(?:package-lock|npm-shrinkwrap)\.json$/, read: readNpm },
  // Ranges, not versions.
  { file: /(?:^|\/)package\.json$/, read: readPackageJson, loose: true },
  { file: /(?:^|\/)yarn\.lock$/, read: readYarn },
  { file: /(?:^|\/)pnpm-lock\.yaml$/, read: readPnpm },
  { file: /(?:^|\/)[^/]*(?:requirements|constraints)[^/]*\.(?:txt|in)$/, read: readRequirements },
  { file: /(?:^|\/)requirements\/[^/]+\.(?:txt|in)$/, read: readRequirements },
  { file: /(?:^|\/)(?:poetry|uv|pdm)\.lock$/, read: readToml },
  // What has no source is the repository's own.
  { file: /(?:^|\/)Cargo\.lock$/, read: (text) => readToml(text).filter(({ source }) => source !== "") },
  { file: /(?:^|\/)go\.mod$/, read: readGoMod },
  // Also versions that are compared only.
  { file: /(?:^|\/)go\.sum$/, read: readGoSum, loose: true },
  { file: /(?:^|\/)(?:Gemfile\.lock|gems\.locked)$/, read: readGems },
  { file: /(?:^|\/)composer\.lock$/, read: readComposer },
];

function formatOf(path: string): Format | undefined {
  return formats.find(({ file }) => file.test(path));
}

function bounded({ name, version, source, script }: Package): Package {
  return { name: name.slice(0, 200), version: version.slice(0, 100), source, script };
}

function readNpm(text: string): Package[] {
  const lock = objectOf(JSON.parse(text));
  if (lock["packages"] === undefined) return readOldNpm(lock);
  return Object.entries(objectOf(lock["packages"])).flatMap(([path, value]) => {
    const entry = objectOf(value);
    const at = path.lastIndexOf("node_modules/");
    // Elsewhere are the repository's own packages.
    if (at === -1 || entry["link"] === true) return [];
    const script = entry["hasInstallScript"] === true && entry["optional"] !== true;
    const name = textOf(entry["name"]) || path.slice(at + "node_modules/".length);
    return [{ name, version: textOf(entry["version"]) || textOf(entry["resolved"]), source: npmSource(entry), script }];
  });
}

function readOldNpm(lock: Fields): Package[] {
  const found: Package[] = [];
  // Not recursive: how deep this goes, the text decides.
  const left = [lock];
  for (let owner = left.pop(); owner !== undefined; owner = left.pop()) {
    for (const [name, value] of Object.entries(objectOf(owner["dependencies"]))) {
      const entry = objectOf(value);
      const version = textOf(entry["version"]);
      found.push({ ...unalias(name, version), source: npmSource(entry), script: false });
      left.push(entry);
    }
  }
  return found;
}

function npmSource(entry: Fields): string {
  return textOf(entry["integrity"]) || textOf(entry["resolved"]);
}

/** `npm:other@1.0.0` as a version means another package. */
function unalias(name: string, version: string): { name: string; version: string } {
  const other = version.startsWith("npm:") ? version.slice(4) : "";
  const at = other.indexOf("@", 1);
  return at === -1 ? { name, version } : { name: other.slice(0, at), version: other.slice(at + 1) };
}

function readPackageJson(text: string): Package[] {
  const manifest = objectOf(JSON.parse(text));
  const lists = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];
  return lists
    .flatMap((list) => Object.entries(objectOf(manifest[list])))
    .map(([name, range]) => ({ ...unalias(name, textOf(range)), source: "", script: false }));
}

/** Version 1 has `name@range:` and `version "1.0.0"`, later ones `"name@npm:range":` and `version: 1.0.0`. */
function readYarn(text: string): Package[] {
  const field = /^ {2}"?(version|resolved|resolution|integrity)"?:? +"?([^"]*)/;
  const entries = readEntries(text, {
    header: (line) => (/^[^\s#:]/.test(line) ? line.replace(/^(?:\? )?"?/, "") : undefined),
    field: (line) => field.exec(line)?.slice(1),
  });
  return entries.flatMap(({ header, fields }) => {
    const descriptor = fields.get("resolution") ?? header.split(/[",]/, 1)[0] ?? "";
    const at = descriptor.indexOf("@", 1);
    const [own, range] = [descriptor.slice(0, at), descriptor.slice(at + 1)];
    const version = fields.get("version");
    if (at === -1 || version === undefined || range.startsWith("workspace:")) return [];
    const name = fields.has("resolution") ? own : unalias(own, range).name;
    const source = fields.get("integrity") ?? fields.get("resolved") ?? range;
    return [{ name, version, source, script: false }];
  });
}

/** Keys are `name@1.0.0` since version 9, `/name@1.0.0(peer@1.0.0)` in 6, `/name/1.0.0` before. */
function readPnpm(text: string): Package[] {
  let section = "";
  const field = /^ {4}(name|version|resolution|requiresBuild|optional): *(.*)/;
  const entries = readEntries(text, {
    header: (line) => {
      if (/^\S/.test(line)) section = line;
      const key = section === "packages:" ? /^ {2}(\S.*):(?: \{\})?$/.exec(line)?.[1] : undefined;
      return key?.replaceAll(/^['"]?\/?|['"]$/g, "");
    },
    field: (line) => (section === "packages:" ? field.exec(line)?.slice(1) : undefined),
  });
  return entries.map(({ header, fields }) => {
    const key = header.split("(", 1)[0] ?? "";
    const parts = /^(@[^@/]+\/[^@/]+|[^@/]+)@(.*)/.exec(key) ?? /^(@[^/]+\/[^/]+|[^/]+)\/([^_]*)/.exec(key);
    const name = fields.get("name") ?? parts?.[1] ?? key;
    const version = fields.get("version") ?? parts?.[2] ?? "";
    const script = fields.get("requiresBuild") === "true" && fields.get("optional") !== "true";
    return { name: unquoted(name), version: unquoted(version), source: fields.get("resolution") ?? "", script };
  });
}

function readRequirements(text: string): Package[] {
  return linesOf(text).flatMap((raw) => {
    const line = (raw.split(/(?:^|\s)#/, 1)[0] ?? "").trim();
    const address = /^(?:-e|--editable)[\s=]+(\S+)/.exec(line)?.[1] ?? /^[a-z+]+:\/\/\S+/i.exec(line)?.[0];
    if (address !== undefined) return [{ name: address, version: "", source: "", script: false }];
    const [all = "", own = ""] = /^([a-z0-9][\w.-]*)(?:\[[^\]]*\])?/i.exec(line) ?? [];
    if (own === "") return [];
    const wanted = (line.slice(all.length).split(/;| --|\\$/, 1)[0] ?? "").trim();
    const version = wanted === "" ? "any version" : wanted.replace(/^={2,3}\s*/, "");
    return [{ name: own.toLowerCase().replaceAll(/[-_.]+/g, "-"), version, source: "", script: false }];
  });
}

/** The `[[package]]` tables of a lock file. */
function readToml(text: string): Package[] {
  let table = "";
  const entries = readEntries(text, {
    header: (line) => {
      if (line.startsWith("[")) table = line;
      return line === "[[package]]" ? line : undefined;
    },
    field: (line) => {
      const [, key = "", value = ""] = /^"?(name|version|source|checksum|url)"? *= *(.+)/.exec(line) ?? [];
      const isOwn = table === (key === "url" ? "[package.source]" : "[[package]]");
      return isOwn && key !== "" ? [key, unquoted(value)] : undefined;
    },
  });
  return entries.flatMap(({ fields }) => {
    const source = fields.get("checksum") ?? fields.get("source") ?? fields.get("url") ?? "";
    const name = fields.get("name");
    // So does uv name the repository's own packages.
    if (name === undefined || /^\{ *(?:virtual|editable) *=/.test(source)) return [];
    return [{ name, version: fields.get("version") ?? "", source, script: false }];
  });
}

function readGoMod(text: string): Package[] {
  let block = "";
  return linesOf(text).flatMap((raw) => {
    const words = (raw.split(/(?:^|\s)\/\//, 1)[0] ?? "").trim().split(/\s+/);
    if (words[1] === "(" || words[0] === ")") {
      block = words[1] === "(" ? (words[0] ?? "") : "";
      return [];
    }
    const [verb, name = "", ...rest] = block === "" ? words : [block, ...words];
    const version = verb === "replace" ? rest.slice(rest.indexOf("=>")).join(" ") : rest.join(" ");
    const isPackage = (verb === "require" || verb === "replace") && name !== "";
    return isPackage ? [{ name: unquoted(name), version, source: "", script: false }] : [];
  });
}

function readGoSum(text: string): Package[] {
  return linesOf(text).flatMap((line) => {
    const [name = "", version = "", source = ""] = line.split(" ", 3);
    return source === "" || version.endsWith("/go.mod") ? [] : [{ name, version, source, script: false }];
  });
}

function readGems(text: string): Package[] {
  let section = "";
  let source = "";
  return linesOf(text).flatMap((line) => {
    if (/^[A-Z]/.test(line)) [section, source] = [line, ""];
    else if (/^ {2}(?:remote|revision): /.test(line)) source += line;
    // PATH is the repository's own.
    if (section !== "GEM" && section !== "GIT") return [];
    const [, name, version = ""] = /^ {4}([^\s(]+) \(([^)]+)\)$/.exec(line) ?? [];
    return name === undefined ? [] : [{ name, version, source, script: false }];
  });
}

function readComposer(text: string): Package[] {
  const lock = objectOf(JSON.parse(text));
  return [lock["packages"], lock["packages-dev"]]
    .flatMap((list): unknown[] => (Array.isArray(list) ? list : []))
    .map(objectOf)
    .map((entry) => {
      const source = textOf(objectOf(entry["dist"])["url"]) || textOf(objectOf(entry["source"])["url"]);
      return { name: textOf(entry["name"]), version: textOf(entry["version"]), source, script: false };
    });
}

interface Entry {
  header: string;
  fields: Map<string, string>;
}
interface Lines {
  /** What the line begins an entry with, if it does. */
  header: (line: string) => string | undefined;
  /** The name and value of a field, if the line has one. */
  field: (line: string) => string[] | undefined;
}

function readEntries(text: string, { header, field }: Lines): Entry[] {
  const entries: Entry[] = [];
  for (const line of linesOf(text)) {
    const begun = header(line);
    if (begun !== undefined) entries.push({ header: begun, fields: new Map() });
    const [name, value] = field(line) ?? [];
    if (name !== undefined && value !== undefined) entries.at(-1)?.fields.set(name, value);
  }
  return entries;
}

/** Long lines are lists of hashes or of ranges, whose beginning is enough. */
function linesOf(text: string): string[] {
  return text.split("\n").map((line) => line.slice(0, 2000).trimEnd());
}

function unquoted(text: string): string {
  return text.replaceAll(/^["']|["']$/g, "");
}

type Fields = Record<string, unknown>;

function objectOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
