import { parse } from "yaml";

/** A file of the base commit, as data. */
export interface RegistryFile {
  path: string;
  text: string;
}
/** An address that a package manager is configured with, under the name that `registries.sh` uses. */
export interface Named {
  name: string;
  url: string;
}

/** Whether a manifest, by its path, may name registries in a way that can be read without its package manager. */
export function namesRegistries(path: string): boolean {
  return formats.some(({ file }) => file.test(path));
}

/** The registries that a file names. A text of another shape names none. */
export function registriesIn({ path, text }: RegistryFile): Named[] {
  return formats
    .filter(({ file }) => file.test(path))
    .flatMap(({ name, read }) => read(text).map((url) => ({ name, url: url.replace(/^sparse\+/, "") })));
}

interface Format {
  file: RegExp;
  name: string;
  read: (text: string) => string[];
}

const formats: Format[] = [
  { file: /(?:^|\/)\.npmrc$/, name: "npm", read: inLines(/^\s*(?:@[^:\s]+:)?registry\s*=\s*"?([^\s"]+)/g) },
  { file: /(?:^|\/)\.yarnrc$/, name: "yarn", read: inLines(/^\s*"?(?:@[^:\s]+:)?registry"?\s+"?([^\s"]+)/g) },
  { file: /(?:^|\/)\.yarnrc\.ya?ml$/, name: "yarn", read: readYarn },
  // What Yarn 1 fetched, it fetches there again.
  { file: /(?:^|\/)yarn\.lock$/, name: "yarn", read: inLines(/^ {2}resolved "(https?:[^"#]+)/g) },
  { file: /(?:^|\/)pnpm-workspace\.yaml$/, name: "pnpm", read: readPnpm },
  {
    file: /(?:requirements|constraints)[^/]*\.(?:txt|in)$|(?:^|\/)requirements\/[^/]+$/,
    name: "pip-more",
    read: inLines(/^\s*(?:-i|-f|--(?:extra-)?index-url|--find-links)[\s=]+["']?([^\s"']+)/g),
  },
  {
    file: /(?:^|\/)pyproject\.toml$/,
    name: "pip-more",
    read: inSections(/^tool\.(?:uv(?:\.pip|\.index)?|poetry\.source|pdm\.source)$/),
  },
  { file: /(?:^|\/)uv\.toml$/, name: "pip-more", read: inSections(/^(?:pip|index)?$/) },
  { file: /(?:^|\/)Pipfile$/, name: "pip-more", read: inSections(/^source$/) },
  {
    file: /(?:^|\/)uv\.lock$/,
    name: "uv-lock",
    read: inLines(/\bregistry = "(https?:[^"]+)|^(?!source).*?\burl = "(https?:[^"]+)/g),
  },
  {
    file: /(?:^|\/)\.cargo\/config(?:\.toml)?$/,
    name: "cargo-named",
    read: inLines(/^[^#]*\b(?:registry|index)\s*=\s*["']([^"']+)/g),
  },
  {
    file: /(?:^|\/)(?:Gemfile|gems\.rb)$/,
    name: "gem",
    read: inLines(/^[^#]*\bsource(?:\s*=>|:)?[\s(]+["']([^"']+)/g),
  },
  { file: /(?:^|\/)(?:Gemfile\.lock|gems\.locked)$/, name: "gem", read: readGemLock },
  { file: /(?:^|\/)pom\.xml$|(?:^|\/)\.mvn\/[^/]+\.xml$/, name: "maven-named", read: readPom },
  { file: /(?:^|\/)(?:maven|gradle)-wrapper\.properties$/, name: "wrapper", read: readWrapper },
  {
    file: /\.gradle(?:\.kts)?$/,
    name: "gradle",
    read: inLines(/^(?!\s*\/\/).*?\b(?:url|setUrl|maven|uri)\b\s*(?:[=(]\s*)?(?:uri\s*\(\s*)?["']([^"']+)/g),
  },
];

function matching(pattern: RegExp): (text: string) => string[] {
  return (text) =>
    Array.from(text.matchAll(pattern), (match) => match.slice(1).find((part) => part !== undefined) ?? "");
}

const addresses = matching(/(https?:\/\/[^\s"',\]]+)/g);

/** In each line, so that what fits in many ways costs no more than a line. */
function inLines(pattern: RegExp): (text: string) => string[] {
  const inLine = matching(pattern);
  return (text) => linesOf(text).flatMap(inLine);
}

/** Cut where no address would end. */
function linesOf(text: string): string[] {
  return text.split("\n").map((line) => line.slice(0, 2000));
}

/** Addresses in the sections of a TOML file whose header matches; what stands before the first header is section "". */
function inSections(header: RegExp): (text: string) => string[] {
  return (text) => {
    let section = "";
    return linesOf(text).flatMap((line) => {
      const [plain = ""] = line.split(/(?:^|\s)#/, 1);
      const next = /^\s*\[+([^[\]]*)\]+\s*$/.exec(plain)?.[1];
      // An address in a list stands between brackets too.
      if (next !== undefined && !next.includes("://")) section = next.replaceAll(/["'\s]/g, "");
      return header.test(section) ? addresses(plain) : [];
    });
  };
}

function readYarn(text: string): string[] {
  const config = yaml(text);
  const scopes = Object.values(objectOf(config["npmScopes"])).map((scope) => objectOf(scope)["npmRegistryServer"]);
  return [config["npmRegistryServer"], ...scopes].filter((one) => typeof one === "string");
}

function readPnpm(text: string): string[] {
  const config = yaml(text);
  return [config["registry"], ...Object.values(objectOf(config["registries"]))].filter(
    (one) => typeof one === "string",
  );
}

function readGemLock(text: string): string[] {
  const gem = text.split(/^(?=[A-Z])/m).filter((part) => part.startsWith("GEM\n"));
  return gem.flatMap(inLines(/^ {2}remote: (\S+)/g));
}

// Where packages are published to is no registry that they come from.
function readPom(text: string): string[] {
  const uncommented = cutOut(text, "<!--", "-->").outside;
  const plain = cutOut(uncommented, "<distributionManagement>", "</distributionManagement>").outside;
  const blocks = ["repository", "pluginRepository", "mirror"].flatMap(
    (tag) => cutOut(plain, `<${tag}>`, `</${tag}>`).inside,
  );
  return blocks.flatMap(matching(/<url>\s*([^<\s]+)/g));
}

/** What stands between two marks, and the rest. A mark that nothing closes opens nothing. */
function cutOut(text: string, open: string, close: string): { inside: string[]; outside: string } {
  const inside: string[] = [];
  const outside: string[] = [];
  let at = 0;
  for (;;) {
    const start = text.indexOf(open, at);
    const end = start === -1 ? -1 : text.indexOf(close, start + open.length);
    if (end === -1) break;
    outside.push(text.slice(at, start));
    inside.push(text.slice(start + open.length, end));
    at = end + close.length;
  }
  return { inside, outside: [...outside, text.slice(at)].join("") };
}

function readWrapper(text: string): string[] {
  return inLines(/^\s*(?:distributionUrl|wrapperUrl)\s*[=:]\s*(\S+)/g)(text).map((url) => url.replaceAll("\\", ""));
}

function yaml(text: string): Record<string, unknown> {
  try {
    // The parser takes minutes for some texts of a few hundred kilobytes.
    return text.length > 32_000 ? {} : objectOf(parse(text, { maxAliasCount: 20 }));
  } catch {
    return {};
  }
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
