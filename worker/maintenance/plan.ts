import { compareVersions, isMajorStep, isRelease } from "./versions.ts";

/** A package that a manifest of the repository names, as its lock file has it. */
export interface Direct {
  name: string;
  /** Of the manifest, "" for the top of the repository; or that file's own path. */
  folder: string;
  /** As the manifest says it, such as `^1.2.0`. */
  range: string;
  current: string;
}
/** What the registry says of a package's versions from the current one on. */
export interface Published {
  latest: string;
  versions: readonly { version: string; deprecated?: string | undefined }[];
}
export interface Update {
  name: string;
  folder: string;
  from: string;
  to: string;
  /** What stands before the version in the manifest. */
  prefix: "^" | "~" | "" | "==";
}
export interface Plan {
  minors: Update[];
  majors: Update[];
  /** Deprecated as they are, and nothing newer is there. */
  deprecated: { name: string; version: string; says: string }[];
  /** With the reason, as half a sentence. */
  left: { name: string; why: string }[];
}

/**
 * Pure: what can be updated. A package has its newest version with the same leading number, and the newest of all apart
 * from that. No prerelease, none that is deprecated and none above the registry's `latest` is chosen.
 * `published`: undefined where the registry did not tell.
 */
export function planUpdates(found: readonly { direct: Direct; published: Published | undefined }[]): Plan {
  const plan: Plan = { minors: [], majors: [], deprecated: [], left: [] };
  for (const { direct, published } of found) {
    const { name, folder, range, current: from } = direct;
    if (!isRelease(from)) {
      plan.left.push({ name, why: `\`${from}\` is no released version` });
      continue;
    }
    if (published === undefined) {
      plan.left.push({ name, why: "the registry told nothing of it" });
      continue;
    }
    const newer = versionsAbove(direct, published);
    if (newer.length === 0) {
      const says = published.versions.find(({ version }) => version === from)?.deprecated;
      if (says !== undefined) plan.deprecated.push({ name, version: from, says });
      continue;
    }
    const prefix = prefixOf(range);
    if (prefix === undefined) {
      plan.left.push({
        name,
        why: `its range \`${range}\` says no single version such as \`^1.2.3\`, \`~1.2.3\` or \`1.2.3\``,
      });
      continue;
    }
    const minor = newer.findLast((to) => !isMajorStep(from, to));
    const major = newer.findLast((to) => isMajorStep(from, to));
    if (minor !== undefined) plan.minors.push({ name, folder, from, to: minor, prefix });
    if (major !== undefined) plan.majors.push({ name, folder, from, to: major, prefix });
  }
  return plan;
}

/**
 * What the updates of an open pull request may go on to, so that it stays what it is: the same group of minor updates, or
 * further versions of the packages whose major version it changed.
 */
export function withinPull(plan: Plan, { before, now }: { before: readonly Direct[]; now: readonly Direct[] }): Plan {
  const keyOf = ({ name, folder }: Direct) => `${folder}:${name}`;
  // A file of pins may have several versions of one package.
  const versions = Map.groupBy(before, keyOf);
  const isStep = (direct: Direct) =>
    versions.get(keyOf(direct))?.every(({ current }) => isMajorStep(current, direct.current)) === true;
  const stepped = new Set(now.filter(isStep).map(({ name }) => name));
  const minors = stepped.size === 0 ? plan.minors : plan.minors.filter(({ name }) => stepped.has(name));
  return { ...plan, minors, majors: [] };
}

/** Oldest first. */
function versionsAbove({ current }: Direct, { latest, versions }: Published): string[] {
  if (!isRelease(latest)) return [];
  return versions
    .filter(({ version, deprecated }) => isRelease(version) && deprecated === undefined)
    .map(({ version }) => version)
    .filter((version) => compareVersions(version, current) > 0 && compareVersions(version, latest) <= 0)
    .sort(compareVersions);
}

// A range of fewer numbers than three means all versions that begin so, but for Python.
function prefixOf(range: string): Update["prefix"] | undefined {
  const [, npm] = /^([~^]?)\d+\.\d+\.\d+$/.exec(range.trim()) ?? [];
  if (npm === "^" || npm === "~" || npm === "") return npm;
  return /^==\d+(?:\.\d+){0,2}$/.test(range) ? "==" : undefined;
}
