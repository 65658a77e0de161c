import type { Change } from "../sandbox/changes.ts";
import { leafOf } from "./compare.ts";
import type { TestResult } from "./reports/results.ts";
import type { Finding, FindingKind } from "./tamper/findings.ts";

const removals: readonly FindingKind[] = [
  "deleted-test-file",
  "deleted-test",
  "gutted-test-file",
  "tests-removed-with-source",
  "replaced-test",
];

/**
 * Tells whether a test that is no longer there was taken out in a file that the findings name: then they judge it.
 * `before`: a file's content on the base.
 */
export async function removedBy(
  changes: readonly Change[],
  findings: readonly Finding[],
  before: (path: string) => Promise<Buffer | undefined>,
): Promise<(test: TestResult) => boolean> {
  const named = new Set(findings.filter(({ kind }) => removals.includes(kind)).map(({ path }) => path));
  const files = await Promise.all(
    changes
      .filter(({ path }) => named.has(path))
      .map(async (change) => ({
        path: change.path,
        was: (await before(change.path))?.toString("utf8") ?? "",
        is: change.mode === "deleted" ? "" : change.bytes.toString("utf8"),
      })),
  );
  return ({ name, file }) => {
    // What pytest calls the same function with other parameters.
    const own = leafOf(name).replace(/\[.*\]$/, "");
    return files.some(({ path, was, is }) => {
      if (file !== undefined && file !== path) return false;
      // A name that is put together at run time stands in no file.
      return was.includes(own) ? !is.includes(own) : file === path;
    });
  };
}
