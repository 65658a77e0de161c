/** What a change does to manifests and lock files. */
export interface DependencyChanges {
  /** The paths of all that changed, also where their packages can't be read. */
  files: string[];
  packages: PackageChange[];
  /** How many changed packages are not in the list. */
  more: number;
}
export interface PackageChange {
  path: string;
  name: string;
  /** Versions before and after, those that differ first; none where the package is new, or gone. */
  from: string[];
  to: string[];
  /** It has an install script and is not optional. */
  script: boolean;
}
/** What a task updated in manifests, with what the registry and the packages themselves say: text from outside. */
export interface UpdateFacts {
  updated: {
    name: string;
    /** Of the manifest that names it, "" for the top of the repository; or that file's own path. */
    folder: string;
    from: string;
    to: string;
    /** What the registry says of the version before, if that is deprecated. */
    deprecated?: string | undefined;
    /** Titles of security advisories that are no more true of the new version. */
    fixes: string[];
    /** The sections of its changelog in between; empty where the package has none. */
    changelog: string;
  }[];
  /** What a new pull request of it is about, and what names its versions. */
  turn?: { content: string; versions: string } | undefined;
  /** For a later run. */
  later: { name: string; from: string; to: string }[];
  deprecated: { name: string; version: string; says: string }[];
  /** What was not updated, and why, as half a sentence. */
  left: { name: string; why: string }[];
  /** Whether the registry answered the audit; absent where the package manager has none, as pip. */
  audited?: boolean | undefined;
}
