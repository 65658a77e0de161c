import { type Finding, finding } from "./findings.ts";
import { type Content, isBinary, type Pair, textOf } from "./pairs.ts";

const mostFile = 500_000;
const mostLine = 5000;
const pictures = /\.(?:png|jpe?g|gif|webp|avif|ico|bmp|woff2?|ttf|otf|eot)$/i;

/**
 * Contents of a change that nobody can read in a diff: binary, large and minified files, links, and what became a program.
 * Links that lead out of the repository and nested repositories don't come this far: they are no part of any change.
 */
export function findUnreadable(pairs: readonly Pair[]): Finding[] {
  return pairs.flatMap((pair) => {
    const { path, before, after } = pair;
    if (after === undefined) return [];
    if (after.mode === "120000") return [finding("link", path, "is a link; look at where it leads")];
    const isNew = after.mode === "100755" && before?.mode !== "100755";
    const program = isNew ? [finding("executable", path, "can be run as a program now")] : [];
    return [...program, ...(isBinary(after) ? binary(pair, after) : long(pair, after))];
  });
}

function binary({ path, kind, before }: Pair, after: Content): Finding[] {
  if (before?.bytes.equals(after.bytes) === true) return [];
  const isShown = pictures.test(path) && ["documentation", "test", "snapshot"].includes(kind);
  return [finding(isShown ? "image-file" : "binary-file", path, `is binary, with ${after.bytes.length} bytes`)];
}

function long({ path, kind, before }: Pair, after: Content): Finding[] {
  const size = after.bytes.length;
  const large = size > mostFile ? [finding("large-file", path, `has ${size} bytes`)] : [];
  if (kind === "manifest" || kind === "generated") return large;
  const longest = longestLine(textOf(after) ?? "");
  if (longest <= mostLine || longest <= longestLine(textOf(before) ?? "")) return large;
  return [...large, finding("minified-file", path, `has a line of ${longest} characters`)];
}

function longestLine(text: string): number {
  let longest = 0;
  for (const line of text.split("\n")) longest = Math.max(longest, line.length);
  return longest;
}
