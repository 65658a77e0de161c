import type { Direct, Published, Update } from "./plan.ts";
import { compareVersions, isRelease } from "./versions.ts";

/** A file of pinned versions, as pip reads it. */
export interface Requirements {
  path: string;
  text: string;
}

// `name==1.2.3`, with extras before and a marker or a comment behind. Hashes and further bounds are no single pin.
const mostLine = 2000;
/** Indexes of one file beside the first: those of all files have to fit into an argument. */
const mostExtra = 5;
const pin =
  /^(\s*([A-Za-z0-9][\w.-]{0,100})(?:\[[^\]]{0,200}\])?\s*==\s*)(\d+(?:\.\d+){0,2})(\s*(?:;[^\\]*|#[^\n]*)?)$/;

/** Whether a path at the top of a repository is such a file. */
export function isRequirements(path: string): boolean {
  return /^[\w.-]*requirements[\w.-]*\.txt$/i.test(path);
}

/** The packages that are pinned to one version; each stands in its file, by its own name there. */
export function pinsIn({ path, text }: Requirements): Direct[] {
  return text.split("\n").flatMap((line) => {
    const [, , name, current] = readPin(line) ?? [];
    return name === undefined || current === undefined ? [] : [{ name, folder: path, range: `==${current}`, current }];
  });
}

/** The same text with other versions of its pins; all else of it stays as it is. */
export function withPins(text: string, updates: readonly Pick<Update, "name" | "from" | "to">[]): string {
  return text
    .split("\n")
    .map((line) => {
      const [, before = "", pinned, current, after = ""] = readPin(line) ?? [];
      const update = updates.find(({ name, from }) => name === pinned && from === current);
      return update === undefined ? line : `${before}${update.to}${after}`;
    })
    .join("\n");
}

function readPin(line: string): RegExpExecArray | null {
  return line.length > mostLine ? null : pin.exec(line);
}

/** The indexes that a file names instead of the configured one, and beside it. */
export function indexesIn({ text }: Requirements): { index: string; extra: string } {
  const lines = text.split("\n").filter((line) => line.length <= mostLine);
  const named = (option: RegExp) => lines.flatMap((line) => option.exec(line)?.[1] ?? []);
  const [index = ""] = named(/^\s*(?:-i|--index-url)[\s=]+(\S+)/);
  const extra = named(/^\s*--extra-index-url[\s=]+(\S+)/).slice(0, mostExtra);
  return { index, extra: extra.join(" ") };
}

/** What `pip index versions` prints; undefined where it knows nothing of the package. */
export function readVersions(text: string): Published | undefined {
  const [, listed = ""] = /^Available versions: (.+)$/m.exec(text) ?? [];
  const versions = listed.split(/,\s*/).filter(isRelease);
  const latest = versions.toSorted(compareVersions).at(-1);
  return latest === undefined ? undefined : { latest, versions: versions.map((version) => ({ version })) };
}
