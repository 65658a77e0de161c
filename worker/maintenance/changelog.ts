import { compareVersions, isRelease } from "./versions.ts";

/** In characters, of one package. */
const mostChangelog = 2000;

// `## [1.2.0] - 2020-01-01`, `# [1.2.0](address) (2020-01-01)`, `## name@1.2.0`, `## Version 1.2.0`, `**1.2.0**`
const marked = /^(?:#{1,6}|\*\*)\s{0,3}\[?(?:[\w@/.-]{1,100}@)?(?:version |release )?v?(\d+\.\d+\.\d+)(?![\w.])/i;
// `1.2.0 / 2020-01-01`, `v1.2.0 - 2020-01-01`, `1.2.0 (2020-01-01)`, `1.2.0`
const plain = /^(?:version |release )?v?(\d+\.\d+\.\d+)(?:\s*(?:$|[:/|(–—]|-\s))/i;

/**
 * The sections of a changelog on the versions above `from` up to `to`, in its own order, with what they are headed; cut at
 * `mostChangelog`. Empty where it has none. Takes any text, in time that grows with its length alone.
 */
export function sectionsBetween(text: string, from: string, to: string): string {
  let isWanted = false;
  let length = 0;
  const lines: string[] = [];
  for (const raw of text.split("\n")) {
    const line = raw.slice(0, mostChangelog).trimEnd();
    const version = (marked.exec(line) ?? plain.exec(line))?.[1];
    if (version !== undefined && isRelease(version)) {
      isWanted = compareVersions(version, from) > 0 && compareVersions(version, to) <= 0;
    }
    if (!isWanted) continue;
    lines.push(line);
    length += line.length + 1;
    if (length > mostChangelog) break;
  }
  const all = lines.join("\n").trim();
  return all.length <= mostChangelog ? all : `${all.slice(0, mostChangelog).trimEnd()}\n[…]`;
}
