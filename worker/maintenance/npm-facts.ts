import { z } from "zod";
import type { Direct, Published } from "./plan.ts";

/** Longer names and versions are none that npm knows. */
const version = z.string().max(100);
const told = z.object({
  version,
  deprecated: z.union([z.string(), z.boolean()]).optional(),
  "dist-tags.latest": version,
});
const advisory = z.object({ title: z.string(), severity: z.string().optional() });
const audit = z.object({
  vulnerabilities: z.record(
    z.string(),
    z.object({ via: z.array(z.union([advisory, z.string(), z.object({})])).default([]) }),
  ),
});
const names = z.record(z.string(), z.string()).catch({});
const manifest = z.object({ dependencies: names, devDependencies: names, optionalDependencies: names });
const installed = z.object({ version });
/** Of a workspace's own folder an entry says what its manifest does. Few of them are looked at. */
const entries = z.record(z.string(), z.unknown()).catch({});
const lock = z.object({ packages: entries, dependencies: entries });

/** What the registry says of a repository's packages: nothing of them is true because it says so. */
export interface RegistryFacts {
  /** By name; without those that it told nothing of. */
  published: ReadonlyMap<string, Published>;
  /** The titles of advisories on the locked versions, by name; undefined where the registry did not answer the audit. */
  advisories: ReadonlyMap<string, string[]> | undefined;
}

const mostDirect = 200;
/** In characters of a lock file; larger ones are not read. */
export const mostLock = 32 * 2 ** 20;
const mostText = 300;
/** As npm takes them. */
const plainFolder = /^[\w@.][\w@.-]*(?:\/[\w@.-]+){0,10}$/;
const packageName = /^(?:@[a-z0-9~][\w.~-]{0,100}\/)?[a-z0-9~][\w.~-]{0,150}$/i;

/**
 * The packages that the manifests of a repository and its workspaces name themselves and that come from the registry, at
 * the versions of the lock file: 200 at most. `isWanted`: of which manifests, by their paths.
 */
export function directPackages(
  manifestText: string,
  lockText: string,
  isWanted: (path: string) => boolean = () => true,
): Direct[] {
  const locked = lock.safeParse(lockText.length > mostLock ? undefined : parseJson(lockText));
  if (!locked.success) return [];
  const { packages, dependencies: old } = locked.data;
  const folders = Object.keys(packages).filter(
    (path) => plainFolder.test(path) && !/(?:^|\/)node_modules\//.test(path) && isWanted(`${path}/package.json`),
  );
  const direct: Direct[] = [];
  for (const folder of [...(isWanted("package.json") ? [""] : []), ...folders]) {
    for (const [name, range] of namedIn(folder === "" ? parseJson(manifestText) : packages[folder])) {
      const found = packages[`${folder}/node_modules/${name}`] ?? packages[`node_modules/${name}`] ?? old[name];
      const current = installed.safeParse(found).data?.version;
      const isElsewhere = /[:/]/.test(range);
      if (current === undefined || isElsewhere || !packageName.test(name)) continue;
      direct.push({ name, folder, range, current });
      if (direct.length === mostDirect) return direct;
    }
  }
  return direct;
}

/** By name. */
function namedIn(value: unknown): [string, string][] {
  const { dependencies = {}, devDependencies = {}, optionalDependencies = {} } = manifest.safeParse(value).data ?? {};
  const all = { ...devDependencies, ...dependencies, ...optionalDependencies };
  return Object.entries(all).sort(([one], [other]) => (one < other ? -1 : 1));
}

/** The records that `npm.sh` wrote, by key. */
export function readRecords(answer: Buffer): Map<string, string> {
  const parts = answer.toString("utf8").split("\0");
  const records = new Map<string, string>();
  for (let at = 0; at + 1 < parts.length; at += 2) records.set(parts[at] ?? "", parts[at + 1] ?? "");
  return records;
}

/** Of the records of `facts`; `keyOf`: the key under which a package was asked for. */
export function readFacts(
  records: ReadonlyMap<string, string>,
  direct: readonly Direct[],
  keyOf: (one: Direct) => string,
): RegistryFacts {
  const published = new Map<string, Published>();
  for (const one of direct) {
    const found = readPublished(records.get(keyOf(one)) ?? "");
    // Of one that several manifests have, the oldest is told the most of.
    const known = published.get(one.name)?.versions.length ?? 0;
    if (found !== undefined && found.versions.length > known) published.set(one.name, found);
  }
  return { published, advisories: readAudit(records.get("audit") ?? "") };
}

/** `npm view NAME@RANGE`: one object, or a list where more than one version is in the range. */
function readPublished(text: string): Published | undefined {
  const parsed = z.union([z.array(told), told.transform((one) => [one])]).safeParse(parseJson(text));
  const [first] = parsed.data ?? [];
  if (parsed.data === undefined || first === undefined) return undefined;
  const versions = parsed.data.map(({ version, deprecated }) => ({
    version,
    ...(typeof deprecated === "string" && deprecated !== "" && { deprecated: deprecated.slice(0, mostText) }),
  }));
  return { latest: first["dist-tags.latest"], versions };
}

/** `npm audit`: what is wrong with a package itself, and not with one that it needs. */
export function readAudit(text: string): RegistryFacts["advisories"] {
  const parsed = audit.safeParse(parseJson(text));
  if (!parsed.success) return undefined;
  const titles = Object.entries(parsed.data.vulnerabilities).map(([name, { via }]): [string, string[]] => [
    name,
    via.flatMap((one) => {
      const found = advisory.safeParse(one);
      if (!found.success) return [];
      const { title, severity } = found.data;
      return [`${severity === undefined ? "" : `${severity}: `}${title}`.slice(0, mostText)];
    }),
  ]);
  return new Map(titles);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\u{FEFF}/u, ""));
  } catch {
    return undefined;
  }
}
