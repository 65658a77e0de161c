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
  { file: /(?:^|\/)\.npmrc$/, name: "npm", read: matching(/^\s*(?:@[^:\s]+:)?registry\s*=\s*"?([^\s"]+)/gm) },
  { file: /(?:^|\/)\.yarnrc$/, name: "yarn", read: matching(/^\s*"?(?:@[^:\s]+:)?registry"?\s+"?([^\s"]+)/gm) },
  { file: /(?:^|\/)\.yarnrc\.ya?ml$/, name: "yarn", read: readYarn },
  // What Yarn 1 fetched, it fetches there again.
  { file: /(?:^|\/)yarn\.lock$/, name: "yarn", read: matching(/^ {2}resolved "(https?:[^"#]+)/gm) },
  { file: /(?:^|\/)pnpm-workspace\.yaml$/, name: "pnpm", read: readPnpm },
  {
    file: /(?:requirements|constraints)[^/]*\.(?:txt|in)$|(?:^|\/)requirements\/[^/]+$/,
    name: "pip-more",
    read: matching(/^\s*(?:-i|-f|--(?:extra-)?index-url|--find-links)[\s=]+["']?([^\s"']+)/gm),
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
    read: matching(/\bregistry = "(https?:[^"]+)|^(?!source).*?\burl = "(https?:[^"]+)/gm),
  },
  {
    file: /(?:^|\/)\.cargo\/config(?:\.toml)?$/,
    name: "cargo-named",
    read: matching(/^[^#\n]*\b(?:registry|index)\s*=\s*["']([^"']+)/gm),
  },
  {
    file: /(?:^|\/)(?:Gemfile|gems\.rb)$/,
    name: "gem",
    read: matching(/^[^#\n]*\bsource(?:\s*=>|:)?[\s(]+["']([^"']+)/gm),
  },
  { file: /(?:^|\/)(?:Gemfile\.lock|gems\.locked)$/, name: "gem", read: readGemLock },
  { file: /(?:^|\/)pom\.xml$|(?:^|\/)\.mvn\/[^/]+\.xml$/, name: "maven-named", read: readPom },
  { file: /(?:^|\/)(?:maven|gradle)-wrapper\.properties$/, name: "wrapper", read: readWrapper },
  {
    file: /\.gradle(?:\.kts)?$/,
    name: "gradle",
    read: matching(/^(?!\s*\/\/).*?\b(?:url|setUrl|maven|uri)\b\s*[=(]?\s*(?:uri\s*\(\s*)?["']([^"']+)/gm),
  },
];

function matching(pattern: RegExp): (text: string) => string[] {
  return (text) =>
    Array.from(text.matchAll(pattern), (match) => match.slice(1).find((part) => part !== undefined) ?? "");
}

const addresses = matching(/(https?:\/\/[^\s"',\]]+)/g);

/** Addresses in the sections of a TOML file whose header matches; what stands before the first header is section "". */
function inSections(header: RegExp): (text: string) => string[] {
  return (text) => {
    let section = "";
    return text.split("\n").flatMap((line) => {
      const plain = line.replace(/(?:^|\s)#.*$/, "");
      const next = /^\s*\[+\s*([^\]]*?)\s*\]+\s*$/.exec(plain)?.[1];
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
  return gem.flatMap(matching(/^ {2}remote: (\S+)/gm));
}

// Where packages are published to is no registry that they come from.
function readPom(text: string): string[] {
  const plain = text
    .replaceAll(/<!--.*?-->/gs, "")
    .replaceAll(/<distributionManagement>.*?<\/distributionManagement>/gs, "");
  const blocks = plain.matchAll(/<(repository|pluginRepository|mirror)>(.*?)<\/\1>/gs);
  return Array.from(blocks, ([, , block = ""]) => block).flatMap(matching(/<url>\s*([^<\s]+)/g));
}

function readWrapper(text: string): string[] {
  return matching(/^\s*(?:distributionUrl|wrapperUrl)\s*[=:]\s*(\S+)/gm)(text).map((url) => url.replaceAll("\\", ""));
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
