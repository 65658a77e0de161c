import type { DependencyChanges, PackageChange } from "../src/package-facts.ts";
import { lastEvent } from "../src/runlog.ts";
import type { Stamped, Usage } from "../src/runlog.ts";
import { cut, inlineCode as code, inlineText } from "../src/text.ts";

const mostNotes = 10;
const mostRows = 20;
/** What the table of packages may take of a pull request's body. */
const mostTable = 15_000;

/** What the status comment says beside its header: what a run works with, and what it does not use. */
export function statusFacts(events: readonly Stamped[]): string[] {
  const environment = lastEvent(events, "environment");
  const notes = notesIn(events);
  const told = notes.length === 0 ? [] : [listed(notes)];
  if (environment === undefined) return told;
  const { image, setup, checks, from } = environment;
  // A paragraph: a list would go on from one that stands above it.
  return [
    `Works with image ${code(image)}, set-up ${codes(setup)}, checks ${codes(checks)} (commands from ${inlineText(cut(from, 500))}).`,
    ...told,
  ];
}

/** The dependencies that the change to publish brings, for a pull request's body; nothing where it changes none. */
export function dependencyFacts(events: readonly Stamped[]): string[] {
  // An earlier round's change may have been taken back.
  const round = events.slice(events.findLastIndex(({ type }) => type === "agent.end") + 1);
  const changes = lastEvent(round, "dependencies");
  return changes === undefined || changes.files.length === 0 ? [] : [renderDependencies(changes)];
}

/** One line on the tests that a task made steady; nothing where it was to make none so. */
export function flakyFacts(events: readonly Stamped[]): string[] {
  const all = events.filter((event) => event.type === "flaky");
  const [base, head] = [all.findLast(({ leg }) => leg === "base"), all.findLast(({ leg }) => leg === "head")];
  if (base === undefined || head === undefined) return [];
  const { names, times } = head;
  return [
    `**Steady**: ${names.length} of the ${base.names.length} named tests ran ${times} times with one result: ${codes(names)}.`,
  ];
}

/** One line on what the set-up network refused; nothing where it refused nothing. */
export function refusedFacts(events: readonly Stamped[]): string[] {
  const refused = refusedIn(events);
  if (refused.length === 0) return [];
  return [`The set-up network refused ${atMost(refused, 5).join(", ")}.`];
}

/** What a run worked with, as a list. */
export function runFacts(events: readonly Stamped[], took: string): string {
  const attempt = lastEvent(events, "attempt");
  return listed([
    `model: ${attempt === undefined ? "none was asked" : code(attempt.model)}`,
    `run: \`${lastEvent(events, "claimed")?.job.runId ?? ""}\``,
    ...modelFacts(events, took),
    `base commit: \`${lastEvent(events, "base")?.commit ?? ""}\``,
    ...environmentFacts(events),
    ...atMost(
      refusedIn(events).map((what) => `refused: ${what}`),
      mostRows,
    ),
    ...notesIn(events),
  ]);
}

function modelFacts(events: readonly Stamped[], took: string): string[] {
  const results = events.filter((event) => event.type === "model.result");
  const sum = (pick: (usage: Usage) => number) => results.reduce((total, event) => total + pick(event.usage), 0);
  const [prompt, cached] = [sum((usage) => usage.promptTokens), sum((usage) => usage.cachedTokens)];
  const share = prompt === 0 ? "" : `, ${Math.round((100 * cached) / prompt)} %`;
  const recovered = results.reduce((total, { recovered: calls = 0 }) => total + calls, 0);
  const repaired = events.filter((event) => event.type === "tool.result" && event.repaired !== undefined).length;
  const mended = [
    ...(recovered === 0 ? [] : [`${recovered} read from the model's text`]),
    ...(repaired === 0 ? [] : [`${repaired} with arguments put right`]),
  ];
  return [
    `time: ${took}, ${results.length} steps`,
    `tokens: ${prompt} in (${cached} cached${share}), ${sum((usage) => usage.completionTokens)} out`,
    ...(mended.length === 0 ? [] : [`calls: ${mended.join(", ")}`]),
  ];
}

function environmentFacts(events: readonly Stamped[]): string[] {
  const environment = lastEvent(events, "environment");
  if (environment === undefined) return [];
  const { image, digest, setup, from } = environment;
  const since = events.slice(events.indexOf(environment));
  const isKept = since.find((event) => event.type === "setup")?.ms === 0;
  const hosts = [...new Set(since.filter((event) => event.type === "network").flatMap((event) => event.hosts))];
  return [
    `image: ${code(image)} (\`${digest.slice(0, 19)}\`), commands from ${inlineText(cut(from, 500))}`,
    `set-up: ${codes(setup)}${isKept ? ", kept from an earlier run" : ""}`,
    ...(hosts.length === 0 ? [] : [`set-up network: ${codes(hosts)}`]),
  ];
}

function renderDependencies({ files, packages, more }: DependencyChanges): string {
  const rows = fitting(packages.map(renderPackage));
  const [shown, folded] = [rows.slice(0, mostRows), rows.slice(mostRows)];
  const left = packages.length - rows.length + more;
  return [
    `**Dependencies** changed in ${codes(files)}`,
    ...(shown.length === 0 ? [] : [table(shown)]),
    ...(folded.length === 0
      ? []
      : [`<details><summary>${folded.length} more packages</summary>\n\n${table(folded)}\n\n</details>`]),
    ...(left === 0 ? [] : [`${left} more changed packages are not listed.`]),
  ].join("\n\n");
}

function renderPackage({ name, from, to, script }: PackageChange): string {
  const versions = (list: string[], none: string) => (list.length === 0 ? none : list.map(versionCode).join(", "));
  const remark = script ? " (its install script did not run)" : "";
  return `| ${code(name)}${remark} | ${versions(from, "new")} | ${versions(to, "removed")} |`;
}

// A package without one comes from an address, which is its name.
function versionCode(version: string): string {
  return version === "" ? "no version" : code(version);
}

function table(rows: string[]): string {
  return ["| package | from | to |", "|---|---|---|", ...rows].join("\n");
}

function fitting(rows: string[]): string[] {
  let length = 0;
  return rows.filter((row) => (length += row.length) <= mostTable);
}

function refusedIn(events: readonly Stamped[]): string[] {
  const all = events
    .filter((event) => event.type === "network")
    .flatMap(({ command, refused }) => refused.map((host) => `${code(host)} (asked by ${code(command)})`));
  return [...new Set(all)];
}

function notesIn(events: readonly Stamped[]): string[] {
  const notes = events.filter((event) => event.type === "note").map(({ text }) => inlineText(cut(text, 500)));
  return atMost([...new Set(notes)], mostNotes);
}

/** At most that many lines; the last one says how many others there are. */
function atMost(lines: string[], most: number): string[] {
  return lines.length <= most ? lines : [...lines.slice(0, most - 1), `${lines.length - most + 1} more`];
}

function listed(lines: string[]): string {
  return lines.map((line) => `- ${line}`).join("\n");
}

function codes(texts: readonly string[]): string {
  return texts.length === 0 ? "none" : atMost(texts.map(code), mostRows).join(", ");
}
