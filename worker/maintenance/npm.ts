import { readFileSync } from "node:fs";
import type { UpdateFacts } from "../../src/package-facts.ts";
import { quote } from "../../sandbox/quote.ts";
import type { Ran } from "../setup.ts";
import { needsInput } from "../outcome.ts";
import type { Outcome } from "../run.ts";
import { sectionsBetween } from "./changelog.ts";
import { readAudit, readFacts, readRecords } from "./npm-facts.ts";
import { planUpdates, withinPull } from "./plan.ts";
import type { Direct, Update } from "./plan.ts";
import { nothingLeftOut, turnsOf } from "./turns.ts";
import type { LeftOut, Turn } from "./turns.ts";
import { isRelease } from "./versions.ts";
import { updateFailed } from "./update.ts";
import type { UpdatePlace } from "./update.ts";

const script = readFileSync(new URL("npm.sh", import.meta.url), "utf8");
/** Each of them is fetched once more. */
const mostChangelogs = 40;
/** How many updates are tried one by one. */
const mostSingles = 40;
/** As npm writes both; they become words of a command. */
const plainSpec = /^[\w@./~+-]+$/;

export type Updated = { ok: true; facts: UpdateFacts } | { ok: false; outcome: Outcome };

export interface NpmTask {
  /** What the commit to work on names itself. */
  now: readonly Direct[];
  /** The same of the base branch, where the commit is our own pull request's. */
  before: readonly Direct[] | undefined;
  /** Of a new pull request. */
  leftOut: LeftOut;
}

/** Asks npm what is newer, takes of it what makes one pull request, and lets npm write manifest and lock file. */
export async function updateNpm(place: UpdatePlace, { now, before, leftOut }: NpmTask): Promise<Updated> {
  const keyOf = ({ name, current }: Direct) => `${name}@>=${current}`;
  const known = now.filter(({ current }) => isRelease(current));
  const asked = await place.ask(script, ["facts", ...new Set(known.map(keyOf))]);
  const { published, advisories } = readFacts(readRecords(asked.stdout), known, keyOf);
  if (published.size === 0 && known.length > 0) {
    const detail = "The registry told nothing of any package, or npm is not in the image.";
    return { ok: false, outcome: needsInput("update failed", detail) };
  }
  const whole = planUpdates(now.map((direct) => ({ direct, published: published.get(direct.name) })));
  const plan = before === undefined ? whole : withinPull(whole, { before, now });
  const { turns, left } = turnsOf(plan, before === undefined ? leftOut : nothingLeftOut);
  const { turn, taken, failed } = await take(place, turns);
  const [first] = failed;
  if (taken.length === 0 && first !== undefined)
    return { ok: false, outcome: updateFailed(commandFor([first.update], first.update), first.ran) };
  const updated = await factsOf(place, { taken, published, advisories });
  const isLeft = (update: Update) => !taken.includes(update) && failed.every((one) => one.update !== update);
  return {
    ok: true,
    facts: {
      updated,
      ...(before === undefined && { turn }),
      later: turns.flatMap(({ updates }) => updates.filter(isLeft).map(({ name, from, to }) => ({ name, from, to }))),
      deprecated: plan.deprecated,
      left: [
        ...plan.left,
        ...left,
        ...failed.map(({ update, ran }) => ({ name: update.name, why: whyNot(update, ran) })),
      ],
      audited: advisories !== undefined,
    },
  };
}

interface Failed {
  update: Update;
  ran: Extract<Ran, { ok: false }>;
}
interface Taken {
  /** The first that anything could be had of. */
  turn: Pick<Turn, "content" | "versions"> | undefined;
  taken: Update[];
  failed: Failed[];
  /** How many were tried one by one. */
  singles: number;
}

/**
 * The first turn that can be had, each style of range together. What can't be had together is tried one by one, and what
 * can't be had at all is left out.
 */
async function take(place: UpdatePlace, turns: readonly Turn[]): Promise<Taken> {
  const all: Taken = { turn: undefined, taken: [], failed: [], singles: 0 };
  for (const { content, versions, updates } of turns) {
    for (const group of Map.groupBy(updates, ({ prefix, folder }) => `${prefix} ${folder}`).values()) {
      const [first, ...others] = group;
      const isTogether = first !== undefined && others.length > 0 && (await place.run(commandFor(group, first))).ok;
      if (isTogether) all.taken.push(...group);
      else await takeOneByOne(place, group, all);
    }
    if (all.taken.length > 0) return { ...all, turn: { content, versions } };
  }
  return all;
}

async function takeOneByOne(place: UpdatePlace, updates: readonly Update[], all: Taken): Promise<void> {
  for (const update of updates.slice(0, mostSingles - all.singles)) {
    all.singles++;
    const ran = await place.run(commandFor([update], update));
    if (ran.ok) all.taken.push(update);
    else all.failed.push({ update, ran });
  }
}

/** The range keeps its style. Nothing is installed: set-up does that on the commit that comes of it. */
function commandFor(updates: readonly Update[], { prefix, folder }: Pick<Update, "prefix" | "folder">): string {
  const specs = updates.map(({ name, to }) => `${name}@${to}`);
  const style = prefix === "" ? "--save-exact" : `--no-save-exact --save-prefix='${prefix}'`;
  const words = specs.map((spec) => (plainSpec.test(spec) ? spec : quote(spec))).join(" ");
  const where = folder === "" ? "" : ` --workspace ${quote(folder)}`;
  return `npm install${where} --save ${style} --package-lock-only --ignore-scripts --no-audit --no-fund ${words}`;
}

function whyNot({ to }: Update, { output }: Failed["ran"]): string {
  const said = output.split("\n").find((line) => /^npm (?:error|ERR!) (?!code\b)\S/.test(line)) ?? "";
  return `npm can't install ${to}: ${said.replace(/^npm \S+ /, "").slice(0, 300) || "it failed"}`;
}

async function factsOf(
  place: UpdatePlace,
  { taken, published, advisories }: { taken: readonly Update[] } & ReturnType<typeof readFacts>,
): Promise<UpdateFacts["updated"]> {
  if (taken.length === 0) return [];
  const specOf = ({ name, to }: Update) => `${name}@${to}`;
  const asked = await place.ask(script, ["changelogs", ...[...new Set(taken.map(specOf))].slice(0, mostChangelogs)]);
  const changelogs = readRecords(asked.stdout);
  const isNone = advisories === undefined || advisories.size === 0;
  const later = isNone
    ? undefined
    : readAudit(readRecords((await place.ask(script, ["audit"])).stdout).get("audit") ?? "");
  return taken.map((update) => {
    const { name, folder, from, to } = update;
    const still = later?.get(name) ?? [];
    const deprecated = published.get(name)?.versions.find(({ version }) => version === from)?.deprecated;
    const changelog = sectionsBetween(changelogs.get(specOf(update)) ?? "", from, to);
    const fixes = later === undefined ? [] : (advisories?.get(name) ?? []).filter((title) => !still.includes(title));
    return { name, folder, from, to, fixes, changelog, ...(deprecated !== undefined && { deprecated }) };
  });
}
