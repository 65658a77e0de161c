import { posix } from "node:path";
import type { Check } from "./detect.ts";

/** Checks in the order in which they run on a change, and the names of those that run only while there is time. */
export interface Ordered {
  checks: Check[];
  rest: ReadonlySet<string>;
}

/**
 * First those about the paths that changed, then those about everything, then the rest; each part in the settings' order.
 * Where none is about what changed, nothing is the rest: some check has to speak for the change.
 */
export function orderChecks(checks: readonly Check[], changed: readonly string[]): Ordered {
  const isAbout = ({ paths = [] }: Check) => changed.some((path) => paths.some((pattern) => isUnder(path, pattern)));
  const own = checks.filter(isAbout);
  const general = checks.filter(({ paths = [] }) => paths.length === 0);
  const others = checks.filter((check) => !own.includes(check) && !general.includes(check));
  const rest = own.length + general.length === 0 ? [] : others.map(({ name }) => name);
  return { checks: [...own, ...general, ...others], rest: new Set(rest) };
}

/** Whether a path is what a pattern names: a glob, a file, or a folder with all that is in it. */
export function isUnder(path: string, pattern: string): boolean {
  const plain = pattern.replace(/^\.?\//, "").replace(/\/$/, "");
  return posix.matchesGlob(path, plain) || posix.matchesGlob(path, `${plain}/**`);
}
