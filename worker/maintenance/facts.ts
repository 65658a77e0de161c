import type { UpdateFacts } from "../../src/package-facts.ts";
import { lastEvent } from "../../src/runlog.ts";
import type { Stamped } from "../../src/runlog.ts";
import { closingNothing, cut, fencedText, inlineCode as code, inlineText } from "../../src/text.ts";
import { visibleText } from "../../src/visible.ts";

const mostRows = 50;
const mostLines = 20;
/** What the changelogs may take of a pull request's body. */
const mostChangelogs = 15_000;

/** What a run updated by itself, for a pull request's body; nothing where it updated nothing. */
export function updateFacts(events: readonly Stamped[]): string[] {
  const facts = lastEvent(events, "updates");
  if (facts === undefined || facts.updated.length === 0) return [];
  const { updated, later, deprecated, left, audited } = facts;
  const lines = [
    ...unaudited(audited),
    ...listed(
      "Left for a later run",
      later.map(({ name, from, to }) => `${code(name)} ${code(from)} → ${code(to)}`),
    ),
    ...listed(
      "Deprecated, and nothing newer is there",
      deprecated.map(({ name, version, says }) => `${code(name)} ${code(version)} (${short(says)})`),
    ),
    ...listed(
      "Not updated",
      left.map(({ name, why }) => `${code(name)}, since ${short(why)}`),
    ),
  ];
  return [
    "**Updated**, as the registry and the packages themselves tell",
    table(updated, audited),
    ...(lines.length === 0 ? [] : [lines.map((line) => `- ${line}`).join("\n")]),
    ...changelogs(updated),
  ];
}

function unaudited(audited: boolean | undefined): string[] {
  if (audited === undefined) return ["No audit was made, since pip has none: no security facts."];
  return audited ? [] : ["The registry did not answer the audit: no security facts."];
}

/** What a package's own changelog says, as a person would see it. */
export function seenChangelog(changelog: string): string {
  return visibleText(changelog).text;
}

function table(updated: UpdateFacts["updated"], audited: boolean | undefined): string {
  const rows = updated.slice(0, mostRows).map(({ name, folder, from, to, deprecated, fixes, changelog }) => {
    const security = fixes.length === 0 ? "–" : `no longer ${fixes.map(cell).join("; ")}`;
    const cells = [
      `${code(name)}${folder === "" ? "" : ` in ${code(folder)}`}`,
      code(from),
      code(to),
      deprecated === undefined ? "–" : cell(deprecated),
      audited === true ? security : "not known",
      changelog === "" ? "none found" : "below",
    ];
    return `| ${cells.join(" | ")} |`;
  });
  const more = updated.length - rows.length;
  return [
    "| package | from | to | was deprecated | security | changelog |",
    "|---|---|---|---|---|---|",
    ...rows,
    ...(more === 0 ? [] : [`| ${more} more packages | | | | | |`]),
  ].join("\n");
}

function changelogs(updated: UpdateFacts["updated"]): string[] {
  let room = mostChangelogs;
  const byPackage = new Map(updated.map((one) => [`${one.name}@${one.to}`, one]));
  const parts = [...byPackage.values()].flatMap(({ name, changelog }) => {
    if (changelog === "" || room <= 0) return [];
    const text = `${code(name)}\n\n${fencedText(closingNothing(seenChangelog(changelog)))}`;
    room -= text.length;
    return [text];
  });
  if (parts.length === 0) return [];
  const summary = "Changelogs, in the words of the packages";
  return [`<details><summary>${summary}</summary>\n\n${parts.join("\n\n")}\n\n</details>`];
}

function listed(what: string, items: string[]): string[] {
  if (items.length === 0) return [];
  const more = items.length > mostLines ? ` and ${items.length - mostLines} more` : "";
  return [`${what}: ${items.slice(0, mostLines).join(", ")}${more}`];
}

function short(text: string): string {
  return inlineText(cut(text, 300));
}

/** A bar ends a cell also where it is escaped as code. */
function cell(text: string): string {
  return short(text.replaceAll("|", "/"));
}
