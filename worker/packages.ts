import type { DependencyChanges, PackageChange } from "../src/package-facts.ts";
import { isLoose, packagesIn } from "./package-files.ts";
import type { Package, PackageFile } from "./package-files.ts";

const mostPackages = 200;
const mostVersions = 5;

/**
 * What a change does to the packages of manifests and lock files, read from their texts before and after: packages with
 * install scripts first, then new and changed ones, then those that are gone. Also a version that stays and gets other
 * content is a change. Takes any texts.
 */
export function packageChanges(before: readonly PackageFile[], after: readonly PackageFile[]): DependencyChanges {
  const old = textsOf(before);
  const now = textsOf(after);
  const files = [...new Set([...old.keys(), ...now.keys()])].filter((path) => old.get(path) !== now.get(path)).sort();
  const all = files.flatMap((path) => changesIn(path, old.get(path), now.get(path)));
  const exact = new Set(all.filter(({ path }) => !isLoose(path)).map(({ name }) => name));
  const packages = all.filter(({ path, name }) => !isLoose(path) || !exact.has(name)).sort(byWeight);
  return { files, packages: packages.slice(0, mostPackages), more: Math.max(0, packages.length - mostPackages) };
}

function textsOf(files: readonly PackageFile[]): Map<string, string> {
  return new Map(files.map(({ path, text }) => [path, text]));
}

function changesIn(path: string, before: string | undefined, after: string | undefined): PackageChange[] {
  const [old, now] = [before, after].map((text = "") => (text === "" ? [] : packagesIn({ path, text })));
  // Against a text that can't be read, every package would look new or gone.
  if (old === undefined || now === undefined) return [];
  const from = byName(old);
  const to = byName(now);
  return [...new Set([...from.keys(), ...to.keys()])].flatMap((name) => {
    const change = changeOf(from.get(name) ?? [], to.get(name) ?? []);
    return change === undefined ? [] : [{ path, name, ...change }];
  });
}

function changeOf(old: Package[], now: Package[]): Pick<PackageChange, "from" | "to" | "script"> | undefined {
  const came = without(now, old);
  const gone = without(old, now);
  if (came.length === 0 && gone.length === 0) return undefined;
  const known = new Set(old.map(({ version }) => version));
  const told = came.map(({ version }) => (known.has(version) ? `${version} (other source or content)` : version));
  return {
    from: bounded([...gone, ...old].map(({ version }) => version)),
    to: bounded([...told, ...without(now, came).map(({ version }) => version)]),
    script: came.some(({ script }) => script),
  };
}

/** Those of the first that differ from each of the others in version, source or content. */
function without(packages: Package[], others: Package[]): Package[] {
  const keyOf = ({ version, source }: Package) => JSON.stringify([version, source]);
  const known = new Set(others.map(keyOf));
  return packages.filter((one) => !known.has(keyOf(one)));
}

function bounded(versions: string[]): string[] {
  return [...new Set(versions)].slice(0, mostVersions);
}

function byName(packages: Package[]): Map<string, Package[]> {
  return Map.groupBy(packages, ({ name }) => name);
}

function byWeight(one: PackageChange, other: PackageChange): number {
  return weight(one) - weight(other) || compare(one.name, other.name) || compare(one.path, other.path);
}

function weight({ script, to }: PackageChange): number {
  return script ? 0 : to.length > 0 ? 1 : 2;
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
