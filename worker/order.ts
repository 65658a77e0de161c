import { isUnder } from "./globs.ts";
import type { Check } from "./detect.ts";

/** Checks in the order in which they run on a change, and the names of those that run only while there is time. */
export interface Ordered {
  checks: Check[];
  rest: ReadonlySet<string>;
}

interface Parts extends Ordered {
  /** Those about the paths that changed. */
  own: Check[];
}

/**
 * First those about the paths that changed, then those about everything, then the rest; each part in the settings' order.
 * Where none that is required comes before the rest, the first of the rest is none of it: one has to speak for the change.
 */
export function orderChecks(checks: readonly Check[], changed: readonly string[]): Parts {
  const isAbout = ({ paths = [] }: Check) => changed.some((path) => paths.some((pattern) => isUnder(path, pattern)));
  const own = checks.filter(isAbout);
  const general = checks.filter(({ paths = [] }) => paths.length === 0);
  const others = checks.filter((check) => !own.includes(check) && !general.includes(check));
  const speaks = [...own, ...general].some(({ required }) => required);
  const spoken = speaks ? undefined : others.find(({ required }) => required);
  const rest = others.filter((check) => check !== spoken).map(({ name }) => name);
  const ordered = [...own, ...general, ...(spoken === undefined ? [] : [spoken])];
  return { own, checks: [...ordered, ...others.filter((check) => check !== spoken)], rest: new Set(rest) };
}
