/**
 * What a change may have done beside its task. `block`: it goes back to its author, and opens no pull request while it
 * stands. `advise`: the pull request says it, and a person decides. One kind has one weight.
 */
const weights = {
  // Tests that can no longer say no
  "deleted-test-file": "block",
  "deleted-test": "block",
  "gutted-test-file": "block",
  "skipped-test": "block",
  "narrowed-tests": "block",
  "retried-test": "block",
  "changed-test-script": "block",
  "lowered-threshold": "block",
  // What has good reasons as often as bad ones
  "tests-removed-with-source": "advise",
  "replaced-test": "advise",
  "fewer-assertions": "advise",
  "changed-assertions": "advise",
  "skipped-new-test": "advise",
  "ended-test-process": "advise",
  "changed-snapshot": "advise",
  "changed-test-data": "advise",
  "changed-test-config": "advise",
  "special-cased-tests": "advise",
  "excluded-from-coverage": "advise",
  // Who else would run or obey it
  "edited-ci": "block",
  "protected-path": "block",
  "changed-submodule": "block",
  "outside-paths": "block",
  "changed-dependencies": "advise",
  "changed-generated-file": "advise",
  // What nobody can read in a diff, or nobody should
  secret: "block",
  "binary-file": "block",
  "possible-secret": "advise",
  "image-file": "advise",
  "large-file": "advise",
  "minified-file": "advise",
  link: "advise",
  executable: "advise",
  // Never held against a change
  unmeasured: "advise",
} as const;

export type FindingKind = keyof typeof weights;

export interface Finding {
  kind: FindingKind;
  path: string;
  /** Half a sentence about the file. Names of tests in it come from the change: neutralise before showing it. */
  detail: string;
  weight: "block" | "advise";
}

const most = 100;

export function finding(kind: FindingKind, path: string, detail: string): Finding {
  return { kind, path, detail, weight: weights[kind] };
}

/** Blocking ones first, then by path; at most 100, and the last one says how many more there were. */
export function ordered(findings: readonly Finding[]): Finding[] {
  const rank = ({ weight, path, kind }: Finding) => `${weight === "block" ? 0 : 1}\0${path}\0${kind}`;
  const keyed = findings.map((one) => ({ one, key: rank(one) }));
  const sorted = keyed.sort((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key))).map(({ one }) => one);
  if (sorted.length <= most) return sorted;
  const rest = sorted.length - most;
  return [...sorted.slice(0, most), finding("unmeasured", "", `${rest} more findings are not listed`)];
}

/** Names from a change in one line, a few of them, each cut. */
export function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 5).map((name) => (name.length > 80 ? `${name.slice(0, 79)}…` : name));
  return names.length > shown.length ? `${shown.join(", ")} and ${names.length - shown.length} more` : shown.join(", ");
}
