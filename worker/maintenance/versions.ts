/** Numbers that it leaves out are 0. Prereleases, and what is no version, are none. */
type Version = readonly [major: number, minor: number, patch: number];

function parseVersion(text: string): Version | undefined {
  const [, major, minor = "0", patch = "0"] =
    /^(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:\+[\w.-]*)?$/.exec(text) ?? [];
  return major === undefined ? undefined : [Number(major), Number(minor), Number(patch)];
}

/** Whether the text is a released version of one to three numbers, such as 1.2.3. */
export function isRelease(text: string): boolean {
  return parseVersion(text) !== undefined;
}

/** Negative where the first is older; what is no released version is older than any. */
export function compareVersions(one: string, other: string): number {
  const [a, b] = [parseVersion(one) ?? [-1, 0, 0], parseVersion(other) ?? [-1, 0, 0]];
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}

/** A version up to its first number that is not 0, such as `2` or `0.5`: what differs in it may break what uses it. */
export function leadingOf(version: string): string {
  const numbers = parseVersion(version) ?? [];
  const leading = numbers.findIndex((number) => number !== 0);
  return numbers.slice(0, leading === -1 ? 3 : leading + 1).join(".");
}

/** Whether a step from one version to the other may break what uses it: the first number that is not 0 differs. */
export function isMajorStep(from: string, to: string): boolean {
  const [a, b] = [parseVersion(from), parseVersion(to)];
  if (a === undefined || b === undefined) return true;
  const leading = a.findIndex((number) => number !== 0);
  return a.slice(0, leading === -1 ? 3 : leading + 1).some((number, index) => number !== b[index]);
}
